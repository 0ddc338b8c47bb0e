"""Runs one run: takes ownership, keeps it, walks the workflow to its end, and records how it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from windlass.credit import outcome_of, usages_of
from windlass.effects import Effects
from windlass.errors import JournalMismatch, LeaseLost, StoreError, WindlassError
from windlass.events import Event, Listener, WorkflowStatus
from windlass.journal import EntryState, Journal, Lease, RunJournal, RunRecord
from windlass.owners import owner_name, take
from windlass.people import StopSignal
from windlass.plan import EventLog
from windlass.prompt import PromptStore
from windlass.workflow import StepWorkflow
from windlass.workspace.shielded import to_the_end

#: How long a run stays owned without a sign of life, and how often its owner gives one (seconds).
LEASE_SECONDS = 20.0
HEARTBEAT_SECONDS = 5.0
#: How often it looks whether somebody asked for the run's end (seconds; the answer takes up to a quarter more).
LOOK_SECONDS = 0.75
#: How long one whose run was taken away looks whether that was to end it.
ENDING_SECONDS = 3.0

_ENDED = {WorkflowStatus.Success, WorkflowStatus.Failure, WorkflowStatus.Cancelled}
#: In place of what an earlier end left behind.
_BEGUN: Mapping[str, Any] = {"status": WorkflowStatus.Started, "error": None, "finished_at": None}

BuildWorkflow = Callable[[RunRecord], StepWorkflow[Any]]
BuildEffects = Callable[[RunRecord, RunJournal, EventLog, StopSignal], Awaitable[Effects]]


@dataclass
class Runner:
    """Runs and resumes runs of one journal. A run that is resumed is replayed: what its journal holds is not
    done again."""

    journal: Journal
    prompts: PromptStore
    build_workflow: BuildWorkflow
    build_effects: BuildEffects
    listeners: list[Listener] = field(default_factory=list)
    stop: StopSignal = field(default_factory=StopSignal)
    #: What a run that begins now keeps of the settings, by its options.
    pins: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda options: {}
    owner: str = field(default_factory=owner_name)
    #: Seconds between two renewals of the lease.
    heartbeat: float = HEARTBEAT_SECONDS

    async def run(self, run_id: str) -> RunRecord:
        """Run ``run_id`` to its end, or as far as it goes; its record then, also where somebody else ended it.

        Raises RunOwnedElsewhere, LeaseLost, StoreError, JournalMismatch, and InputError from building its
        parts; a failing step is no exception but the status Failure.
        """
        run_id = (await self.journal.get_run(run_id)).run_id
        try:
            return await self._run(run_id)
        except LeaseLost:
            ended = await self._ended_elsewhere(run_id)
            if ended is None:
                raise
            return ended

    async def _ended_elsewhere(self, run_id: str) -> RunRecord | None:
        """The run's record where whoever took it away did so to end it (``cancel --now``), which takes them a moment."""
        until = time.monotonic() + ENDING_SECONDS
        while True:
            record = await self.journal.get_run(run_id)
            if record.status in _ENDED:
                return record
            if time.monotonic() >= until:
                return None
            await asyncio.sleep(0.1)

    async def _run(self, run_id: str) -> RunRecord:
        lease = await take(self.journal, run_id, self.owner, ttl=LEASE_SECONDS)
        heartbeat = asyncio.create_task(self._heartbeat(lease))
        log: EventLog | None = None
        try:
            record = await self.journal.get_run(lease.run_id)
            earlier = await self.journal.events(lease.run_id)
            workflow = self.build_workflow(record)
            record = await self._pinned(record, workflow, lease)
            log = EventLog(
                lease.run_id,
                self.journal,
                lease,
                workflow_name=workflow.title,
                listeners=self.listeners,
                earlier=earlier,
            )
            journal = await RunJournal.open(self.journal, lease)
            effects = await self.build_effects(record, journal, log, self.stop)
            workflow.attach(effects)
            begun = dict(_BEGUN)
            if record.cancel_requested:
                # A cancel that was obeyed must not end the run again. One that is asked for meanwhile stays, to be obeyed.
                begun["cancel_requested"] = False
                if record.status not in _ENDED:
                    # Asked of an owner that was lost before it obeyed.
                    self.stop.cancel = self.stop.requested = True
            await self.journal.update_run(lease, **begun)
            log.run_status(WorkflowStatus.Started, workflow=record.workflow, title=record.title)
            self._tell_unknown(journal, log, earlier)
            return await self._walk(workflow, record, lease, log, journal, heartbeat)
        finally:
            heartbeat.cancel()
            await asyncio.gather(heartbeat, return_exceptions=True)
            if log is not None:
                await log.close()
            with suppress(StoreError):
                # What came before is what went wrong; a lease that cannot be given back ends by itself.
                await self.journal.release(lease)

    async def _walk(
        self,
        workflow: StepWorkflow[Any],
        record: RunRecord,
        lease: Lease,
        log: EventLog,
        journal: RunJournal,
        heartbeat: asyncio.Task[None],
    ) -> RunRecord:
        walk = asyncio.create_task(workflow.start_workflow())
        try:
            # A lost lease ends the walk at once: nothing it did from then on could be kept.
            await asyncio.wait({walk, heartbeat}, return_when=asyncio.FIRST_COMPLETED)
            if not walk.done():
                walk.cancel()
                await asyncio.gather(walk, return_exceptions=True)
                heartbeat.result()
            status = walk.result()
        except JournalMismatch as error:
            workflow.error, workflow.status = error, WorkflowStatus.Failure
            log.skip_rest("The run ended before it.")
            status = workflow.status
        finally:
            walk.cancel()
            # The run is not given back before its walk has ended: a reply in hand would find it taken away.
            await to_the_end(asyncio.gather(walk, return_exceptions=True))
        failure = workflow.error
        sentence = None if failure is None else _sentence(failure)
        await log.flush()
        changes: dict[str, Any] = {"status": status, "summary": workflow.summary, "error": sentence}
        if status in _ENDED:
            changes["finished_at"] = time.time()
            usages = await usages_of(journal, case_id=record.options.get("case_id"))
            outcome = outcome_of(status, failure)
            await asyncio.to_thread(self.prompts.record_run, lease.run_id, usages, outcome)
        await self.journal.update_run(lease, **changes)
        log.run_status(status, summary=workflow.summary, error=sentence)
        await log.flush()
        return await self.journal.get_run(lease.run_id)

    async def _heartbeat(self, lease: Lease) -> None:
        beat_at = time.monotonic() + self.heartbeat
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if time.monotonic() >= beat_at:
                    await self.journal.renew(lease, ttl=LEASE_SECONDS)
                    beat_at = time.monotonic() + self.heartbeat
                cancelled = not self.stop.requested and await self.journal.cancel_requested(lease.run_id)
            except LeaseLost:
                raise
            except StoreError:
                # The database is away; the lease lives on for a while and the next look tries again.
                continue
            if cancelled:
                self.stop.cancel = True
                self.stop.requested = True

    async def _pinned(self, record: RunRecord, workflow: StepWorkflow[Any], lease: Lease) -> RunRecord:
        """The run with what it began with, kept at its first start. Raises JournalMismatch for other steps than then."""
        now = workflow.definition_hash()
        pinned = record.pins.get("definition")
        if pinned is None:
            settings = {**self.pins(record.options), **record.pins.get("settings", {})}
            pins = {**record.pins, "definition": now, "settings": settings}
            await self.journal.update_run(lease, pins=pins)
            return record.evolve(pins=pins)
        if pinned != now:
            raise JournalMismatch(
                f"Run {record.run_id} was started with other steps than this Windlass has; "
                f"start again from where they agree with: windlass fork {record.run_id} --from PATH"
            )
        return record

    def _tell_unknown(self, journal: RunJournal, log: EventLog, earlier: Iterable[Event]) -> None:
        told = {e.payload.get("unknown") for e in earlier if e.name == "notice"}
        for entry in journal.all.values():
            mark = f"{entry.path}#{entry.attempt}"
            if entry.kind == "model" and entry.state is EntryState.UNKNOWN and mark not in told:
                log.notice(
                    f"The call at {entry.path} was under way when the run was cut off: it may have been paid, and its "
                    "worst case counts in the budget.",
                    unknown=mark,
                )


def _sentence(error: BaseException) -> str:
    if isinstance(error, WindlassError):
        return str(error)
    return f"Unexpected {type(error).__name__}: {error}"
