"""What is asked of a run in the moment between its end, which the page sees, and its coming to rest."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import pytest

from tests.web.serving import Answer, Served, Talk, serving, settings_for, status_of, wait_for
from windlass.app import App
from windlass.journal import Lease, RunRecord
from windlass.store.base import Database
from windlass.store.journal import SqlJournal

WRITE = {"workflow": "write", "prompt": "Write a.txt", "options": {"to": "a.txt", "yes": True}}


class LongMoment(SqlJournal):
    """A journal in which a run that ends is not let go of before :meth:`pass_by`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        #: How often a run was looked up since the moment began.
        self.looks = 0
        self.begun = threading.Event()
        self._over = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def release(self, lease: Lease) -> None:
        self._loop = asyncio.get_running_loop()
        self.looks = 0
        self.begun.set()
        try:
            await self._over.wait()
        finally:
            await super().release(lease)

    async def get_run(self, run_id: str, *, whole: bool = False) -> RunRecord:
        self.looks += 1
        return await super().get_run(run_id, whole=whole)

    def pass_by(self) -> None:
        """The moment is over; there is none from now on."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._over.set)


class SlowToLetGo(App):
    """A process with such a journal."""

    @cached_property
    def journal(self) -> LongMoment:
        return LongMoment(self.database)


@pytest.fixture
def slow(own: tuple[Path, Path, str], talk: Talk) -> Iterator[tuple[Served, LongMoment]]:
    """A server whose runs end slowly, and its journal."""
    home, root, base_url = own
    settings = settings_for(home, base_url)
    usual, talk.answer = talk.answer, Answer("a.txt\n```\nA text.\n```\n")
    app = SlowToLetGo(settings)
    try:
        with serving(settings, root, app=app) as served:
            try:
                yield served, app.journal
            finally:
                app.journal.pass_by()
    finally:
        talk.answer = usual


def test_cancel_now_of_a_run_that_has_just_ended_as_cancelled(
    slow: tuple[Served, LongMoment], talk: Talk, tmp_path: Path
) -> None:
    served, journal = slow
    asked = tmp_path / "asked to end"
    talk.answer = Answer("a.txt\n```\nA text.\n```\n", until=str(asked))
    with served.client() as client:
        run_id = served.start(client, **WRITE)
        wait_for(lambda: client.get(f"/api/runs/{run_id}/calls").json(), why="the call to be under way")
        assert client.post(f"/api/runs/{run_id}/cancel", json={}).status_code == 200
        asked.touch()
        wait_for(journal.begun.is_set, why="the run to end")
        assert status_of(client, run_id) == "Cancelled" and run_id in served.web.crew.at_work()
        again = client.post(f"/api/runs/{run_id}/cancel", json={"now": True})
        assert again.status_code == 200, again.text
        assert status_of(client, run_id) == "Cancelled"
        statuses = [
            event["status"]
            for event in client.get(f"/api/runs/{run_id}/events").json()["events"]
            if event["name"] == "run_status"
        ]
        assert statuses == ["Started", "Cancelled"], "it ends once"


def test_undo_of_a_run_that_has_just_ended_waits_for_it_to_come_to_rest(
    slow: tuple[Served, LongMoment],
) -> None:
    served, journal = slow
    with served.client() as client, served.client() as other, ThreadPoolExecutor(1) as threads:
        run_id = served.start(client, **WRITE)
        wait_for(journal.begun.is_set, why="the run to end")
        written = served.options.roots[0] / "a.txt"
        assert written.read_text() == "A text.\n"
        undo = threads.submit(other.post, f"/api/runs/{run_id}/undo", json={})
        wait_for(lambda: journal.looks, why="the wish to arrive")
        # A refusal would come at once, and so before the answers to these.
        assert {status_of(client, run_id) for _ in range(10)} == {"Success"}
        assert not undo.done(), undo.result().text
        journal.pass_by()
        assert undo.result().json() == [{"path": "a.txt", "change": "deleted"}]
        assert not written.exists()
