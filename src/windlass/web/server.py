"""Puts one server together: the parts, the routes, the sockets, and the gate in front."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from windlass import __version__
from windlass.app import App
from windlass.catalogue import introduce
from windlass.errors import (
    BudgetExceeded,
    InputError,
    JournalError,
    NotFound,
    PromptConflict,
    StoreBusy,
    StoreError,
    WindlassError,
    WorkspaceConflict,
)
from windlass.events import Listener
from windlass.web import files_api, meta_api, prompts_api, runs_api, schemas, steering_api
from windlass.web.access import Access
from windlass.web.crew import Crew
from windlass.web.feed import Feed
from windlass.web.guard import Guard, cookie_name
from windlass.web.live import Live
from windlass.web.metrics import Metrics
from windlass.web.page import page_router
from windlass.web.services import Services
from windlass.web.tracing import traces

if TYPE_CHECKING:
    from windlass.web.notes import Notes

#: The built page.
STATIC = Path(__file__).with_name("static")
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class ServerOptions:
    """How a server is run. ``roots`` are the folders below which runs may work; the first is the usual one."""

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    roots: tuple[Path, ...] = ()
    places: int = 4
    take_up: bool = True
    static: Path = STATIC

    @property
    def url(self) -> str:
        """Where a person on this machine finds it."""
        host = self.allowed_hosts[0] if self.allowed_hosts else "127.0.0.1"
        return f"http://{host}:{self.port}"


class WebServer:
    """One server over an :class:`App`; ``asgi`` is its application."""

    def __init__(self, app: App, options: ServerOptions) -> None:
        self.app = app
        self.options = options
        database = app.database
        self.feed = Feed(database, app.journal)
        self.metrics = Metrics()
        listeners: list[Listener] = [self.metrics.on_local_event]
        traced = traces(app.settings.environment)
        if traced is not None:
            listeners.append(traced.on_event)
        self.crew = Crew(app, self.feed, options.places, listeners)
        self.services = Services(
            app=app,
            feed=self.feed,
            crew=self.crew,
            access=Access(options.token or secrets.token_urlsafe(32)),
            metrics=self.metrics,
            roots=tuple(root.resolve() for root in options.roots) or (Path.cwd(),),
            url=options.url,
            cookie=cookie_name(options.port),
        )
        self.live = Live(self.services)
        self.services.sockets = lambda: self.live.connections
        self.feed.add_sink(self.services.to_readers)
        self.feed.add_sink(self.metrics.on_event)
        self.api = self._api()
        self.guard = Guard(
            self._front,
            self.services.access,
            hosts=(*LOOPBACK, *options.allowed_hosts),
            cookie=self.services.cookie,
            is_open=lambda sid: sid in self.live.sio.eio.sockets,
        )
        self.asgi: ASGIApp = self.guard
        self.notes: Notes | None = None
        #: Done when the shipped prompts are stored, or cannot be; None before the server has begun.
        self.introduced: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def launch_url(self) -> str:
        """A link that opens the page once."""
        return f"{self.services.url}/launch?code={self.services.access.launch_code()}"

    def call_soon(self, action: Callable[[], None]) -> None:
        """Do something in the server's loop, from a signal handler."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(action)

    def stopping(self) -> None:
        """The server is about to end: nothing new begins, and nobody's open stream holds it up. Returns at once."""
        self.crew.hand_back()
        self.services.end_streams()

    async def _front(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.api(scope, receive, send)
        elif scope["path"].startswith("/socket.io/"):
            await self.live.asgi(scope, receive, send)
        elif scope["type"] == "http":
            await self._counted(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    @asynccontextmanager
    async def _life(self, _api: FastAPI) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        if not self.app.database.is_sqlite:
            from windlass.web.notes import Notes

            self.notes = Notes(self.app.database, self.feed)
            self.feed.note = self.notes.send
            await self.notes.open()
        await self.feed.start()
        await self.crew.open(take_up=self.options.take_up)
        # Half a second in a new home, which nobody's first request waits for.
        self.introduced = asyncio.create_task(asyncio.to_thread(self._introduce))
        try:
            yield
        finally:
            self.stopping()
            await self.crew.close()
            await self.feed.close()
            await self.live.close()
            if self.notes is not None:
                await self.notes.close()
            await self.introduced

    def _introduce(self) -> None:
        """Lets the shipped prompts be looked at and edited before their first use. Where the database cannot be written
        now, each comes with the first run that uses it."""
        with contextlib.suppress(StoreError):
            introduce(self.app.prompts)

    def _api(self) -> FastAPI:
        api = FastAPI(
            title="Windlass",
            version=__version__,
            description="Runs of workflows: start, watch, steer and understand them.",
            openapi_url="/api/openapi.json",
            docs_url=None,
            redoc_url=None,
            lifespan=self._life,
            responses={"4XX": {"model": schemas.Error, "description": "One sentence says what is wrong."}},
        )
        api.state.services = self.services
        for router in (
            meta_api.router,
            runs_api.router,
            steering_api.router,
            files_api.router,
            prompts_api.router,
            page_router(self.options.static),
        ):
            api.include_router(router)
        api.add_exception_handler(WindlassError, _windlass_error)
        api.add_exception_handler(RequestValidationError, _invalid)
        api.add_exception_handler(StarletteHTTPException, _http_error)
        return api

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = time.monotonic(), "0"

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self.api(scope, receive, note)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            labels = {"method": scope["method"], "route": route}
            self.metrics.add("windlass_http_requests_total", **labels, status=status)
            self.metrics.add("windlass_http_seconds_total", time.monotonic() - began, **labels)


#: The HTTP status of each kind of error; the first that fits.
STATUSES: Sequence[tuple[type[WindlassError], int]] = (
    (NotFound, 404),
    (PromptConflict, 409),
    (InputError, 400),
    (JournalError, 409),
    (WorkspaceConflict, 409),
    (BudgetExceeded, 409),
    (StoreBusy, 503),
    (StoreError, 503),
    (WindlassError, 400),
)


async def _windlass_error(_request: Request, error: Exception) -> Response:
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    return JSONResponse({"error": str(error)}, status_code=status)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path", "header"))
    message = str(first["msg"])
    sentence = f"{place}: {message}" if place else message
    return JSONResponse({"error": sentence.rstrip(".") + "."}, status_code=422)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    return JSONResponse({"error": f"{error.detail}."}, status_code=error.status_code, headers=error.headers)
