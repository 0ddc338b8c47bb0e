"""A run's plan and its event log: steps get their numbers here, and nothing is said twice.

The plan has the shape of the original contract (SPEC B3): ``version``, ``workflow_name``, ``status`` and
``steps`` of ``step_id`` (from 1, contiguous), ``module``, ``description``, ``parameters``, ``status``,
``response``; each step also carries its ``path``. A step keeps its number for ever; new ones go to the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.events import (
    SEND_WORKFLOW,
    STEP_ENDS,
    UPDATE_WORKFLOW_STEP,
    Event,
    Listener,
    StepStatus,
    WorkflowStatus,
)
from windlass.journal.base import Journal, Lease

PLAN_VERSION = "1.0"
#: Streamed text is passed on at most this often (seconds), merged.
TEXT_INTERVAL = 0.06


@dataclass
class PlanStep:
    """One declared step."""

    path: str
    module: str
    description: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    status: StepStatus = StepStatus.PENDING
    response: str = ""

    def to_dict(self, number: int) -> dict[str, Any]:
        """The step in the plan's shape."""
        return {
            "step_id": number,
            "module": self.module,
            "description": self.description,
            "parameters": dict(self.parameters),
            "status": self.status.value,
            "response": self.response,
            "path": self.path,
        }


def build_plan(workflow_name: str, steps: Sequence[PlanStep], status: str = "pending") -> dict[str, Any]:
    """A plan as ``send_workflow`` carries it."""
    return {
        "version": PLAN_VERSION,
        "workflow_name": workflow_name,
        "status": status,
        "steps": [step.to_dict(number) for number, step in enumerate(steps, 1)],
    }


