"""Socket.IO: events as they happen, replayed from the database to whoever comes late; and clients of the original.

A client says ``subscribe {run, since}``. It joins the run's room first and gets the stored events after ``since`` in
the acknowledgement, so an event can come twice but never not at all; numbers tell. A client that does not read
is cut off, connects again and asks for what it missed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import socketio
from starlette.types import Receive, Scope, Send

from windlass.errors import WindlassError
from windlass.events import Event
from windlass.journal import RunRecord
from windlass.web import classic, starting
from windlass.web.limits import MAX_BACKLOG, MAX_BACKLOG_CHARS, MAX_BODY, MAX_SOCKETS, MAX_WATCHED, Rate
from windlass.web.services import Services

#: The room of those who want to hear how every run stands.
ALL_RUNS = "*"
NAMESPACE = "/"


@dataclass
class _Client:
    eio_sid: str
    watched: set[str] = field(default_factory=set)


class Live:
    """The Socket.IO side of one server; ``asgi`` is its application."""

    def __init__(self, services: Services) -> None:
        self.services = services
        # Origin and Host are checked by the gate outside, which does not believe forwarding headers as this would.
        self.sio = socketio.AsyncServer(
            async_mode="asgi",
            cors_allowed_origins="*",
            max_http_buffer_size=MAX_BODY,
            http_compression=False,
            logger=False,
            engineio_logger=False,
        )
        self._asgi = socketio.ASGIApp(self.sio)
        #: How to end a websocket at once, by its Engine.IO id once it has one.
        self._aborts: dict[str, Callable[[], None]] = {}
        self._clients: dict[str, _Client] = {}
        self._closing: set[asyncio.Future[None]] = set()
        self._asked = Rate(burst=60, per_second=10)
        self._started = Rate(burst=10, per_second=0.5)
        self.sio.on("connect", self._connect)
        self.sio.on("disconnect", self._disconnect)
        self.sio.on("subscribe", self._guarded(self._subscribe))
        self.sio.on("unsubscribe", self._guarded(self._unsubscribe))
        self.sio.on("start_stream", self._start_stream)
        services.feed.add_sink(self.deliver)

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application under ``/socket.io``."""
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        eio_sid = query.get("sid", [""])[0]
        if scope["type"] == "websocket" and eio_sid:
            # A connection that began with polling and goes on as a websocket.
            self._aborts[eio_sid] = scope["windlass.abort"]
        await self._asgi(scope, receive, send)

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._clients)

    async def deliver(self, event: Event) -> None:
        """A sink for the feed."""
        rooms = [event.run_id, ALL_RUNS] if event.name == "run_status" else [event.run_id]
        if not any(self._members(room) for room in rooms):
            return
        payload = {"run_id": event.run_id, "at": event.at, **event.payload}
        await self.sio.emit(event.name, payload, room=rooms)
        self._cut_off_slow(rooms)

    async def close(self) -> None:
        """Say goodbye to every client."""
        for sid in list(self._clients):
            with contextlib.suppress(KeyError):
                await self.sio.disconnect(sid)

    # -- clients --------------------------------------------------------------------------------

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: Any = None) -> None:
        if len(self._clients) >= MAX_SOCKETS:
            raise socketio.exceptions.ConnectionRefusedError("This server has too many open connections.")
        self._clients[sid] = _Client(self.sio.manager.eio_sid_from_sid(sid, NAMESPACE))
        scope = environ["asgi.scope"]
        if scope["type"] == "websocket":
            self._aborts[self._clients[sid].eio_sid] = scope["windlass.abort"]

    async def _disconnect(self, sid: str, reason: str = "") -> None:
        client = self._clients.pop(sid, None)
        if client is not None:
            self._aborts.pop(client.eio_sid, None)
            for run_id in client.watched:
                self.services.feed.unwatch(run_id)

    def _guarded(
        self, handler: Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any]]]
    ) -> Callable[..., Awaitable[dict[str, Any]]]:
        """A handler that answers whatever it is sent, with ``{"error": sentence}`` where it cannot serve it."""

        async def handle(sid: str, *args: Any) -> dict[str, Any]:
            if not self._asked.allows(sid):
                return {"error": "Too many requests; wait a second."}
            if len(args) != 1 or not isinstance(args[0], dict) or sid not in self._clients:
                return {"error": "Send one object, such as {run: RUN_ID, since: 0}."}
            try:
                return await handler(sid, args[0])
            except WindlassError as error:
                return {"error": str(error)}

        return handle

    async def _subscribe(self, sid: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        run, since = wanted.get("run"), wanted.get("since", 0)
        since = 0 if since is None else since
        if run == ALL_RUNS:
            await self.sio.enter_room(sid, ALL_RUNS)
            return {"events": [], "last": 0}
        if not isinstance(run, str) or not isinstance(since, int) or isinstance(since, bool) or since < 0:
            return {"error": "Send one object, such as {run: RUN_ID, since: 0}."}
        await self.services.app.journal.get_run(run, whole=True)
        client = self._clients.get(sid)
        if client is None:
            # It left while the run was looked up.
            return {"error": "The connection has ended."}
        if run not in client.watched:
            if len(client.watched) >= MAX_WATCHED:
                return {"error": f"One connection can watch {MAX_WATCHED} runs; unsubscribe from some."}
            client.watched.add(run)
            self.services.feed.watch(run)
        await self.sio.enter_room(sid, run)
        events, last = await self.services.feed.replay(run, since)
        return {
            "events": [as_json(event) for event in events],
            "last": last,
            "texts": self.services.feed.streamed(run),
        }

    async def _unsubscribe(self, sid: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        run = wanted.get("run")
        if not isinstance(run, str):
            return {"error": "Send one object, such as {run: RUN_ID}."}
        client = self._clients[sid]
        if run in client.watched:
            client.watched.discard(run)
            self.services.feed.unwatch(run)
        await self.sio.leave_room(sid, run)
        return {}

    # -- clients of the original ----------------------------------------------------------------

    async def _start_stream(self, sid: str, *args: Any) -> dict[str, Any]:
        """Start a run and send its events; then ``response`` and ``stream_end``, or ``error``."""
        try:
            if not self._started.allows("all"):
                raise WindlassError("Too many runs were started; wait a few seconds.")
            wanted = classic.read(args[0] if args else None)
            record = await starting.create(self.services.app, self.services.roots, **wanted)
        except WindlassError as error:
            await self.sio.emit("error", {"error": str(error)}, to=sid)
            await self.sio.emit("stream_end", {"status": "Failure"}, to=sid)
            return {"error": str(error)}
        run_id = record.run_id
        if sid in self._clients and run_id not in self._clients[sid].watched:
            self._clients[sid].watched.add(run_id)
            self.services.feed.watch(run_id)
            await self.sio.enter_room(sid, run_id)

        async def done(record: RunRecord | None, wrong: str | None) -> None:
            await self._end_stream(sid, run_id, record, wrong)

        self.services.crew.start(run_id, done=done)
        return {"run_id": run_id}

    async def _end_stream(self, sid: str, run_id: str, record: RunRecord | None, wrong: str | None) -> None:
        events = await self.services.app.journal.events(run_id)
        # What is still on its way to this client goes first.
        await self.services.feed.passed_on()
        for name, payload in classic.ending(run_id, record, wrong, events):
            await self.sio.emit(name, payload, to=sid)

    # -- those who do not read ------------------------------------------------------------------

    def _members(self, room: str) -> dict[str, str]:
        rooms = self.sio.manager.rooms.get(NAMESPACE, {})
        return dict(rooms[room]) if room in rooms else {}

    def _cut_off_slow(self, rooms: list[str]) -> None:
        for room in rooms:
            for eio_sid in self._members(room).values():
                socket = self.sio.eio.sockets.get(eio_sid)
                if socket is not None and not socket.closed and _is_behind(socket.queue):
                    self.services.metrics.add("windlass_slow_clients_total")
                    self._abort(eio_sid, socket)

    def _abort(self, eio_sid: str, socket: Any) -> None:
        """Forget what waits for the client and end its connection without waiting for it to read."""
        while not socket.queue.empty():
            socket.queue.get_nowait()
            socket.queue.task_done()
        if eio_sid in self._aborts:
            self._aborts[eio_sid]()
        socket.queue.put_nowait(None)
        task = asyncio.ensure_future(socket.close(wait=False, abort=True))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _is_behind(queue: asyncio.Queue[Any]) -> bool:
    waiting = queue.qsize()
    if waiting > MAX_BACKLOG:
        return True
    if waiting < 16:
        return False
    packets = list(getattr(queue, "_queue"))  # noqa: B009
    return sum(len(p.data) for p in packets if p is not None and isinstance(p.data, str)) > MAX_BACKLOG_CHARS


def as_json(event: Event) -> dict[str, Any]:
    """An event as the API gives it."""
    return {
        "name": event.name,
        "run_id": event.run_id,
        "event_id": event.seq,
        "at": event.at,
        **event.payload,
    }
