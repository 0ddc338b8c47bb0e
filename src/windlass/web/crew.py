"""The runs that this server works on: so many at a time, stopped with care, handed back when it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from windlass.app import App
from windlass.errors import RunOwnedElsewhere, WindlassError
from windlass.events import Event, Listener, WorkflowStatus
from windlass.journal import RunRecord
from windlass.owners import is_dead
from windlass.people import StopSignal
from windlass.web.feed import Feed

#: The option that marks a run as a server's: one that a server takes up again after a restart.
STARTED_BY = "started_by"
SERVER = "server"
#: Seconds between looks for runs that another server left behind.
SWEEP_SECONDS = 15.0

#: Seconds that a run is given to come to rest before somebody is told that it is not.
SETTLE_SECONDS = 5.0

#: Called with a run's record when this server lets go of it, or with the sentence of what went wrong.
Done = Callable[[RunRecord | None, str | None], Awaitable[None]]


@dataclass
class _Job:
    stop: StopSignal
    task: asyncio.Task[None] | None = None
    running: bool = False


@dataclass
class Crew:
    """Works on runs as tasks of this process. ``places`` is how many at a time; more wait their turn."""

    app: App
    feed: Feed
    places: int = 4
    listeners: list[Listener] = field(default_factory=list)
    closing: bool = False
    _jobs: dict[str, _Job] = field(default_factory=dict)
    _free: asyncio.Semaphore = field(init=False)
    _sweeper: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self._free = asyncio.Semaphore(self.places)

    def at_work(self) -> set[str]:
        """The runs it has: those that run and those that wait their turn."""
        return set(self._jobs)

    def start(self, run_id: str, *, done: Done | None = None) -> None:
        """Work on a run as soon as there is a place. Harmless when it has the run already."""
        if run_id in self._jobs or self.closing:
            return
        job = _Job(StopSignal())
        self._jobs[run_id] = job
        job.task = asyncio.create_task(self._work(run_id, job, done))

    async def cancel(self, run_id: str, *, now: bool = False) -> RunRecord:
        """End a run as Cancelled, or ask the process that works on it to: calls under way finish first, or with
        ``now`` are cut off. Raises NotFound, and JournalError for a run that has ended."""
        job = self._jobs.get(run_id)
        if job is not None and job.task is not None:
            job.stop.cancel = True
            job.stop.requested = True
            if job.running and not now:
                return await self.app.journal.get_run(run_id)
            job.task.cancel()
            await asyncio.gather(job.task, return_exceptions=True)
            record = await self.app.journal.get_run(run_id)
            if record.status is WorkflowStatus.Cancelled:
                # It came to its end by itself on the way: the wish is fulfilled.
                return record
        record = await self.app.cancel(run_id, now=now)
        await self.feed.look(run_id)
        return record

    async def settled(self, run_id: str) -> None:
        """Return when this server has let go of the run, or after a few seconds: who sees a question asked may answer
        before the run has quite come to rest."""
        job = self._jobs.get(run_id)
        if job is not None and job.task is not None:
            await asyncio.wait({job.task}, timeout=SETTLE_SECONDS)

    async def go_on(self, run_id: str, changes: Mapping[str, Any] | None = None) -> None:
        """Take a run up again that stopped short, as this server's own. Raises what App.prepare_resume raises."""
        await self.settled(run_id)
        if run_id in self._jobs:
            raise RunOwnedElsewhere(f"Run {run_id} is being worked on by this server.")
        await self.app.prepare_resume(run_id, changes={STARTED_BY: SERVER, **(changes or {})})
        self.start(run_id)

    async def _work(self, run_id: str, job: _Job, done: Done | None) -> None:
        record, wrong = None, None
        try:
            async with self._free:
                if job.stop.requested:
                    return
                job.running = True
                self.feed.begin_local(run_id)
                record = await self.app.execute(
                    run_id, listeners=[self.feed.on_event, *self.listeners], stop=job.stop
                )
        except RunOwnedElsewhere:
            # Another process was faster; what it does is seen through the database.
            wrong = None
        except WindlassError as error:
            wrong = str(error)
            self._tell(run_id, wrong)
        finally:
            self.feed.end_local(run_id)
            self._jobs.pop(run_id, None)
            if done is not None:
                await done(record, wrong)

    def _tell(self, run_id: str, sentence: str) -> None:
        """A run that could not even begin says why to whoever watches; its record stays as it was."""
        self.feed.on_event(Event("notice", run_id, {"run_id": run_id, "text": sentence, "failure": True}))

    # -- the server's life ----------------------------------------------------------------------

    async def open(self, *, take_up: bool = True) -> None:
        """Take up the runs that a server left behind, now and whenever another one leaves some."""
        if take_up:
            await self._sweep(0.0)
            self._sweeper = asyncio.create_task(self._sweep_again())

    async def _sweep_again(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self._sweep(SWEEP_SECONDS)
            except WindlassError:
                # The database is away; the next look may find it back.
                continue

    async def _sweep(self, quiet_for: float) -> None:
        unfinished = await self.app.journal.list_runs(
            limit=1000, status=[WorkflowStatus.Pending, WorkflowStatus.Started]
        )
        for record in left_behind(reversed(unfinished), quiet_for):
            self.start(record.run_id)

    def hand_back(self) -> None:
        """Stop: calls under way finish, nothing new begins, runs can go on elsewhere or later. Returns at once."""
        self.closing = True
        for job in self._jobs.values():
            job.stop.requested = True

    def cut_off(self) -> None:
        """Do not wait for calls under way; what had come is kept."""
        self.hand_back()
        for job in self._jobs.values():
            if job.task is not None:
                job.task.cancel()

    async def close(self) -> None:
        """Hand everything back and wait for it."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        self.hand_back()
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)


def left_behind(records: Iterable[RunRecord], quiet_for: float) -> list[RunRecord]:
    """Runs of servers that nobody works on: not owned, or owned by a process that is dead; changed last at least
    ``quiet_for`` seconds ago, so that a server that has just made a run may begin it."""
    now = time.time()
    return [
        record
        for record in records
        if record.options.get(STARTED_BY) == SERVER
        and record.updated_at <= now - quiet_for
        and (record.owner is None or (record.lease_until or 0) <= now or is_dead(record.owner))
    ]
