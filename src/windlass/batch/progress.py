"""How a batch stands: counts, money, time left, and what is being worked on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from windlass.events import Event, WorkflowStatus


@dataclass
class Running:
    """An item that is being worked on."""

    item_id: str
    since: float
    step: str = ""
    calls: int = 0
    cost: Decimal = Decimal(0)

    def on_event(self, event: Event) -> Decimal:
        """Take in an event of the item's run; what it adds to the cost, in USD."""
        payload = event.payload
        if event.name == "update_workflow_step" and payload.get("status") == "in-progress":
            self.step = payload["path"]
        if event.name != "call":
            return Decimal(0)
        self.calls += 1
        added = Decimal(str(payload["cost_usd"] or 0))
        self.cost += added
        return added


@dataclass(frozen=True)
class Ended:
    """An item that is done with for now. ``cost_usd`` None: not wholly known; ``status`` None: it could not begin."""

    item_id: str
    run_id: str
    status: WorkflowStatus | None
    error: str | None
    seconds: float
    requests: int
    cost_usd: Decimal | None


@dataclass
class Progress:
    """A batch under way. ``total`` items, of which ``before`` ended (by status) before this session. Money in USD."""

    total: int
    before: Counter[str] = field(default_factory=Counter)
    #: What the batch had cost when this session began, and its cap.
    spent_before: Decimal = Decimal(0)
    budget: Decimal | None = None
    #: Items this session is to work on.
    planned: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    running: dict[str, Running] = field(default_factory=dict)
    failures: list[Ended] = field(default_factory=list)
    spent: Decimal = Decimal(0)
    #: Items that ended with calls whose cost is not known.
    unknown: int = 0
    stopping: bool = False
    clock: Callable[[], float] = time.monotonic
    started: float = 0.0

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def done(self) -> int:
        """Items this session is done with."""
        return sum(self.ended.values())

    @property
    def counts(self) -> Counter[str]:
        """Items by the status they ended in, earlier sessions included."""
        return self.before + self.ended

    @property
    def elapsed(self) -> float:
        """Seconds since this session began."""
        return self.clock() - self.started

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the pace so far; None before the first item has ended."""
        if not self.done or not self.elapsed:
            return None
        return (self.planned - self.done) * self.elapsed / self.done

    @property
    def cost(self) -> Decimal:
        """What the batch has cost so far, as far as it is known."""
        return self.spent_before + self.spent

    @property
    def projected(self) -> Decimal | None:
        """What it will have cost if the rest costs as much an item as what has ended; None before that is known."""
        if not self.done:
            return None
        running = sum((item.cost for item in self.running.values()), Decimal(0))
        each = (self.spent - running) / self.done
        return self.cost - running + each * (self.planned - self.done)

    def end(self, item: Ended) -> None:
        """An item ended."""
        self.running.pop(item.item_id, None)
        self.ended[word(item)] += 1
        self.unknown += item.cost_usd is None
        if word(item) == "Failure":
            self.failures.append(item)


def word(item: Ended) -> str:
    """How an item ended, for counting: one that could not even begin has failed too."""
    if item.status is None or (item.error is not None and item.status is WorkflowStatus.Pending):
        return "Failure"
    return item.status.value
