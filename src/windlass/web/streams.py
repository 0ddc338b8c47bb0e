"""A run's events as Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from windlass.events import Event
from windlass.web import stats
from windlass.web.live import as_json
from windlass.web.readers import Reader
from windlass.web.services import Services

#: Seconds without an event after which a comment shows that the server is still there.
SILENCE = 15.0


async def event_stream(
    services: Services, run_id: str, since: int, abort: Callable[[], None]
) -> AsyncIterator[str]:
    """The stored events after ``since``, then live ones, until the run ends or the server stops. ``abort`` ends the
    connection of a client that does not read."""
    reader = Reader(abort)
    services.readers.setdefault(run_id, []).append(reader)
    services.feed.watch(run_id)
    try:
        events, last = await services.feed.replay(run_id, since)
        for event in events:
            yield as_sse(event)
        for streamed in services.feed.streamed(run_id):
            text = {"run_id": run_id, "step": streamed["step"], "path": streamed["path"]}
            yield as_sse(Event("text", run_id, {**text, "delta": streamed["text"], "offset": 0}))
        over = ended(events) or (not events and await _was_over(services, run_id, last))
        while not over:
            try:
                item = await asyncio.wait_for(reader.next(), SILENCE)
            except TimeoutError:
                yield ": \n\n"
                continue
            if item is None:
                return
            if item.seq is not None:
                if item.seq <= last:
                    continue
                last = item.seq
            yield as_sse(item)
            over = ended([item])
    finally:
        services.feed.unwatch(run_id)
        services.readers[run_id].remove(reader)
        if not services.readers[run_id]:
            del services.readers[run_id]


async def _was_over(services: Services, run_id: str, last: int) -> bool:
    """Whether event number ``last`` was the end of the run."""
    return last > 0 and ended(await services.app.journal.events(run_id, since=last - 1, limit=1))


def ended(events: list[Event]) -> bool:
    """Whether the last of these events says that the run is over."""
    return bool(events) and events[-1].name == "run_status" and events[-1].payload["status"] in stats.ENDED


def as_sse(event: Event) -> str:
    """One event on the wire; streamed text has no number."""
    number = "" if event.seq is None else f"id: {event.seq}\n"
    return f"{number}event: {event.name}\ndata: {json.dumps(as_json(event), ensure_ascii=False)}\n\n"
