"""Steps keep their numbers, nothing is said twice, and events are stored before they are heard."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from windlass.errors import LeaseLost
from windlass.events import Event, StepStatus, WorkflowStatus
from windlass.journal import Lease, MemoryJournal, RunRecord
from windlass.plan import EventLog, PlanStep, build_plan

A, B = PlanStep("a", "First", "do a"), PlanStep("b", "Second", "do b", {"n": 1})


def fresh(step: PlanStep) -> PlanStep:
    return PlanStep(step.path, step.module, step.description, step.parameters)


class Room:
    """A journal with one run, and logs over it."""

    def __init__(self, journal: MemoryJournal, lease: Lease) -> None:
        self.journal = journal
        self.lease = lease
        self.heard: list[Event] = []

    async def log(self) -> EventLog:
        earlier = await self.journal.events("run1")
        return EventLog(
            "run1", self.journal, self.lease, workflow_name="W", listeners=[self.heard.append], earlier=earlier,
            clock=lambda: 5.0,
        )  # fmt: skip

    async def stored(self) -> list[Event]:
        return list(await self.journal.events("run1"))


@pytest.fixture
async def room() -> Room:
    journal = MemoryJournal()
    await journal.create_run(RunRecord("run1", "w", "t"))
    return Room(journal, await journal.acquire("run1", "me"))


def test_the_shape_of_a_plan() -> None:
    plan = build_plan("Chat Workflow", [fresh(A), fresh(B)])
    assert plan == {
        "version": "1.0", "workflow_name": "Chat Workflow", "status": "pending",
        "steps": [
            {"step_id": 1, "module": "First", "description": "do a", "parameters": {}, "status": "pending",
             "response": "", "path": "a"},
            {"step_id": 2, "module": "Second", "description": "do b", "parameters": {"n": 1}, "status": "pending",
             "response": "", "path": "b"},
        ],
    }  # fmt: skip


async def test_numbers_are_contiguous_and_kept_when_the_plan_grows(room: Room) -> None:
    log = await room.log()
    log.declare([fresh(A), fresh(B)])
    log.declare([fresh(A)])
    log.declare([PlanStep("a[x]", "Third", "")])
    await log.flush()
    plans = [e.payload["workflow"] for e in room.heard if e.name == "send_workflow"]
    assert [[s["path"] for s in plan["steps"]] for plan in plans] == [["a", "b"], ["a", "b", "a[x]"]]
    assert [s["step_id"] for s in plans[-1]["steps"]] == [1, 2, 3]
    assert (log.number("a"), log.number("a[x]")) == (1, 3)


async def test_no_status_twice_and_the_response_after_finished(room: Room) -> None:
    log = await room.log()
    log.declare([fresh(A)])
    for status in (
        StepStatus.IN_PROGRESS,
        StepStatus.IN_PROGRESS,
        StepStatus.STREAMING,
        StepStatus.STREAMING,
    ):
        log.status("a", status)
    log.status("a", StepStatus.FINISHED, response="text")
    log.status("a", StepStatus.FINISHED, response="again")
    log.status("a", StepStatus.ERROR, error="late")
    await log.flush()
    said = [{k: e.payload[k] for k in ("status", "response") if k in e.payload} for e in room.heard[1:]]
    assert said == [
        {"status": "in-progress"}, {"status": "streaming"}, {"status": "finished"}, {"response": "text"}
    ]  # fmt: skip


async def test_events_are_numbered_stored_and_the_same_as_heard(room: Room) -> None:
    log = await room.log()
    log.declare([fresh(A)])
    log.status("a", StepStatus.IN_PROGRESS)
    log.text("a", "streamed")
    log.notice("Look.", path="a")
    log.run_status(WorkflowStatus.Success)
    await log.flush()
    stored = await room.stored()
    assert [e.seq for e in stored] == list(range(1, len(stored) + 1))
    assert [e for e in room.heard if e.seq is not None] == stored
    assert all(
        e.payload["run_id"] == "run1" and e.payload["event_id"] == e.seq and e.at == 5.0 for e in stored
    )
    # Streamed text is heard and never stored.
    assert [e.payload["delta"] for e in room.heard if e.name == "text"] == ["streamed"]
    assert "text" not in {e.name for e in stored}


async def test_neighbouring_text_is_merged_and_a_reset_keeps_its_place(room: Room) -> None:
    log = await room.log()
    log.declare([fresh(A), fresh(B)])
    for path, delta in (("a", "1"), ("a", "2"), ("b", "x"), ("a", "3")):
        log.text(path, delta)
    log.text_reset("a")
    log.text("a", "4")
    log.text("a", "")
    await log.flush()
    texts = [(e.name, e.payload["path"], e.payload.get("delta")) for e in room.heard if e.seq is None]
    assert texts == [
        ("text", "a", "12"), ("text", "b", "x"), ("text", "a", "3"), ("text_reset", "a", None), ("text", "a", "4"),
    ] or "".join(t[2] or "" for t in texts if t[1] == "a") == "1234"  # fmt: skip
    assert texts.index(("text_reset", "a", None)) < texts.index(("text", "a", "4"))


async def test_a_run_that_comes_back_says_its_plan_once_and_no_finished_step_again(room: Room) -> None:
    log = await room.log()
    log.declare([fresh(A), fresh(B)])
    log.status("a", StepStatus.IN_PROGRESS)
    log.status("a", StepStatus.FINISHED, response="done")
    log.status("b", StepStatus.IN_PROGRESS)
    await log.close()
    room.heard.clear()
    again = await room.log()
    again.declare([fresh(A), fresh(B)])
    again.declare([fresh(B)])
    again.status("a", StepStatus.IN_PROGRESS)
    again.status("a", StepStatus.FINISHED, response="done")
    again.status("b", StepStatus.IN_PROGRESS)
    await again.flush()
    assert [e.name for e in room.heard] == ["send_workflow", "update_workflow_step"]
    assert [(s["path"], s["status"]) for s in room.heard[0].payload["workflow"]["steps"]] == [
        ("a", "finished"), ("b", "pending"),
    ]  # fmt: skip
    stored = await room.stored()
    assert [e.seq for e in stored] == list(range(1, len(stored) + 1))


async def test_what_cannot_be_stored_is_not_heard(room: Room) -> None:
    log = await room.log()
    log.declare([fresh(A)])
    await log.flush()
    await room.journal.acquire("run1", "me")  # a newer epoch: this log's lease is void
    log.status("a", StepStatus.IN_PROGRESS)
    with pytest.raises(LeaseLost):
        await log.flush()
    assert [e.name for e in room.heard] == ["send_workflow"]
    log.notice("still")
    await log.close()
    assert len(room.heard) == 1


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), asyncio.CancelledError()])
async def test_a_listener_that_raises_is_dropped_and_the_others_are_told_once(
    room: Room, error: BaseException
) -> None:
    calls: list[str] = []

    def broken(event: Event) -> None:
        calls.append(event.name)
        raise error

    log = await room.log()
    log.listeners.insert(0, broken)
    log.declare([fresh(A)])
    log.status("a", StepStatus.IN_PROGRESS)
    await asyncio.wait_for(log.flush(), 10)
    log.status("a", StepStatus.FINISHED, response="text")
    await asyncio.wait_for(log.close(), 10)
    assert calls == ["send_workflow"]
    notices = [e.payload for e in room.heard if e.name == "notice"]
    assert [n["listener"] for n in notices] == [type(error).__name__]
    assert "the run goes on" in notices[0]["text"]
    # The others missed nothing, and what they heard is what is stored.
    assert [e.name for e in room.heard if e.name != "notice"] == [
        "send_workflow",
        *["update_workflow_step"] * 3,
    ]
    assert room.heard == await room.stored()


async def test_a_listener_that_breaks_over_the_last_event_is_told_of_too(room: Room) -> None:
    def broken(event: Event) -> None:
        raise ValueError("no")

    log = await room.log()
    log.listeners.append(broken)
    log.run_status(WorkflowStatus.Success)
    await asyncio.wait_for(log.close(), 10)
    assert [e.name for e in await room.stored()] == ["run_status", "notice"]


async def test_whatever_storing_raises_ends_the_run_and_no_flush_waits_for_ever(room: Room) -> None:
    class Refusing(MemoryJournal):
        async def append_events(self, lease: Lease, events: Sequence[Event]) -> None:
            raise TypeError("no JSON")

    room.journal = Refusing()
    log = await room.log()
    log.notice("Look.")
    with pytest.raises(TypeError):
        await asyncio.wait_for(log.flush(), 10)
    await asyncio.wait_for(log.close(), 10)
    assert room.heard == []


async def test_flush_of_nothing_ends(room: Room) -> None:
    log = await room.log()
    await log.flush()
    await log.close()
    assert await room.stored() == []


def test_extra_keys_only_add() -> None:
    row: dict[str, Any] = build_plan("W", [fresh(A)])["steps"][0]
    assert row.keys() >= {"step_id", "module", "description", "parameters", "status", "response"}
