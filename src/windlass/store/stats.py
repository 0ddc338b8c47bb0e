"""Sums over the tables of runs: what a page of runs and the costs page show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, select, tuple_
from sqlalchemy.engine import Connection

from windlass.errors import NotFound
from windlass.events import WorkflowStatus
from windlass.journal.base import RunRecord
from windlass.store.journal_rows import run_record
from windlass.store.runs import run_entries, runs

_CHUNK = 500
#: Attempts at model calls, each counted for the run that made it: not for a fork that took its reply over.
_CALLS = (run_entries.c.kind == "model", run_entries.c.copied_from.is_(None))


@dataclass(frozen=True)
class CallRow:
    """What one attempt at a model call used. Costs are nano-USD, None = not known."""

    run_id: str
    workflow: str
    started_at: float
    model: str | None
    prompt: str | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_nano_usd: int | None
    unknown: bool


@dataclass(frozen=True)
class Used:
    """Sums over the model calls of one run. ``cost_nano_usd`` is what is known of its cost: all but that of ``unpriced``
    calls."""

    requests: int
    tokens: int
    cost_nano_usd: int
    unpriced: int = 0


def runs_before(
    connection: Connection, limit: int, status: Sequence[WorkflowStatus] | None, before: str | None
) -> list[RunRecord]:
    """Runs, newest first, from the one that comes after ``before``. Raises NotFound when there is no such run."""
    query = select(runs).order_by(runs.c.created_at.desc(), runs.c.run_id.desc()).limit(limit)
    if status is not None:
        query = query.where(runs.c.status.in_([one.value for one in status]))
    if before is not None:
        at = connection.execute(select(runs.c.created_at).where(runs.c.run_id == before)).scalar()
        if at is None:
            raise NotFound(f"No run is called {before!r}.")
        query = query.where(tuple_(runs.c.created_at, runs.c.run_id) < tuple_(at, before))
    return [run_record(row) for row in connection.execute(query).mappings()]


def used_by(connection: Connection, run_ids: Sequence[str]) -> dict[str, Used]:
    """What each run's own model calls used; runs without any are left out."""
    unknown = func.sum(case((run_entries.c.cost_nano_usd.is_(None), 1), else_=0))
    query = (
        select(
            run_entries.c.run_id,
            func.count(),
            func.sum(
                func.coalesce(run_entries.c.input_tokens, 0) + func.coalesce(run_entries.c.output_tokens, 0)
            ),
            func.sum(func.coalesce(run_entries.c.cost_nano_usd, 0)),
            unknown,
        )
        .where(*_CALLS)
        .group_by(run_entries.c.run_id)
    )
    found: dict[str, Used] = {}
    for start in range(0, len(run_ids), _CHUNK):
        chosen = query.where(run_entries.c.run_id.in_(run_ids[start : start + _CHUNK]))
        for run_id, requests, tokens, cost, without in connection.execute(chosen):
            found[run_id] = Used(int(requests), int(tokens), int(cost), int(without))
    return found


def calls_since(connection: Connection, since: float) -> list[CallRow]:
    """Every attempt at a model call, of the run that made it, that began at or after ``since`` (seconds since 1970)."""
    zero: Any = 0

    def known(column: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.coalesce(column, zero)

    query = (
        select(
            run_entries.c.run_id,
            runs.c.workflow,
            run_entries.c.started_at,
            run_entries.c.model,
            run_entries.c.prompt_name,
            known(run_entries.c.input_tokens),
            known(run_entries.c.output_tokens),
            known(run_entries.c.cached_tokens),
            run_entries.c.cost_nano_usd,
            (run_entries.c.state == "unknown").label("unknown"),
        )
        .join(runs, runs.c.run_id == run_entries.c.run_id)
        .where(*_CALLS, run_entries.c.started_at >= since)
    )
    found: Iterable[Any] = connection.execute(query)
    return [CallRow(*row) for row in found]


def counts_by_status(connection: Connection) -> dict[str, int]:
    """How many runs there are of each status."""
    query = select(runs.c.status, func.count()).group_by(runs.c.status)
    return {status: int(count) for status, count in connection.execute(query)}
