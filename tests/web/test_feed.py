"""What listeners of one server hear of runs that another process works on, whoever opens them when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.journal.journals import run
from tests.web.serving import PATIENCE, settings_for
from windlass.app import App
from windlass.events import Event, WorkflowStatus
from windlass.journal import Lease
from windlass.web.feed import Feed


class Heard:
    """A listener to all runs."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int | None]] = []
        self.news = asyncio.Event()

    async def __call__(self, event: Event) -> None:
        """A sink."""
        self.events.append((event.run_id, event.seq))
        self.news.set()

    async def until(self, run_id: str, seq: int) -> list[int | None]:
        """The numbers heard of a run, once that one came."""
        while (run_id, seq) not in self.events:
            await asyncio.wait_for(self.news.wait(), PATIENCE)
            self.news.clear()
        return [number for of, number in self.events if of == run_id]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[App]:
    """The process that the feed is in."""
    app = App(settings_for(tmp_path, "http://127.0.0.1:9"))
    yield app
    await app.close()


@pytest.fixture
async def elsewhere(tmp_path: Path) -> AsyncIterator[App]:
    """Another process on the same home."""
    app = App(settings_for(tmp_path, "http://127.0.0.1:9"))
    yield app
    await app.close()


async def say(app: App, lease: Lease, *numbers: int) -> None:
    """Store events of a run."""
    events = [Event("notice", lease.run_id, {"text": "hello"}, number, 1.0) for number in numbers]
    await app.journal.append_events(lease, events)


async def test_a_run_that_somebody_opens_first_is_heard_from_its_beginning(here: App, elsewhere: App) -> None:
    heard, feed = Heard(), Feed(here.database, here.journal)
    feed.add_sink(heard)
    await feed.start()
    try:
        await elsewhere.journal.create_run(run("run-0001"))
        lease = await elsewhere.journal.acquire("run-0001", "them")
        await say(elsewhere, lease, 1, 2)
        feed.watch("run-0001")
        events, last = await feed.replay("run-0001", 1)
        assert ([event.seq for event in events], last) == ([2], 2)
        await say(elsewhere, lease, 3)
        assert await heard.until("run-0001", 3) == [1, 2, 3]
        # A number that no run got to yet hides nothing from others.
        assert await feed.replay("run-0001", 99) == ([], 99)
        await say(elsewhere, lease, 4)
        assert await heard.until("run-0001", 4) == [1, 2, 3, 4]
    finally:
        await feed.close()


async def test_opening_a_run_of_long_ago_is_no_news(here: App, elsewhere: App) -> None:
    await elsewhere.journal.create_run(run("run-0001", created_at=1.0, status=WorkflowStatus.Success))
    lease = await elsewhere.journal.acquire("run-0001", "them")
    await say(elsewhere, lease, 1, 2)
    for number in range(50):
        await elsewhere.journal.create_run(run(f"newer-{number}", status=WorkflowStatus.Success))
    heard, feed = Heard(), Feed(here.database, here.journal)
    feed.add_sink(heard)
    await feed.start()
    try:
        feed.watch("run-0001")
        events, last = await feed.replay("run-0001", 0)
        assert ([event.seq for event in events], last) == ([1, 2], 2)
        await say(elsewhere, lease, 3)
        assert await heard.until("run-0001", 3) == [3]
    finally:
        await feed.close()
