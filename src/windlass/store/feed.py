"""What a server asks of the tables of runs to follow what other processes do."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import func, or_, select
from sqlalchemy.engine import Connection

from windlass.events import WorkflowStatus
from windlass.store.runs import run_entries, run_events, runs
from windlass.store.values import load_json

#: Newest runs that are looked at besides the unfinished ones.
_NEWEST = 50
_CHUNK = 500


def last_events(connection: Connection, run_ids: Collection[str]) -> dict[str, int]:
    """The number of each run's last stored event; runs without one are left out."""
    wanted = sorted(run_ids)
    found: dict[str, int] = {}
    for start in range(0, len(wanted), _CHUNK):
        query = (
            select(run_events.c.run_id, func.max(run_events.c.seq))
            .where(run_events.c.run_id.in_(wanted[start : start + _CHUNK]))
            .group_by(run_events.c.run_id)
        )
        found.update((run_id, seq) for run_id, seq in connection.execute(query))
    return found


def lively_runs(connection: Connection) -> set[str]:
    """Runs that may say something soon: those that have begun and the newest ones."""
    begun = select(runs.c.run_id).where(
        or_(runs.c.status == WorkflowStatus.Started.value, runs.c.status == WorkflowStatus.Pending.value)
    )
    newest = select(runs.c.run_id).order_by(runs.c.created_at.desc(), runs.c.run_id.desc()).limit(_NEWEST)
    return {run_id for query in (begun, newest) for (run_id,) in connection.execute(query)}


def partial_texts(connection: Connection, run_ids: Sequence[str]) -> list[tuple[str, str, str]]:
    """Replies that are coming in, as far as they were saved: run, effect path, text."""
    query = select(run_entries.c.run_id, run_entries.c.path, run_entries.c.partial).where(
        run_entries.c.run_id.in_(run_ids),
        run_entries.c.state == "claimed",
        run_entries.c.kind == "model",
        run_entries.c.partial.is_not(None),
    )
    return [(run_id, path, load_json(text)) for run_id, path, text in connection.execute(query)]
