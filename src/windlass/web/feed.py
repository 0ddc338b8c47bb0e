"""The events of all runs, in order, whoever works on them: the one place that the server's listeners hear them from.

Runs of this process say their events directly; those of other processes are read from the database, when a note
comes (PostgreSQL) or when a look every quarter of a second finds more. Either way an event is passed on once and
in the order of its number, because what was missed is read from the database first.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection

from windlass.errors import StoreError
from windlass.events import SEND_WORKFLOW, UPDATE_WORKFLOW_STEP, Event
from windlass.journal import Journal
from windlass.store import feed as queries
from windlass.store.base import Database

#: Seconds between looks at the database: a file, and a server (whose processes also send notes).
LOOK_SECONDS = 0.25
LOOK_SECONDS_SERVER = 1.0
#: Seconds between looks at the half-written replies of other processes.
PARTIAL_SECONDS = 1.0

#: Gets every event, in order. What it raises is a bug.
Sink = Callable[[Event], Awaitable[None]]
#: Tells other processes that a run has events up to this number.
Note = Callable[[str, int], None]


def js_length(text: str) -> int:
    """The length of a text as JavaScript counts it, in UTF-16 code units."""
    return len(text) + sum(c > "\uffff" for c in text)


@dataclass
class _Streams:
    """What is being streamed in one run: the text of each step so far."""

    texts: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)


@dataclass
class Feed:
    """Passes events on to sinks. ``start`` and ``close`` belong to the server's life."""

    database: Database
    journal: Journal
    note: Note | None = None
    _sinks: list[Sink] = field(default_factory=list)
    _last: dict[str, int] = field(default_factory=dict)
    _streams: dict[str, _Streams] = field(default_factory=dict)
    _local: set[str] = field(default_factory=set)
    _watched: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _queue: asyncio.Queue[Event | tuple[str, int]] = field(default_factory=asyncio.Queue)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _seen_version: Any = None

    def add_sink(self, sink: Sink) -> None:
        """Call this with every event from now on."""
        self._sinks.append(sink)

    # -- in -------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """A listener for the runs of this process."""
        self._queue.put_nowait(event)
        if event.seq is not None and self.note is not None:
            self.note(event.run_id, event.seq)

    def heard(self, run_id: str, last: int) -> None:
        """A note has come: another process's run has events up to this number."""
        if run_id not in self._local:
            self._queue.put_nowait((run_id, last))

    def begin_local(self, run_id: str) -> None:
        """This process works on the run from now on: it says its events itself."""
        self._local.add(run_id)

    def end_local(self, run_id: str) -> None:
        """This process has let go of the run."""
        self._local.discard(run_id)

    # -- who watches ----------------------------------------------------------------------------

    def watch(self, run_id: str) -> None:
        """Somebody wants every event of the run, also when another process works on it."""
        self._watched[run_id] += 1

    def unwatch(self, run_id: str) -> None:
        """One watcher less."""
        self._watched[run_id] -= 1
        if self._watched[run_id] <= 0:
            del self._watched[run_id]

    async def replay(self, run_id: str, since: int) -> tuple[list[Event], int]:
        """The stored events after ``since``, and the number of the last one.

        Events after that number are passed on to the sinks: whoever watched before calling this misses nothing. Of a
        run that is new to this server all events are: who listens to all runs has heard none of them.
        """
        if run_id not in self._last:
            at_rest = await asyncio.to_thread(self._last_at_rest, run_id)
            if at_rest is not None:
                # It was so before this server began: what is stored of it is not news.
                self._last.setdefault(run_id, at_rest)
        events = await self.journal.events(run_id, since=since)
        return events, max([since, *(event.seq or 0 for event in events)])

    def streamed(self, run_id: str) -> list[dict[str, Any]]:
        """The text that has come of each reply that is being streamed right now."""
        streams = self._streams.get(run_id)
        if streams is None:
            return []
        return [
            {"step": streams.numbers.get(path), "path": path, "text": text}
            for path, text in streams.texts.items()
            if text
        ]

    async def look(self, run_id: str) -> None:
        """Pass on what is new of a run that this process has just changed without working on it."""
        for event in await self.journal.events(run_id, since=self._last.get(run_id, 0)):
            self.on_event(event)

    async def passed_on(self) -> None:
        """Return when everything that was said before has been passed on."""
        await self._queue.join()

    # -- out ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to pass events on. What was stored before is not news."""
        await self._look(news=False)
        self._tasks = [asyncio.create_task(self._pump()), asyncio.create_task(self._look_again())]

    @property
    def alive(self) -> bool:
        """Whether events are being passed on."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    async def close(self) -> None:
        """Pass on what is queued, and stop."""
        if self.alive:
            await asyncio.wait(
                {asyncio.ensure_future(self._queue.join()), *self._tasks},
                timeout=5,
                return_when="FIRST_COMPLETED",
            )
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pump(self) -> None:
        while True:
            item = await self._queue.get()
            try:
                if isinstance(item, Event):
                    await self._take(item)
                else:
                    await self._catch_up(*item)
            except StoreError:
                # The database is away: the next look finds what is missing.
                continue
            finally:
                self._queue.task_done()

    async def _take(self, event: Event) -> None:
        if event.seq is not None:
            last = self._last.setdefault(event.run_id, event.seq - 1)
            if event.seq <= last:
                return
            if event.seq > last + 1:
                await self._catch_up(event.run_id, event.seq - 1)
            self._last[event.run_id] = event.seq
        await self._deliver(event)

    async def _catch_up(self, run_id: str, upto: int) -> None:
        last = self._last.get(run_id, 0)
        if upto <= last:
            return
        for event in await self.journal.events(run_id, since=last, limit=upto - last):
            self._last[run_id] = event.seq or 0
            await self._deliver(event)

    async def _deliver(self, event: Event) -> None:
        event = self._with_offset(event)
        for sink in self._sinks:
            await sink(event)

    def _with_offset(self, event: Event) -> Event:
        """Streamed text gets its place in the step's text, so that a reader who came late can join in."""
        path = event.payload.get("path")
        if event.name == "text":
            streams = self._streams.setdefault(event.run_id, _Streams())
            before = streams.texts.get(path or "", "")
            streams.texts[path or ""] = before + event.payload["delta"]
            streams.numbers[path or ""] = event.payload["step"]
            payload = {"run_id": event.run_id, **event.payload, "offset": js_length(before)}
            return Event("text", event.run_id, payload)
        if event.name == "text_reset":
            if event.run_id in self._streams:
                self._streams[event.run_id].texts.pop(path or "", None)
            return Event("text_reset", event.run_id, {"run_id": event.run_id, **event.payload})
        turned = (
            event.name == UPDATE_WORKFLOW_STEP and event.payload.get("status", "streaming") != "streaming"
        )
        if turned and event.run_id in self._streams:
            self._streams[event.run_id].texts.pop(path or "", None)
        if event.name == "run_status" and event.payload["status"] != "Started":
            self._streams.pop(event.run_id, None)
        return event

    # -- other processes ------------------------------------------------------------------------

    async def _look_again(self) -> None:
        pause = LOOK_SECONDS if self.database.is_sqlite else LOOK_SECONDS_SERVER
        next_partials = 0.0
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(pause)
            try:
                await self._look(news=True)
                if loop.time() >= next_partials:
                    next_partials = loop.time() + PARTIAL_SECONDS
                    await self._look_at_partials()
            except StoreError:
                continue

    async def _look(self, *, news: bool) -> None:
        # Of a watched run that was at rest, `replay` says first what is not news.
        found = await asyncio.to_thread(self._latest, self._watched.keys() & self._last.keys())
        for run_id, last in found.items():
            if run_id in self._local:
                continue
            if not news:
                self._last[run_id] = last
            elif last > self._last.get(run_id, 0):
                self._queue.put_nowait((run_id, last))

    def _last_at_rest(self, run_id: str) -> int | None:
        """The number of the run's last event; None while it may say more."""
        with self.database.reading() as connection:
            last = queries.last_events(connection, {run_id}).get(run_id, 0)
            return None if run_id in queries.lively_runs(connection) else last

    def _latest(self, known: set[str]) -> dict[str, int]:
        with self.database.reading() as connection:
            return queries.last_events(connection, queries.lively_runs(connection) | known)

    async def _look_at_partials(self) -> None:
        foreign = [run_id for run_id in self._watched if run_id not in self._local]
        if not foreign:
            return

        def read(connection: Connection) -> list[tuple[str, str, str]]:
            return queries.partial_texts(connection, foreign)

        def work() -> list[tuple[str, str, str]]:
            with self.database.reading() as connection:
                return read(connection)

        for run_id, effect, text in await asyncio.to_thread(work):
            path = effect.rpartition("/")[0]
            streams = self._streams.setdefault(run_id, _Streams())
            known = streams.texts.get(path, "")
            if text == known:
                continue
            number = streams.numbers.get(path)
            if number is None:
                number = await self._number(run_id, path)
            if not text.startswith(known):
                self._queue.put_nowait(Event("text_reset", run_id, {"step": number, "path": path}))
                known = ""
            delta = text[len(known) :]
            self._queue.put_nowait(Event("text", run_id, {"step": number, "path": path, "delta": delta}))

    async def _number(self, run_id: str, path: str) -> int | None:
        """A step's number in the plan of a run that another process works on."""
        events = await self.journal.events(run_id)
        return next(numbers_of(events, path), None)


def numbers_of(events: Iterable[Event], path: str) -> Iterator[int]:
    """The numbers that plans gave to a step."""
    for event in events:
        if event.name == SEND_WORKFLOW:
            for row in event.payload["workflow"]["steps"]:
                if row["path"] == path:
                    yield row["step_id"]
