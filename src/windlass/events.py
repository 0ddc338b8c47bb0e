"""What a run tells the world: statuses, events, and who listens.

Event names and the keys of the first two are those of the original Socket.IO contract; Windlass only
ever adds keys.

=====================  =====================================================================
``send_workflow``      ``{"workflow": plan}``: the plan, again each time it grows
``update_workflow_step``  ``{"step": n, "status" | "response" | "file_name": …}``
``run_status``         ``{"status": …, "summary": …, "error": …}``
``text``               ``{"step": n, "delta": …}``: text as it streams; never stored
``text_reset``         ``{"step": n}``: the streamed text is void (a retry begins); never stored
``call``               one finished model call: model, tokens, cost, prompt version
``file_change``        ``{"path": …, "change": …, "bytes": …}``
``tests``              a test report
``gate``               a question for a person, or its answer
``notice``             one sentence worth a person's attention
=====================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

#: The Socket.IO event that carries one step's change, under its old name.
UPDATE_WORKFLOW_STEP = "update_workflow_step"
SEND_WORKFLOW = "send_workflow"


class WorkflowStatus(StrEnum):
    """How a run stands."""

    #: Made, not yet begun.
    Pending = "Pending"
    #: Begun; its process works on it, or was interrupted and can go on.
    Started = "Started"
    #: A person must answer before it goes on; no process holds it.
    Waiting = "Waiting"
    Success = "Success"
    Failure = "Failure"
    #: Ended by a person; can still be resumed.
    Cancelled = "Cancelled"


class StepStatus(StrEnum):
    """How a step stands, as the events spell it."""

    PENDING = "pending"
    IN_PROGRESS = "in-progress"
    STREAMING = "streaming"
    FINISHED = "finished"
    ERROR = "error"
    WAITING = "waiting"
    SKIPPED = "skipped"


#: A step in one of these says nothing more.
STEP_ENDS = frozenset({StepStatus.FINISHED, StepStatus.ERROR, StepStatus.WAITING, StepStatus.SKIPPED})


@dataclass(frozen=True)
class Event:
    """One thing that happened in a run. ``seq`` counts a run's stored events from 1; None = not stored.

    ``at`` is in seconds since 1970.
    """

    name: str
    run_id: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    seq: int | None = None
    at: float = 0.0


#: Called with each event, in order, after it is stored. Must not block; one that raises hears nothing more of the run.
Listener = Callable[[Event], None]
