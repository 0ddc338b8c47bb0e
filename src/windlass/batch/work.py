"""Works on a batch: so many runs side by side, each an ordinary run; stops with care and goes on where it was."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from windlass.app import App
from windlass.batch.making import scope_of
from windlass.batch.progress import Ended, Progress, Running
from windlass.errors import NotFound, WindlassError
from windlass.events import Event, WorkflowStatus
from windlass.people import StopSignal
from windlass.report import report
from windlass.store.batches import Batch, BatchStore, ItemState

OnChange = Callable[[Progress], None]


@dataclass(frozen=True)
class ItemResult:
    """What became of an item. ``report`` is what ``windlass run … --json`` would print of its run."""

    item_id: str
    tags: Mapping[str, Any]
    report: Mapping[str, Any]
    seconds: float | None = None

    @property
    def run_id(self) -> str:
        """The item's run."""
        return str(self.report["run_id"])

    @property
    def status(self) -> WorkflowStatus:
        """How its run stands."""
        return WorkflowStatus(self.report["status"])

    @property
    def error(self) -> str | None:
        """Why it failed, or could not begin."""
        return self.report["error"] if self.report["error"] is None else str(self.report["error"])

    @property
    def failed(self) -> bool:
        """Whether it ended badly, or could not begin."""
        ended_badly = self.status in (WorkflowStatus.Failure, WorkflowStatus.Cancelled)
        return ended_badly or (self.status is WorkflowStatus.Pending and self.error is not None)

    def row(self) -> dict[str, Any]:
        """The item as a line of ``results.jsonl``."""
        keys = ("run_id", "status", "summary", "error", "workspace", "files", "tests", "usage")
        return {
            "id": self.item_id,
            **{key: self.report[key] for key in keys},
            "seconds": self.seconds,
            "tags": dict(self.tags),
        }


