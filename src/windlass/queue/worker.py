"""A worker: takes queued runs, so many at a time, and works on them until they end or it is asked to stop.

Runs live in tasks of the process, not in the jobs that brought them. Procrastinate's loop may therefore end (its
database went away) and be begun again without a run noticing; each run keeps its own lease.
"""

from __future__ import annotations

import asyncio
import platform
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import psycopg
from procrastinate import App as QueueApp
from procrastinate import PsycopgConnector
from procrastinate.exceptions import ProcrastinateException

from windlass.app import App
from windlass.errors import (
    JournalError,
    LeaseLost,
    NotFound,
    RunOwnedElsewhere,
    StoreError,
    WindlassError,
    WorkspaceError,
)
from windlass.events import WorkflowStatus
from windlass.ids import generate_id
from windlass.journal import RunRecord
from windlass.owners import is_dead, is_owned, owner_name, take
from windlass.people import StopSignal
from windlass.plan import EventLog
from windlass.queue import crew
from windlass.queue.jobs import (
    TASK,
    Place,
    drop_ended,
    enqueue_runs,
    left_alone,
    place_of,
    prepare_queue,
    put_jobs,
    refuse_run,
    require_queue,
    try_sweep_alone,
    withdraw_run,
)
from windlass.store.connect import postgres_settings
from windlass.store.writer import writer_of

#: Seconds between signs of life, and between looks for runs that nobody works on.
BEAT_SECONDS = 5.0
SWEEP_SECONDS = 5.0
#: Workers that may try to begin a run before it has failed.
MAX_REFUSALS = 4
#: Seconds between looks at the queue when no notice of a new job arrives.
POLL_SECONDS = 2.0

_OPEN = (WorkflowStatus.Pending, WorkflowStatus.Started)
#: What the queue's database connection says when it is away; all of it passes.
_AWAY = (ProcrastinateException, psycopg.Error, OSError)
#: What does not pass by waiting.
_WRONG = (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError)


def _ignore(run_id: str, what: str) -> None:
    """Nobody listens."""


@dataclass
class _Job:
    stop: StopSignal = field(default_factory=StopSignal)
    task: asyncio.Task[None] | None = None


