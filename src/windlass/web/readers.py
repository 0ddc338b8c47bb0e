"""Those who read a run's events as a stream: what waits for each, and an end for one that does not read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from windlass.events import Event
from windlass.web.limits import MAX_BACKLOG


@dataclass(eq=False)
class Reader:
    """One open stream. ``abort`` ends its connection at once, whatever is unsent."""

    abort: Callable[[], None]
    _inbox: asyncio.Queue[Event | None] = field(default_factory=asyncio.Queue)
    _over: bool = False

    def give(self, event: Event) -> bool:
        """Put an event in line. False, once, for a reader that is too far behind: it is cut off, and comes back with
        the number of the last event it got."""
        if self._over:
            return True
        if self._inbox.qsize() < MAX_BACKLOG:
            self._inbox.put_nowait(event)
            return True
        self.end()
        self.abort()
        return False

    def end(self) -> None:
        """Forget what waits; the stream is over."""
        self._over = True
        while not self._inbox.empty():
            self._inbox.get_nowait()
        self._inbox.put_nowait(None)

    async def next(self) -> Event | None:
        """The next event; None at the end."""
        return await self._inbox.get()
