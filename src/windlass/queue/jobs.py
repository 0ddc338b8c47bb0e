"""What is queued: rows that say which runs workers are to work on, and Procrastinate's jobs that tell them at once.

The rows decide, the jobs deliver: a job that is lost, stuck or doubled changes nothing but how soon a run begins. Who
owns a run is decided by its lease alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import bindparam, delete, func, select, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from windlass.errors import InputError, StoreError
from windlass.extras import missing_extra
from windlass.store.base import Database
from windlass.store.fleet import queued_runs

#: The task that every job of ours is.
TASK = "windlass.run"
DEFAULT_QUEUE = "runs"
#: Seconds before a sweep looks at what was queued just now: its job is on its way.
SETTLING_SECONDS = 5.0
_CHUNK = 500

_SCHEMA_LOCK = int.from_bytes(b"wl-queu", "big")
_SWEEP_LOCK = int.from_bytes(b"wl-swep", "big")

NEEDS_POSTGRES = (
    "A queue with workers needs a PostgreSQL database, and this one is {label}; set WINDLASS_DATABASE_URL to a "
    "postgresql:// address (windlass db copy brings your runs along)."
)


@dataclass(frozen=True)
class Place:
    """Where in the queue: which queue, how urgent (higher goes first), and not before how many seconds from now."""

    queue: str = DEFAULT_QUEUE
    priority: int = 0
    delay: float = 0.0

    def __post_init__(self) -> None:
        if not self.queue.strip() or len(self.queue) > 100 or not self.queue.isprintable():
            raise InputError(f"{self.queue!r} is no name of a queue; use 1 to 100 printable characters.")
        if not -1000 <= self.priority <= 1000:
            raise InputError(f"A priority is from -1000 to 1000, not {self.priority}.")


def require_queue(database: Database) -> None:
    """Raises InputError where the database can hold no queue, ConfigError where the extra is not installed."""
    if database.is_sqlite:
        raise InputError(NEEDS_POSTGRES.format(label=database.label))
    try:
        import procrastinate  # noqa: F401
    except ImportError:
        raise missing_extra("A queue with workers", "postgres") from None


def prepare_queue(connection: Connection) -> bool:
    """Make Procrastinate's own tables where they are missing; whether they were. Part of the caller's transaction."""
    if _has_schema(connection):
        return False
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
    if _has_schema(connection):
        return False
    from procrastinate.schema import SchemaManager

    _driver(connection).execute(SchemaManager.get_schema())
    return True


def _has_schema(connection: Connection) -> bool:
    # Not with to_regclass: that a table was missing is remembered until the transaction's end, and another process may
    # have made it while this one waited for the lock.
    query = text(
        "SELECT EXISTS (SELECT 1 FROM pg_class WHERE relname = 'procrastinate_jobs' AND pg_table_is_visible(oid)),"
        " EXISTS (SELECT 1 FROM pg_proc WHERE proname = 'procrastinate_retry_job_v2' AND pg_function_is_visible(oid))"
    )
    table, newest = connection.execute(query).one()
    if table and not newest:
        raise StoreError(
            "The tables of the queue are those of an older Procrastinate; bring them up to date with its migrations "
            "(`procrastinate schema --migrations-path` names them), then try again."
        )
    return bool(table)


def enqueue_runs(connection: Connection, run_ids: Sequence[str], place: Place) -> None:
    """Queue runs in the caller's transaction: they are queued exactly when it is committed. Again is harmless."""
    prepare_queue(connection)
    now = _now(connection)
    row = postgresql.insert(queued_runs)
    renewed = row.on_conflict_do_update(
        index_elements=["run_id"],
        set_={
            name: row.excluded[name]
            for name in ("queue", "priority", "enqueued_at", "not_before", "refusals")
        },
    )
    rows = [
        {
            "run_id": run_id,
            "queue": place.queue,
            "priority": place.priority,
            "enqueued_at": now,
            "not_before": now + place.delay,
            "refusals": 0,
        }
        for run_id in run_ids
    ]
    for start in range(0, len(rows), _CHUNK):
        connection.execute(renewed, rows[start : start + _CHUNK])
    put_jobs(connection, [(run_id, place) for run_id in run_ids])


def put_jobs(connection: Connection, wanted: Sequence[tuple[str, Place]]) -> int:
    """Give each run a job unless one is waiting already; how many got one."""
    from procrastinate.exceptions import AlreadyEnqueued
    from procrastinate.jobs import Job

    put = 0
    for start in range(0, len(wanted), _CHUNK):
        part = wanted[start : start + _CHUNK]
        waiting = _waiting(connection, [run_id for run_id, _ in part])
        jobs = [
            Job(
                queue=place.queue,
                # No lock: a job whose end was never recorded would keep every later one of its run from starting.
                lock=None,
                queueing_lock=run_id,
                task_name=TASK,
                task_kwargs={"run_id": run_id},
                priority=place.priority,
                scheduled_at=datetime.now(UTC) + timedelta(seconds=place.delay) if place.delay else None,
            )
            for run_id, place in part
            if run_id not in waiting
        ]
        if not jobs:
            continue
        try:
            with connection.begin_nested():
                _manager().batch_defer_jobs(jobs, connection=_driver(connection))
            put += len(jobs)
        except AlreadyEnqueued:
            # Another process was faster with one of them: then each for itself.
            for job in jobs:
                put += _put_one(connection, job)
    return put


