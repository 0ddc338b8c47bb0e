"""A state machine over a run's events: what SPEC B1-B4 promise to a client, checked event by event."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windlass.events import Event

ENDS = {"finished", "error", "skipped", "waiting"}
RUN_ENDS = {"Success", "Failure", "Waiting", "Cancelled", "Started"}
#: What may follow what; a step may be skipped before it started.
NEXT = {
    "pending": {"in-progress", "skipped"},
    "in-progress": {"streaming", *ENDS},
    "streaming": ENDS,
}


class EventMachine:
    """Takes every event of a run, streamed text included; an assertion says what is out of order.

    A session is one process's work on the run: it begins with ``run_status`` Started.
    """

    def __init__(self) -> None:
        self.status: dict[int, str] = {}
        self.paths: dict[int, str] = {}
        self.modules: dict[int, str] = {}
        self.seq = 0
        self.awaited: int | None = None
        self.ended: str | None = None
        self.plans: list[dict[str, Any]] = []
        self.started: set[int] = set()
        self.sent = False

    def take(self, event: Event) -> None:
        if event.seq is not None:
            assert event.seq == self.seq + 1, f"event {event.seq} after {self.seq}"
            self.seq = event.seq
            assert event.payload["event_id"] == event.seq
            assert event.payload["run_id"] == event.run_id
        if self.awaited is not None:
            assert event.name == "update_workflow_step" and "response" in event.payload, (
                f"step {self.awaited} finished, but its response did not follow: {event}"
            )
        getattr(self, f"_{event.name}", self._other)(event.payload)

    def _run_status(self, payload: Any) -> None:
        assert payload["status"] in {*RUN_ENDS, "Pending"}
        if payload["status"] == "Started" and "workflow" in payload:
            # A session begins: what an earlier one left open is void; the plan must say how things stand.
            self.ended, self.sent, self.started = None, False, set()
        else:
            assert self.ended is None, "the run ended twice"
            self.ended = payload["status"]

    def _send_workflow(self, payload: Any) -> None:
        plan = payload["workflow"]
        assert self.ended is None
        assert set(plan) >= {"version", "workflow_name", "status", "steps"} and plan["version"] == "1.0"
        rows = plan["steps"]
        assert [row["step_id"] for row in rows] == list(range(1, len(rows) + 1))
        assert len({row["path"] for row in rows}) == len(rows)
        for row in rows:
            number = row["step_id"]
            keys = {"step_id", "module", "description", "parameters", "status", "response"}
            assert set(row) >= keys
            if number in self.paths:
                assert (self.paths[number], self.modules[number]) == (row["path"], row["module"])
            self.paths[number], self.modules[number] = row["path"], row["module"]
            if self.sent and number in self.started and self.status[number] not in ENDS:
                assert row["status"] == self.status[number], "a plan contradicts what was said of a step"
            if row["status"] == "pending":
                self.started.discard(number)
            self.status[number] = row["status"]
        assert len(rows) >= len(self.paths), "the plan shrank"
        self.plans.append(plan)
        self.sent = True

    def _update_workflow_step(self, payload: Any) -> None:
        number = payload["step"]
        assert self.sent and number in self.status, f"step {number} was not declared before"
        assert payload["path"] == self.paths[number]
        told = [key for key in ("status", "response", "file_name") if key in payload]
        assert len(told) == 1, payload
        if "response" in payload:
            assert self.awaited == number, "a response that no finished step waits for"
            assert isinstance(payload["response"], str)
            self.awaited = None
            return
        if "file_name" in payload:
            assert self.status[number] in ("in-progress", "streaming")
            return
        new, old = payload["status"], self.status[number]
        assert new in NEXT.get(old, set()), f"step {number}: {new} after {old}"
        if new == "error":
            assert payload["error"]
        self.status[number] = new
        self.started.add(number)
        if new == "finished":
            self.awaited = number

    def _text(self, payload: Any) -> None:
        number = payload["step"]
        assert self.status[number] == "streaming", f"text of step {number}, which is {self.status[number]}"
        assert payload["delta"]

    def _other(self, payload: Any) -> None:
        assert self.ended is None, "something happened after the end"

    def done(self, status: str) -> EventMachine:
        """The run has ended so, and nothing that was declared is left without an end."""
        assert self.awaited is None
        assert self.ended == status, f"the run ended in {self.ended}"
        if status in ("Success", "Failure"):
            left = [self.paths[n] for n, said in self.status.items() if said not in ENDS]
            assert left == [], f"declared, but without an end: {left}"
        if status == "Success":
            assert set(self.status.values()) <= {"finished", "skipped"}
        return self


def check_events(events: Iterable[Event], status: str) -> EventMachine:
    """All events of a run so far, through the machine."""
    machine = EventMachine()
    for event in events:
        machine.take(event)
    return machine.done(status)
