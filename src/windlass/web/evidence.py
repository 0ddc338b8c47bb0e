"""A prompt's comparisons as a chart draws them: the evidence after every pair of results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from windlass.evidence import Comparison, Tally
from windlass.store import comparisons as queries
from windlass.store.base import Database
from windlass.store.comparisons import ComparisonRow, Result

_MICRO = 1_000_000
#: Points of one chart at most; of a longer comparison every n-th is given, and the last.
MAX_POINTS = 400


def comparisons(database: Database, name: str) -> list[dict[str, Any]]:
    """Every comparison of the prompt's versions, the one that changed last first."""
    with database.reading() as connection:
        rows = queries.of_prompt(connection, name)
    return [_shown(row) for row in rows]


def _shown(row: ComparisonRow) -> dict[str, Any]:
    paired = row.kind == "offline" and len(row.versions) == 2
    return {
        "kind": row.kind,
        "state": row.state,
        "old": row.versions[0] if row.versions else None,
        "new": row.versions[1] if len(row.versions) > 1 else None,
        "versions": list(row.versions),
        "alpha": row.alpha,
        "min_pairs": row.min_pairs,
        "decision": row.decision,
        "at": row.at.timestamp(),
        "series": _series(row) if paired else [],
    }


def _series(row: ComparisonRow) -> list[dict[str, Any]]:
    old, new = row.versions
    known: dict[tuple[str, int], Result] = {}
    points = []
    for result in row.results:
        known[result.case_id, result.version_no] = result
        both = known.get((result.case_id, old)), known.get((result.case_id, new))
        if all(one is not None and one.outcome != "error" for one in both):
            points.append(_point(_comparison(row, list(known.values())), result.at.timestamp()))
    step = math.ceil(len(points) / MAX_POINTS) or 1
    return [*points[:-1:step], *points[-1:]]


def _comparison(row: ComparisonRow, results: Sequence[Result]) -> Comparison:
    old, new = row.versions
    passed = {(r.case_id, r.version_no): r.outcome == "pass" for r in results if r.outcome != "error"}
    pairs = [
        (was, passed[case, new]) for (case, no), was in passed.items() if no == old and (case, new) in passed
    ]
    return Comparison(
        old=_tally(old, results),
        new=_tally(new, results),
        both=pairs.count((True, True)),
        only_new=pairs.count((False, True)),
        only_old=pairs.count((True, False)),
        neither=pairs.count((False, False)),
        alpha=row.alpha,
        min_discordant=row.min_pairs,
        cost_cap=row.cost_cap,
    )


def _tally(version: int, results: Sequence[Result]) -> Tally:
    mine = [result for result in results if result.version_no == version]
    outcomes = [result.outcome for result in mine]
    return Tally(
        version_no=version,
        passes=outcomes.count("pass"),
        fails=outcomes.count("fail"),
        errors=outcomes.count("error"),
        cost_micro=sum(result.cost_micro or 0 for result in mine),
        unpriced=sum(result.cost_micro is None for result in mine if result.outcome != "error"),
    )


def _point(comparison: Comparison, at: float) -> dict[str, Any]:
    e_value = comparison.e_value
    return {
        "at": at,
        "pairs": comparison.pairs,
        "only_new": comparison.only_new,
        "only_old": comparison.only_old,
        "e_value": e_value if math.isfinite(e_value) else None,
        "old_passes": comparison.old.passes,
        "new_passes": comparison.new.passes,
        "old_interval": list(comparison.old.interval),
        "new_interval": list(comparison.new.interval),
        "old_cost_per_success_usd": _usd(comparison.old),
        "new_cost_per_success_usd": _usd(comparison.new),
    }


def _usd(tally: Tally) -> float | None:
    cost = tally.cost_per_success_micro
    return None if cost is None or tally.unpriced else cost / _MICRO
