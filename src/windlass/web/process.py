"""The server as a process: its socket, its token file, its signals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from windlass.errors import ConfigError, InputError
from windlass.web.access import SHORTEST_TOKEN
from windlass.web.limits import MAX_BODY
from windlass.web.server import ServerOptions, WebServer

#: Seconds that open requests have to end when the server stops; runs have as long as their calls take.
GRACE = 5
#: Seconds after which a connection that asks nothing is closed.
IDLE = 30


def check_options(options: ServerOptions) -> None:
    """Raises ConfigError for what would let strangers in."""
    if options.token is not None and len(options.token) < SHORTEST_TOKEN:
        raise ConfigError(f"The server's token is too short; take at least {SHORTEST_TOKEN} characters.")
    if is_loopback(options.host):
        return
    missing = []
    if options.token is None:
        missing.append("a token (WINDLASS_SERVER__TOKEN)")
    if not options.allowed_hosts:
        missing.append("the names it may be called by (--allow-host)")
    if missing:
        raise ConfigError(
            f"{options.host} can be reached from other machines; for that the server needs {' and '.join(missing)}. "
            "Without --host it listens to this machine only."
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def open_socket(host: str, port: int) -> socket.socket:
    """A listening socket. InputError in one sentence when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InputError(
            f"The server cannot listen to {host}:{port}: {error.strerror or error}. Choose another port with --port."
        ) from None
    listener.set_inheritable(False)
    return listener


class Connection(HttpToolsProtocol):
    """A connection that is closed when no whole request header comes on it in time: thousands that ask nothing must not
    keep others out."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has connected."""
        super().connection_made(transport)
        self._patience = self.loop.call_later(IDLE, transport.abort)

    def on_headers_complete(self) -> None:
        """A request's header is whole; between requests uvicorn itself looks at the clock."""
        self._calm()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._calm()
        super().connection_lost(exc)

    def _calm(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class Process(uvicorn.Server):
    """A uvicorn server that ends as a run of the command line does: the first signal lets calls under way finish, the
    second cuts them off."""

    def __init__(self, server: WebServer) -> None:
        self.web = server
        #: Called once it listens.
        self.when_started: Callable[[], object] = lambda: None
        super().__init__(
            uvicorn.Config(
                server.asgi,
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                lifespan="on",
                http=Connection,
                ws="websockets-sansio",
                ws_per_message_deflate=False,
                ws_max_size=MAX_BODY,
                timeout_keep_alive=IDLE,
                timeout_graceful_shutdown=GRACE,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        if self.started:
            self.when_started()

    @property
    def failed(self) -> bool:
        """Whether it ended without ever having listened."""
        return not self.started

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to stop has come."""
        loop_stop = self.web.stopping if not self.should_exit else self.web.crew.cut_off
        self.web.call_soon(loop_stop)
        self.should_exit = True


@contextlib.contextmanager
def token_file(folder: Path, server: WebServer) -> Iterator[Path]:
    """While it runs, the server's address and token are in a file that only its owner can read."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"server-{server.options.port}.json"
    content = {"url": server.services.url, "token": server.services.access.token, "pid": os.getpid()}
    with contextlib.suppress(FileNotFoundError):
        file.unlink()
    handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as out:
        json.dump(content, out)
    try:
        yield file
    finally:
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
