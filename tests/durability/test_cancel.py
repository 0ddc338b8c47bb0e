"""Cancelling a run from outside while something else happens to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.harness import GOOD, coding_engine
from windlass import control
from windlass.errors import JournalError
from windlass.events import Event, WorkflowStatus
from windlass.journal import Lease, MemoryJournal, RunRecord
from windlass.llm.base import BaseLLMIntegration, CallTags, Message, OnText, Reply
from windlass.llm.prices import FREE
from windlass.owners import owner_name
from windlass.people import StopSignal


class EndsMeanwhile(MemoryJournal):
    """A journal whose run comes to its own end just before somebody else would own it."""

    held: Lease | None = None
    end = WorkflowStatus.Success

    async def acquire(self, run_id: str, owner: str, *, ttl: float = 30.0) -> Lease:
        held, self.held = self.held, None
        if held is not None:
            await self.update_run(held, status=self.end, summary="Done.", finished_at=5.0)
            await self.release(held)
        return await super().acquire(run_id, owner, ttl=ttl)


@pytest.mark.parametrize("now", [True, False])
@pytest.mark.parametrize(
    "end", [WorkflowStatus.Success, WorkflowStatus.Failure, WorkflowStatus.Cancelled], ids=str
)
async def test_how_a_run_ended_is_never_written_over(now: bool, end: WorkflowStatus) -> None:
    journal = EndsMeanwhile()
    journal.end = end
    await journal.create_run(RunRecord("run1", "chat", "t", status=WorkflowStatus.Started))
    # Owned by a living process, which --now takes it from; without, by nobody that lives.
    owner = owner_name() if now else "host:1:-:-:abcd"
    journal.held = await journal.acquire("run1", owner, ttl=30.0 if now else 0.0)
    with pytest.raises(JournalError, match=rf"has ended in {end.value}; there is nothing to cancel"):
        await control.cancel(journal, "run1", now=now)
    record = await journal.get_run("run1")
    assert (record.status, record.summary, record.finished_at) == (end, "Done.", 5.0)
    assert record.owner is None
    assert await journal.events("run1") == []


@pytest.mark.parametrize("now", [True, False])
async def test_a_database_whose_clock_is_behind_keeps_nobody_from_cancelling(now: bool) -> None:
    journal = MemoryJournal(clock=lambda: time.time() - 300)
    await journal.create_run(RunRecord("run1", "chat", "t", status=WorkflowStatus.Started))
    await journal.acquire("run1", owner_name(), ttl=30.0)  # it lives, and seems to be over by our clock
    record = await control.cancel(journal, "run1", now=now)
    assert (record.status is WorkflowStatus.Cancelled) == now
    assert record.cancel_requested != now


class AskedMeanwhile(MemoryJournal):
    """A journal whose run somebody cancels while its new owner still gets ready."""

    async def events(self, run_id: str, *, since: int = 0, limit: int = 100_000) -> list[Event]:
        await self.request_cancel(run_id)
        return await super().events(run_id, since=since, limit=limit)


class Waits(BaseLLMIntegration):
    """Replies once somebody asked the run to stop."""

    model_name = "test:waits"
    price = FREE

    def __init__(self, stop: StopSignal) -> None:
        self._stop = stop

    async def request(
        self, messages: Sequence[Message], *, tags: CallTags | None = None, on_text: OnText | None = None
    ) -> Reply:
        await self._stop.wait()
        return Reply(str(GOOD["requirement_step"]), self.model_name)


async def test_a_cancel_while_the_run_is_made_ready_is_not_forgotten(tmp_path: Path) -> None:
    stop = StopSignal()
    engine = coding_engine(tmp_path, Waits(stop))
    engine.journal, engine.stop = AskedMeanwhile(), stop
    ended = await asyncio.wait_for(engine.go(), 30)
    assert ended.status is WorkflowStatus.Cancelled
