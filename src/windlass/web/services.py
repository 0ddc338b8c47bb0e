"""What the routes and the sockets work with: the parts of one server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from windlass.app import App
from windlass.events import Event
from windlass.web.access import Access
from windlass.web.crew import Crew
from windlass.web.feed import Feed
from windlass.web.metrics import Metrics
from windlass.web.readers import Reader


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
    #: Those who read a run's events as a stream.
    readers: dict[str, list[Reader]] = field(default_factory=dict)

    async def to_readers(self, event: Event) -> None:
        """A sink for the feed."""
        for reader in self.readers.get(event.run_id, ()):
            if not reader.give(event):
                self.metrics.add("windlass_slow_clients_total")

    def end_streams(self) -> None:
        """The server stops: nobody's stream holds it up."""
        for readers in self.readers.values():
            for reader in readers:
                reader.end()