class EventLog:
    """Numbers a run's steps, stores its events, then passes them to listeners, in one order.

    Everything is queued without waiting; :meth:`flush` returns when all of it is stored and delivered.
    A run that goes on after an interruption hands in its earlier events, and what they said is not
    said again. Without a ``workflow_name`` it is called as it was in them.
    """

    def __init__(
        self,
        run_id: str,
        journal: Journal,
        lease: Lease,
        *,
        workflow_name: str,
        listeners: Iterable[Listener] = (),
        earlier: Sequence[Event] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.run_id = run_id
        self.workflow_name = workflow_name
        self.listeners = list(listeners)
        self._journal = journal
        self._lease = lease
        self._clock = clock
        self._steps: dict[str, PlanStep] = {}
        self._numbers: dict[str, int] = {}
        self._seq = 0
        self._answered: set[str] = set()
        self._queue: asyncio.Queue[Event | asyncio.Future[None]] = asyncio.Queue()
        self._pump: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._recall(earlier)

    def _recall(self, earlier: Sequence[Event]) -> None:
        for event in earlier:
            self._seq = max(self._seq, event.seq or 0)
            if event.name == SEND_WORKFLOW:
                for row in event.payload["workflow"]["steps"]:
                    step = PlanStep(
                        row["path"],
                        row["module"],
                        row["description"],
                        row["parameters"],
                        StepStatus(row["status"]),
                        row["response"],
                    )
                    self._steps[step.path] = step
                    self._numbers[step.path] = row["step_id"]
                self.workflow_name = self.workflow_name or event.payload["workflow"]["workflow_name"]
            elif event.name == "gate" and "answer" in event.payload:
                self._answered.add(event.payload["path"])
            elif event.name == UPDATE_WORKFLOW_STEP and "path" in event.payload:
                known = self._steps[event.payload["path"]]
                if "status" in event.payload:
                    known.status = StepStatus(event.payload["status"])
                if "response" in event.payload:
                    known.response = event.payload["response"]
        for step in self._steps.values():
            if step.status is not StepStatus.FINISHED:
                step.status = StepStatus.PENDING
        self._resent = not self._steps

    # -- what steps say -------------------------------------------------------------------------

    def close_run(self, why: str, *, workflow: str, title: str) -> None:
        """Begin a session in which nothing runs any more: the plan as it stands, and every open step is skipped.

        What an earlier session left open (a step that waits, or was under way when its process died) gets its end.
        """
        self.run_status(WorkflowStatus.Started, workflow=workflow, title=title)
        if self._steps:
            self.declare([])
        self.skip_rest(why)

    def declare(self, steps: Sequence[PlanStep]) -> None:
        """Add steps to the plan; sends the plan when it grew (or the run has just come back)."""
        new = [step for step in steps if step.path not in self._steps]
        for step in new:
            self._steps[step.path] = step
            self._numbers[step.path] = len(self._steps)
        if new or not self._resent:
            self._resent = True
            self.emit(SEND_WORKFLOW, {"workflow": self.plan()})

    def plan(self) -> dict[str, Any]:
        """The plan as it stands: ``pending`` until its first step starts, ``finished`` once every step has ended."""
        steps = list(self._steps.values())
        status = "in-progress"
        if all(step.status is StepStatus.PENDING for step in steps):
            status = "pending"
        elif all(step.status in STEP_ENDS for step in steps):
            status = "finished"
        return build_plan(self.workflow_name, steps, status)

    def reopen(self, path: str) -> None:
        """A step that has ended runs again, because what it works on has changed: the plan says so first."""
        self._steps[path].status = StepStatus.PENDING
        self._steps[path].response = ""
        self.emit(SEND_WORKFLOW, {"workflow": self.plan()})

    def skip_rest(self, why: str) -> None:
        """Every step that never started is over too: nothing that was declared is left without an end."""
        for path, step in self._steps.items():
            if step.status is StepStatus.PENDING:
                self.status(path, StepStatus.SKIPPED, reason=why)

    def number(self, path: str) -> int:
        """The number of a declared step."""
        return self._numbers[path]

    def status_of(self, path: str) -> StepStatus | None:
        """How a declared step stands; None when there is no such step."""
        step = self._steps.get(path)
        return None if step is None else step.status

    def status(self, path: str, status: StepStatus, *, response: str | None = None, **extra: Any) -> None:
        """A step's new status; what was said before is left out. After ``finished`` comes the response."""
        step = self._steps[path]
        if step.status is status or step.status in STEP_ENDS:
            return
        step.status = status
        self._update(path, {"status": status.value, **extra})
        if status is StepStatus.FINISHED:
            step.response = response or ""
            self._update(path, {"response": step.response})

    def file_name(self, path: str, file_name: str) -> None:
        """The file that a step under way is about; left out where the step ended in an earlier session."""
        if self._steps[path].status in STEP_ENDS:
            return
        self._update(path, {"file_name": file_name})

    def _update(self, path: str, payload: Mapping[str, Any]) -> None:
        self.emit(UPDATE_WORKFLOW_STEP, {"step": self._numbers[path], "path": path, **payload})

    def text(self, path: str, delta: str) -> None:
        """A piece of streamed text: the first one turns the step to ``streaming``. Never stored."""
        if not delta or path not in self._steps:
            # One of several answers that are written side by side: no step shows it.
            return
        self.status(path, StepStatus.STREAMING)
        self._put(Event("text", self.run_id, {"step": self._numbers[path], "path": path, "delta": delta}))

    def text_reset(self, path: str) -> None:
        """What was streamed for a step is void: another attempt begins."""
        if path in self._steps:
            self._put(Event("text_reset", self.run_id, {"step": self._numbers[path], "path": path}))

    def run_status(self, status: WorkflowStatus, **extra: Any) -> None:
        """The run's own status."""
        self.emit("run_status", {"status": status.value, **extra})

    def notice(self, sentence: str, **extra: Any) -> None:
        """One sentence worth a person's attention."""
        self.emit("notice", {"text": sentence, **extra})

    def at_once(self, sentence: str, **extra: Any) -> None:
        """A notice that goes past what waits to be stored, and is never stored: for a database that takes nothing now."""
        self._tell(Event("notice", self.run_id, {"run_id": self.run_id, "text": sentence, **extra}))

    def answered(self, path: str, answer: Mapping[str, Any]) -> None:
        """A person's answer to the question at ``path``, wherever it was given; said once."""
        if path not in self._answered:
            self._answered.add(path)
            self.emit("gate", {"path": path, "answer": dict(answer)})

    def emit(self, name: str, payload: Mapping[str, Any]) -> None:
        """Any stored event."""
        self._seq += 1
        self._put(
            Event(
                name,
                self.run_id,
                {"run_id": self.run_id, "event_id": self._seq, **payload},
                seq=self._seq,
                at=self._clock(),
            )
        )

    # -- storing and delivering -----------------------------------------------------------------

    def _put(self, item: Event | asyncio.Future[None]) -> None:
        if self._pump is None or self._pump.done():
            self._pump = asyncio.get_running_loop().create_task(self._run_pump())
        self._queue.put_nowait(item)

    async def flush(self) -> None:
        """Return when everything said so far is stored and delivered. Raises what storing raised."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(done)
        await done
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Flush and stop. Never raises: what storing raised has been reported by then."""
        if self._pump is not None:
            with contextlib.suppress(Exception):
                await self.flush()
                while not self._queue.empty():
                    # A listener broke over the last events; the others still hear of it.
                    await self.flush()
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)

    async def _run_pump(self) -> None:
        while True:
            batch = [await self._queue.get()]
            try:
                while not self._queue.empty():
                    batch.append(self._queue.get_nowait())
                await self._store(
                    [item for item in batch if isinstance(item, Event) and item.seq is not None]
                )
                for item in _merge_text(batch):
                    if isinstance(item, Event):
                        if self._failure is None:
                            self._tell(item)
                    elif not item.done():
                        item.set_result(None)
            finally:
                for item in batch:
                    # Whatever ends this task: nobody waits for ever for what it had taken from the queue.
                    if not isinstance(item, Event):
                        item.cancel()
            if any(isinstance(item, Event) and item.seq is None for item in batch):
                await asyncio.sleep(TEXT_INTERVAL)

    async def _store(self, events: Sequence[Event]) -> None:
        """Commit these. What that raises ends the run: the next :meth:`flush` raises it, and nobody hears more."""
        if not events or self._failure is not None:
            return
        try:
            await self._journal.append_events(self._lease, events)
        except Exception as error:
            self._failure = error

    def _tell(self, event: Event) -> None:
        """Pass an event on. A listener that raises hears nothing more, and the others are told; the run goes on."""
        for listener in list(self.listeners):
            try:
                listener(event)
            except (Exception, SystemExit, asyncio.CancelledError) as error:
                self.listeners.remove(listener)
                why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                self.notice(
                    f"Somebody who listened to this run broke ({why}) and hears nothing more of it; the run goes on.",
                    listener=type(error).__name__,
                )


def _merge_text(
    batch: Sequence[Event | asyncio.Future[None]],
) -> Iterable[Event | asyncio.Future[None]]:
    """Neighbouring pieces of one step's text become one."""
    held: Event | None = None
    for item in batch:
        if isinstance(item, Event) and item.name == "text":
            if held is not None and held.payload["path"] == item.payload["path"]:
                joined = held.payload["delta"] + item.payload["delta"]
                held = Event("text", item.run_id, {**item.payload, "delta": joined})
                continue
            if held is not None:
                yield held
            held = item
            continue
        if held is not None:
            yield held
            held = None
        yield item
    if held is not None:
        yield held
