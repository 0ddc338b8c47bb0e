"""What the routes and the sockets work with: the parts of one server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from windlass.app import App
from windlass.events import Event
from windlass.web.access import Access
from windlass.web.crew import Crew
from windlass.web.feed import Feed
from windlass.web.metrics import Metrics


@dataclass
class Services:
    """One server's parts. ``roots`` are the folders below which runs may work and files are listed."""

    app: App
    feed: Feed
    crew: Crew
    access: Access
    metrics: Metrics
    roots: tuple[Path, ...]
    url: str
    #: The name of the session's cookie.
    cookie: str
    #: How many Socket.IO connections are open.
    sockets: Callable[[], int] = lambda: 0
    #: Those who read a run's events as a stream; None ends one.
    readers: dict[str, list[asyncio.Queue[Event | None]]] = field(default_factory=dict)

    async def to_readers(self, event: Event) -> None:
        """A sink for the feed."""
        for inbox in self.readers.get(event.run_id, ()):
            inbox.put_nowait(event)

    def end_streams(self) -> None:
        """The server stops: nobody's stream holds it up."""
        for inboxes in self.readers.values():
            for inbox in inboxes:
                inbox.put_nowait(None)
