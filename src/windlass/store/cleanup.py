"""Forgetting old runs, and the contents that no run needs any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, or_, select, text
from sqlalchemy.engine import Connection

from windlass.events import WorkflowStatus
from windlass.store.base import Database
from windlass.store.runs import (
    blobs,
    budget_reservations,
    journal_writers,
    run_blobs,
    run_entries,
    run_events,
    runs,
)

#: Runs forgotten in one transaction: bounds how long a clean-up keeps writers waiting.
_CHUNK = 50

_ENDED = [
    status.value for status in (WorkflowStatus.Success, WorkflowStatus.Failure, WorkflowStatus.Cancelled)
]


@dataclass(frozen=True)
class Collected:
    """What a clean-up removed. ``bytes`` is what the contents measured before they were deflated."""

    runs: int
    blobs: int
    bytes: int


def collect(database: Database, before: float, protected: Collection[str], now: float) -> Collected:
    """Forget the runs that ended before a time (seconds since 1970), then the blobs nobody needs."""
    with database.reading() as connection:
        old = _old_runs(connection, before, protected, now)
    forgotten = 0
    for start in range(0, len(old), _CHUNK):
        with database.writing() as connection:
            # Asked again, and locked: one may have been resumed since, and none is while they go.
            chosen = _old_runs(connection, before, protected, now, among=old[start : start + _CHUNK])
            forget_runs(connection, chosen)
            forgotten += len(chosen)
    with database.writing() as connection:
        removed, size = _sweep(connection, before)
    return Collected(forgotten, removed, size)


def collect_all(connection: Connection, before: float, protected: Collection[str], now: float) -> Collected:
    """:func:`collect` in the one transaction of a connection."""
    old = _old_runs(connection, before, protected, now)
    forget_runs(connection, old)
    removed, size = _sweep(connection, before)
    return Collected(len(old), removed, size)


def forget_runs(connection: Connection, run_ids: Sequence[str]) -> None:
    """Delete runs and what only they point to, but for the blobs themselves."""
    for run_id in run_ids:
        for table in (runs, run_entries, run_events, run_blobs):
            connection.execute(delete(table).where(table.c.run_id == run_id))


def _old_runs(
    connection: Connection,
    before: float,
    protected: Collection[str],
    now: float,
    among: Sequence[str] | None = None,
) -> list[str]:
    ended = func.coalesce(runs.c.finished_at, runs.c.updated_at)
    free = or_(runs.c.owner.is_(None), runs.c.lease_until.is_(None), runs.c.lease_until < now)
    query = select(runs.c.run_id).where(runs.c.status.in_(_ENDED), ended < before, free)
    if among is not None:
        query = query.where(runs.c.run_id.in_(among)).with_for_update()
    kept = set(protected)
    return [
        run_id for run_id in connection.execute(query.order_by(runs.c.run_id)).scalars() if run_id not in kept
    ]


def _sweep(connection: Connection, before: float) -> tuple[int, int]:
    """Delete what nothing points to; how many blobs, and their size in bytes."""
    if connection.dialect.name == "postgresql":
        # Every group of a writer begins by changing a row here, so none is under way from now on: a
        # blob that one of them had found to be there already cannot vanish under it.
        connection.execute(text("LOCK TABLE journal_writers IN EXCLUSIVE MODE"))
    orphan = blobs.c.sha256.not_in(select(run_blobs.c.sha256))
    count, size = connection.execute(select(func.count(), func.sum(blobs.c.size)).where(orphan)).one()
    if count:
        connection.execute(delete(blobs).where(orphan))
    connection.execute(delete(journal_writers).where(journal_writers.c.at < before))
    settled = budget_reservations.c.state != "open"
    connection.execute(delete(budget_reservations).where(settled, budget_reservations.c.created_at < before))
    return int(count), int(size or 0)