@dataclass
class BatchWork:
    """One session of work on a batch. ``only_failures`` takes up nothing but what failed; ``changes`` are options that
    the runs get first (a larger budget)."""

    app: App
    batch: Batch
    concurrency: int = 4
    only_failures: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)
    on_change: OnChange = lambda progress: None
    progress: Progress = field(default_factory=lambda: Progress(0))
    _signals: dict[str, StopSignal] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _results: asyncio.Queue[ItemResult | None] = field(default_factory=asyncio.Queue)
    _failure: BaseException | None = None

    def stop(self) -> None:
        """Begin no further item; calls under way finish and are kept. All of it can go on later."""
        self.progress.stopping = True
        for signal in self._signals.values():
            signal.requested = True
        self.on_change(self.progress)

    def cut_off(self) -> None:
        """Do not wait for calls under way either; what had come of them is kept."""
        self.stop()
        for task in self._tasks:
            task.cancel()

    async def results(self) -> AsyncGenerator[ItemResult, None]:
        """Do the work; every item as it ends. Leaving the loop early stops with care."""
        items = await BatchStore(self.app.database).items(self.batch.batch_id)
        todo = deque(item for item in items if self._wanted(item))
        self._begin(items, len(todo))
        places = [asyncio.create_task(self._place(todo)) for _ in range(min(self.concurrency, len(todo)))]
        self._tasks = set(places)
        end = asyncio.gather(*places, return_exceptions=True)
        end.add_done_callback(lambda _: self._results.put_nowait(None))
        try:
            while (result := await self._results.get()) is not None:
                yield result
        finally:
            if not end.done():
                self.stop()
            await end
        if self._failure is not None:
            raise self._failure

    async def wanted(self) -> list[ItemState]:
        """The items that this session would work on."""
        items = await BatchStore(self.app.database).items(self.batch.batch_id)
        return [item for item in items if self._wanted(item)]

    def _wanted(self, item: ItemState) -> bool:
        if item.status is None or item.status is WorkflowStatus.Success:
            return False
        return not self.only_failures or item.status is WorkflowStatus.Failure

    def _begin(self, items: Sequence[ItemState], planned: int) -> None:
        budget = self.batch.options.get("budget")
        self.progress = Progress(
            total=len(items),
            before=Counter(i.status.value for i in items if i.status is not None and not self._wanted(i)),
            spent_before=sum((i.cost_usd for i in items), Decimal(0)),
            budget=None if budget is None else Decimal(str(budget)),
            planned=planned,
        )
        self.on_change(self.progress)

    async def _place(self, todo: deque[ItemState]) -> None:
        """One of the places: an item after the other, until there is none or somebody asked to stop."""
        while todo and not self.progress.stopping:
            item = todo.popleft()
            try:
                result = await self._one(item)
            except BaseException as error:
                # The database is away, or a fault of ours: nothing more can be kept, so nothing more may be begun.
                if not isinstance(error, asyncio.CancelledError):
                    self._failure = self._failure or error
                self.stop()
                raise
            self._results.put_nowait(result)

    async def _one(self, item: ItemState) -> ItemResult:
        running = self.progress.running[item.item_id] = Running(item.item_id, time.monotonic())
        signal = self._signals[item.item_id] = StopSignal()
        self.on_change(self.progress)

        def on_event(event: Event) -> None:
            self.progress.spent += running.on_event(event)
            self.on_change(self.progress)

        wrong: str | None = None
        try:
            if item.status is not WorkflowStatus.Pending or self.changes:
                await self.app.prepare_resume(item.run_id, changes=self.changes)
            await self.app.execute(item.run_id, listeners=[on_event], stop=signal, stream=False)
        except WindlassError as error:
            # One that another process works on, or whose folder is gone, must not end the others.
            wrong = str(error)
        finally:
            self._signals.pop(item.item_id, None)
            self.progress.running.pop(item.item_id, None)
        result = await item_result(self.app, item, wrong=wrong)
        ended = Ended(
            item.item_id,
            item.run_id,
            result.status,
            result.error,
            time.monotonic() - running.since,
            int(result.report["usage"]["requests"]),
            _money(result.report["usage"]["cost_usd"]),
        )
        self.progress.end(ended)
        if result.status is WorkflowStatus.Failure and f"for {scope_of(self.batch.batch_id)} is left" in (
            result.error or ""
        ):
            # What is left of the batch's budget holds no further call: every other item would only end the same way.
            self.stop()
        self.on_change(self.progress)
        return result


def _money(usd: float | None) -> Decimal | None:
    return None if usd is None else Decimal(str(usd))


async def item_result(app: App, item: ItemState, *, wrong: str | None = None) -> ItemResult:
    """An item as its run stands now. ``wrong`` is why it could not be worked on."""
    record = await app.journal.get_run(item.run_id)
    events = await app.journal.events(item.run_id)
    said = report(record, await app.journal.entries(item.run_id), events)
    if wrong is not None and said["error"] is None:
        said["error"] = wrong
    return ItemResult(item.item_id, item.tags, said, seconds_worked(events))


def seconds_worked(events: Sequence[Event]) -> float | None:
    """How long a run was worked on, all sessions together; None for one that was never begun."""
    total, began, last = 0.0, None, 0.0
    for event in events:
        if event.name == "run_status" and event.payload["status"] == WorkflowStatus.Started.value:
            # A session that was killed ends with the last thing it said.
            total += 0.0 if began is None else last - began
            began = event.at
        last = event.at
    return None if began is None else round(total + last - began, 3)


async def all_results(
    app: App, batch: Batch, known: Mapping[str, ItemResult]
) -> AsyncGenerator[ItemResult, None]:
    """Every item of a batch in its order; ``known`` are those at hand."""
    for item in await BatchStore(app.database).items(batch.batch_id):
        result = known.get(item.item_id)
        if result is None:
            try:
                result = await item_result(app, item)
            except NotFound:
                continue  # its run was forgotten
        yield result
