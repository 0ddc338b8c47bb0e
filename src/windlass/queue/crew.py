"""Who works: the workers' signs of life, and what each of them holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from windlass.store.fleet import queued_runs, workers
from windlass.store.runs import runs
from windlass.store.values import dump_json, load_json

#: A worker without a sign of life for so long (seconds) counts as gone, and is forgotten after the second.
GONE_SECONDS = 30.0
FORGET_SECONDS = 600.0


@dataclass(frozen=True)
class WorkerSign:
    """A worker's sign of life. ``process`` is what the owner names of its runs begin with."""

    worker_id: str
    process: str
    queues: Sequence[str]
    concurrency: int
    stopping: bool = False


@dataclass(frozen=True)
class WorkerState:
    """A worker as others see it; ``idle`` is the time since its last sign of life, in seconds."""

    sign: WorkerSign
    started_at: float
    idle: float
    holds: Sequence[str]

    @property
    def status(self) -> str:
        """``working``, ``idle``, ``stopping`` or ``gone``."""
        if self.idle > GONE_SECONDS:
            return "gone"
        if self.sign.stopping:
            return "stopping"
        return "working" if self.holds else "idle"

    @property
    def host(self) -> str:
        """The machine's name."""
        return self.sign.process.rsplit(":", 3)[0]

    @property
    def pid(self) -> str:
        """The process's number there."""
        return self.sign.process.rsplit(":", 3)[1]


def sign_on(connection: Connection, sign: WorkerSign) -> None:
    """A worker begins, or is still there."""
    now = _now(connection)
    row = postgresql.insert(workers).values(
        worker_id=sign.worker_id,
        process=sign.process,
        queues=dump_json(list(sign.queues)),
        concurrency=sign.concurrency,
        stopping=sign.stopping,
        started_at=now,
        seen_at=now,
    )
    fresh = {"stopping": sign.stopping, "seen_at": now}
    connection.execute(row.on_conflict_do_update(index_elements=["worker_id"], set_=fresh))
    connection.execute(delete(workers).where(workers.c.seen_at < now - FORGET_SECONDS))


def sign_off(connection: Connection, worker_id: str) -> None:
    """A worker ends."""
    connection.execute(delete(workers).where(workers.c.worker_id == worker_id))


def workers_at_work(connection: Connection) -> list[WorkerState]:
    """Every worker with what it holds, oldest first."""
    now = _now(connection)
    held = connection.execute(
        select(runs.c.run_id, runs.c.owner).where(runs.c.owner.is_not(None), runs.c.lease_until > now)
    ).all()
    found = connection.execute(select(workers).order_by(workers.c.started_at)).mappings().all()
    return [
        WorkerState(
            WorkerSign(
                row["worker_id"],
                row["process"],
                load_json(row["queues"]),
                row["concurrency"],
                bool(row["stopping"]),
            ),
            row["started_at"],
            max(0.0, now - row["seen_at"]),
            [run_id for run_id, owner in held if owner.rpartition(":")[0] == row["process"]],
        )
        for row in found
    ]


def backlog(connection: Connection) -> list[tuple[str, int, Any]]:
    """What waits in each queue: its name, how many runs nobody has begun or holds, and since when the oldest waits."""
    now = _now(connection)
    waiting = (
        select(queued_runs.c.queue, func.count(), func.min(queued_runs.c.enqueued_at))
        .join(runs, runs.c.run_id == queued_runs.c.run_id)
        .where(runs.c.status.in_(("Pending", "Started")), func.coalesce(runs.c.lease_until, 0.0) < now)
        .group_by(queued_runs.c.queue)
        .order_by(queued_runs.c.queue)
    )
    return [(name, number, since) for name, number, since in connection.execute(waiting).all()]


def _now(connection: Connection) -> float:
    return float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())