@dataclass
class Worker:
    """Works until :meth:`stop`. ``concurrency`` runs at a time, of ``queues`` (None: all of them).

    ``grace`` is how long (seconds) calls under way may take to finish once it is asked to stop. ``say`` hears of
    every run that begins or ends.
    """

    app: App
    concurrency: int = 4
    queues: tuple[str, ...] | None = None
    grace: float = 60.0
    say: Callable[[str, str], None] = _ignore
    worker_id: str = field(default_factory=generate_id)
    _jobs: dict[str, _Job] = field(default_factory=dict)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _places: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.concurrency)

    @property
    def at_work(self) -> set[str]:
        """The runs it has taken."""
        return set(self._jobs)

    def stop(self) -> None:
        """Take nothing more; calls under way finish and are kept, then every run is handed back."""
        self._stopping.set()
        for job in self._jobs.values():
            job.stop.requested = True

    def cut_off(self) -> None:
        """Do not wait for calls under way; what had come of them is kept."""
        self.stop()
        for job in self._jobs.values():
            if job.task is not None:
                job.task.cancel()

    async def run(self) -> None:
        """Work until asked to stop. Raises InputError, ConfigError or StoreError when it cannot begin."""
        require_queue(self.app.database)
        await asyncio.to_thread(self._in_transaction, prepare_queue)
        await asyncio.to_thread(self._in_transaction, lambda c: crew.sign_on(c, self._sign()))
        others = [
            asyncio.create_task(self._again(BEAT_SECONDS, self._beat)),
            asyncio.create_task(self._again(SWEEP_SECONDS, self._sweep)),
        ]
        try:
            while not self._stopping.is_set():
                await self._serve()
        finally:
            await self._drain()
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await self._sign_off()

    # -- the queue ------------------------------------------------------------------------------

    async def _serve(self) -> None:
        """Procrastinate's loop, until it ends by itself or we are asked to stop."""
        stopped = asyncio.create_task(self._stopping.wait())
        loop = asyncio.create_task(self._procrastinate())
        try:
            await asyncio.wait({stopped, loop}, return_when=asyncio.FIRST_COMPLETED)
            if not loop.done():
                loop.cancel()
            (ended,) = await asyncio.gather(loop, return_exceptions=True)
            if isinstance(ended, _AWAY) and not isinstance(ended.__cause__ or ended, _WRONG):
                # Also a queue that forgot this worker, because it was silent for too long: it signs on again.
                await asyncio.wait({stopped}, timeout=0.5 + random.random())
            elif isinstance(ended, Exception):
                raise ended
        finally:
            stopped.cancel()

    async def _procrastinate(self) -> None:
        url = self.app.database.url
        queue = QueueApp(
            connector=PsycopgConnector(
                conninfo=url.set(drivername="postgresql").render_as_string(hide_password=False),
                min_size=1,
                max_size=4,
                timeout=10.0,
                kwargs={**postgres_settings(url), "application_name": "windlass-queue"},
            )
        )
        queue.task(name=TASK)(self._deliver)

        # The worker's monitor only notices a broken connection while some periodic task exists.
        @queue.periodic(cron="*/10 * * * *")
        @queue.task(name="windlass.tidy", queueing_lock="windlass.tidy", queue=(self.queues or ("runs",))[0])
        async def tidy(timestamp: int) -> None:
            await self._tidy(queue)

        async with queue.open_async():
            await queue.run_worker_async(
                queues=None if self.queues is None else list(self.queues),  # type: ignore[arg-type]
                name="windlass",
                concurrency=self.concurrency,
                install_signal_handlers=False,
                fetch_job_polling_interval=POLL_SECONDS,
                # Runs do not end with their jobs, so there is nothing to wait for; and its worker gives no sign of
                # life while it waits.
                shutdown_graceful_timeout=0.0,
                delete_jobs="always",
            )

    async def _tidy(self, queue: QueueApp) -> None:
        """Remove the jobs of workers that died. It decides nothing: who owns a run is not written in its job."""
        for job in await queue.job_manager.get_stalled_jobs(seconds_since_heartbeat=600):
            if job.id is not None:
                await queue.job_manager.finish_job_by_id_async(job.id, _failed(), delete_job=True)

    async def _deliver(self, run_id: str) -> None:
        """A job arrived. Its end is the run's end here, but its abortion is not."""
        job = self._jobs.get(run_id)
        if job is None and not self._stopping.is_set():
            job = self._jobs[run_id] = _Job()
            job.task = asyncio.create_task(self._work(run_id, job))
        if job is not None and job.task is not None:
            await asyncio.shield(asyncio.gather(job.task, return_exceptions=True))

    # -- runs -----------------------------------------------------------------------------------

    async def _work(self, run_id: str, job: _Job) -> None:
        try:
            async with self._places:
                if not job.stop.requested:
                    await self._execute(run_id, job)
        except (RunOwnedElsewhere, LeaseLost):
            # Another worker has it; should that one die, a sweep gives the run to somebody.
            self.say(run_id, "is worked on elsewhere")
        except StoreError as error:
            # The database is away. What is kept is kept; a sweep finds the run once its lease is over.
            self.say(run_id, str(error))
        finally:
            self._jobs.pop(run_id, None)

    async def _execute(self, run_id: str, job: _Job) -> None:
        try:
            record = await self.app.journal.get_run(run_id)
        except NotFound:
            await self._change(lambda c: withdraw_run(c, run_id))
            return
        if record.status in _OPEN and is_owned(record):
            return
        if record.status in _OPEN:
            self.say(run_id, "begins")
            try:
                record = await self.app.execute(run_id, stop=job.stop, stream=False)
            except (RunOwnedElsewhere, LeaseLost, StoreError):
                raise
            except WindlassError as error:
                await self._refuse(record, error)
                return
            why = f": {' '.join(record.error.split())}" if record.error else ""
            self.say(run_id, f"{record.status.value}{why}")
        over = record.status not in _OPEN
        await self._change(lambda c: withdraw_run(c, run_id) if over else _hand_back(c, run_id))

    async def _refuse(self, record: RunRecord, error: WindlassError) -> None:
        """A run that could not begin here: another worker may be able to; once several could not, it has failed."""
        sentence = str(error)
        if isinstance(error, WorkspaceError):
            sentence = (
                f"The worker on {platform.node()} cannot reach the workspace {record.workspace} of run {record.run_id} "
                f"({sentence.rstrip('.')}); put it in a folder that all workers share or in s3://, or start a worker where "
                "it is and queue the run again."
            )
        self.say(record.run_id, sentence)
        final = isinstance(error, JournalError)
        refusals = 0 if final else await self._change(lambda c: refuse_run(c, record.run_id, sentence))
        if final or refusals >= MAX_REFUSALS:
            await self._fail(record, sentence)

    async def _fail(self, record: RunRecord, sentence: str) -> None:
        run_id = record.run_id
        lease = await take(self.app.journal, run_id, owner_name())
        try:
            earlier = await self.app.journal.events(run_id)
            log = EventLog(run_id, self.app.journal, lease, workflow_name="", earlier=earlier)
            await self.app.journal.update_run(
                lease, status=WorkflowStatus.Failure, error=sentence, finished_at=time.time()
            )
            log.close_run("The run could not begin.", workflow=record.workflow, title=record.title)
            log.run_status(WorkflowStatus.Failure, summary=None, error=sentence)
            await log.close()
        finally:
            await self.app.journal.release(lease)
        await self._change(lambda c: withdraw_run(c, run_id))

    async def _change(self, action: Callable[[Any], Any]) -> Any:
        return await writer_of(self.app.database).call(action)

    # -- signs of life, and looking after what others left behind --------------------------------

    async def _again(self, seconds: float, work: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(seconds * (0.8 + 0.4 * random.random()))
            try:
                await asyncio.to_thread(work)
            except StoreError:
                # The database is away; the next look may find it back.
                continue

    def _sign(self) -> crew.WorkerSign:
        return crew.WorkerSign(
            self.worker_id,
            owner_name().rpartition(":")[0],
            self.queues or (),
            self.concurrency,
            self._stopping.is_set(),
        )

    def _beat(self) -> None:
        self._in_transaction(lambda c: crew.sign_on(c, self._sign()))

    def _sweep(self) -> None:
        self._in_transaction(_sweep)

    def _in_transaction(self, work: Callable[[Any], Any]) -> None:
        with self.app.database.writing() as connection:
            work(connection)

    async def _sign_off(self) -> None:
        try:
            await asyncio.to_thread(self._in_transaction, lambda c: crew.sign_off(c, self.worker_id))
        except StoreError:
            # Then its last sign of life grows old, and it counts as gone.
            return

    async def _drain(self) -> None:
        """Wait for the runs at hand, at most ``grace`` seconds; then cut them off."""
        self.stop()
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self.grace)
            if late:
                self.cut_off()
                await asyncio.gather(*late, return_exceptions=True)


def _hand_back(connection: Any, run_id: str) -> None:
    place = place_of(connection, run_id)
    if place is not None:
        enqueue_runs(connection, [run_id], place)


def _sweep(connection: Any) -> None:
    """Give a new job to every queued run that nobody works on; one process at a time does so."""
    if not try_sweep_alone(connection):
        return
    drop_ended(connection)
    put_jobs(connection, free(left_alone(connection)))


def free(runs: Iterable[tuple[str, Place, str | None]]) -> list[tuple[str, Place]]:
    """Those without an owner, and those whose owner was a process of this machine that is dead: its lease need not
    be waited for."""
    return [(run_id, place) for run_id, place, holder in runs if holder is None or is_dead(holder)]


def _failed() -> Any:
    from procrastinate.jobs import Status

    return Status.FAILED