def _put_one(connection: Connection, job: Any) -> int:
    from procrastinate.exceptions import AlreadyEnqueued

    try:
        with connection.begin_nested():
            _manager().defer_job(job, connection=_driver(connection))
    except AlreadyEnqueued:
        return 0
    return 1


def _waiting(connection: Connection, run_ids: Sequence[str]) -> set[str]:
    query = text(
        "SELECT queueing_lock FROM procrastinate_jobs WHERE status = 'todo' AND queueing_lock IN :ids"
    ).bindparams(bindparam("ids", expanding=True))
    return set(connection.execute(query, {"ids": list(run_ids)}).scalars())


def withdraw_run(connection: Connection, run_id: str) -> None:
    """Workers have nothing more to do with the run. A job that is still about is dropped by whoever gets it."""
    connection.execute(delete(queued_runs).where(queued_runs.c.run_id == run_id))


def refuse_run(connection: Connection, run_id: str, sentence: str) -> int:
    """Note that a worker could not begin a run, and let it wait longer each time; how often that was so by now."""
    mine = queued_runs.c.run_id == run_id
    row = connection.execute(select(queued_runs).where(mine).with_for_update()).mappings().one_or_none()
    if row is None:
        return 0
    refusals = int(row["refusals"]) + 1
    delay = 0.5 * 2**refusals
    connection.execute(
        update(queued_runs)
        .where(mine)
        .values(refusals=refusals, refusal=sentence, not_before=_now(connection) + delay)
    )
    put_jobs(connection, [(run_id, Place(row["queue"], row["priority"], delay))])
    return refusals


def place_of(connection: Connection, run_id: str) -> Place | None:
    """Where a run is queued; None for one that is not."""
    query = select(queued_runs.c.queue, queued_runs.c.priority).where(queued_runs.c.run_id == run_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else Place(*row)


def left_alone(connection: Connection, *, limit: int = 1000) -> list[tuple[str, Place, str | None]]:
    """Queued runs that could go on, have no job that waits, and no lease that lives; with their last owner.

    Those whose owner's lease still lives are given too when it is known by name: the caller may know better.
    """
    found = connection.execute(
        _LEFT_ALONE, {"now": _now(connection), "settling": SETTLING_SECONDS, "limit": limit}
    )
    return [(row.run_id, Place(row.queue, row.priority), row.holder) for row in found]


_LEFT_ALONE = text(
    """
    SELECT q.run_id, q.queue, q.priority,
           CASE WHEN r.owner IS NOT NULL AND coalesce(r.lease_until, 0) > :now THEN r.owner END AS holder
      FROM queued_runs q JOIN runs r ON r.run_id = q.run_id
     WHERE r.status IN ('Pending', 'Started')
       AND q.not_before <= :now AND q.enqueued_at <= :now - :settling
       AND NOT EXISTS (
           SELECT 1 FROM procrastinate_jobs j WHERE j.status = 'todo' AND j.queueing_lock = q.run_id)
     ORDER BY q.priority DESC, q.run_id
     LIMIT :limit
    """
)


def try_sweep_alone(connection: Connection) -> bool:
    """Whether this transaction may sweep: one does at a time."""
    query = text("SELECT pg_try_advisory_xact_lock(:key)")
    return bool(connection.execute(query, {"key": _SWEEP_LOCK}).scalar())


def drop_ended(connection: Connection) -> None:
    """Forget the queue's rows of runs that have ended, wait for a person, or are gone."""
    connection.execute(
        text(
            "DELETE FROM queued_runs q WHERE NOT EXISTS (SELECT 1 FROM runs r WHERE r.run_id = q.run_id"
            " AND r.status IN ('Pending', 'Started'))"
        )
    )


def analyse(connection: Connection) -> None:
    """Tell the planner what is there after many rows came at once: else it reads whole tables for each job."""
    for table in ("procrastinate_jobs", "queued_runs", "runs"):
        connection.execute(text(f"ANALYZE {table}"))


def _now(connection: Connection) -> float:
    return float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())


def _driver(connection: Connection) -> Any:
    """psycopg's own connection, in the transaction that SQLAlchemy began."""
    return connection.connection.driver_connection


@cache
def _manager() -> Any:
    from procrastinate import App, SyncPsycopgConnector

    # Never opened: every call brings its connection.
    return App(connector=SyncPsycopgConnector()).job_manager
