"""Which text each model call used, and what became of it; each function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import Connection, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased

from windlass.evidence import pass_interval
from windlass.ids import generate_id
from windlass.prompt.records import Outcome, PromptUsage, VersionStats
from windlass.store import prompt_sql
from windlass.store.base import utc_now
from windlass.store.prompt_models import PromptContentModel, PromptUsageModel, PromptVersionModel

_Usage, _Version = PromptUsageModel, PromptVersionModel
_FIGURES = ("model", "tokens_in", "tokens_out", "cost_micro", "latency_ms")


def record(connection: Connection, usage: PromptUsage) -> None:
    """:func:`record_all` of one."""
    record_all(connection, [usage])


def record_all(connection: Connection, usages: Sequence[PromptUsage]) -> None:
    """Insert the usages; complete the figures of those whose call is known already."""
    if not usages:
        return
    texts = dict.fromkeys(text for usage in usages for text in (usage.template, usage.rendered))
    hashes = dict(zip(texts, prompt_sql.keep_content(connection, *texts), strict=True))
    used = dict.fromkeys((usage.prompt_name, usage.version_no) for usage in usages)
    versions = {key: _version_id(connection, *key) for key in used}
    now = utc_now()
    rows = [
        {
            "id": generate_id(),
            "run_id": usage.run_id,
            "step_path": usage.step_path,
            "call_path": usage.call_path,
            "prompt_name": usage.prompt_name,
            "prompt_version_id": versions[usage.prompt_name, usage.version_no],
            "template_sha256": hashes[usage.template],
            "rendered_sha256": hashes[usage.rendered],
            "provenance": usage.provenance,
            "outcome": usage.outcome,
            "scored_at": now if usage.outcome != "pending" else None,
            "case_id": usage.case_id,
            "experiment_id": usage.experiment_id,
            "created_at": now,
            "updated_at": now,
            **{name: getattr(usage, name) for name in _FIGURES},
        }
        for usage in usages
    ]
    connection.execute(_put(connection.dialect.name), rows)


@cache
def _put(dialect_name: str) -> Any:
    dialect: Any = sqlite if dialect_name == "sqlite" else postgresql
    new = dialect.insert(_Usage.__table__)
    known = {name: func.coalesce(new.excluded[name], _Usage.__table__.c[name]) for name in _FIGURES}
    return new.on_conflict_do_update(
        index_elements=["run_id", "call_path", "prompt_name"],
        set_={**known, "updated_at": new.excluded.updated_at},
    )


def _version_id(connection: Connection, name: str, version_no: int | None) -> str | None:
    return connection.scalars(
        select(_Version.id).where(_Version.prompt_name == name, _Version.version_no == version_no)
    ).one_or_none()


def record_outcome(connection: Connection, run_id: str, outcome: Outcome, scored_by: str | None) -> int:
    """Set the outcome of all uses of a run; gives their number."""
    now = utc_now()
    statement = (
        update(_Usage)
        .where(_Usage.run_id == run_id)
        .values(outcome=outcome, scored_by=scored_by, scored_at=now, updated_at=now)
    )
    return connection.execute(statement).rowcount


def of_run(connection: Connection, run_id: str) -> list[PromptUsage]:
    """The uses of a run with their exact texts, oldest first."""
    template, rendered = aliased(PromptContentModel), aliased(PromptContentModel)
    rows = connection.execute(
        select(
            _Usage.run_id,
            _Usage.step_path,
            _Usage.call_path,
            _Usage.prompt_name,
            _Version.version_no,
            template.content,
            rendered.content,
            _Usage.provenance,
            _Usage.model,
            _Usage.tokens_in,
            _Usage.tokens_out,
            _Usage.cost_micro,
            _Usage.latency_ms,
            _Usage.outcome,
            _Usage.case_id,
            _Usage.experiment_id,
        )
        .join(template, template.sha256 == _Usage.template_sha256)
        .join(rendered, rendered.sha256 == _Usage.rendered_sha256)
        .outerjoin(_Version, _Version.id == _Usage.prompt_version_id)
        .where(_Usage.run_id == run_id)
        .order_by(_Usage.created_at, _Usage.id)
    )
    return [PromptUsage(*cast(Any, tuple(row))) for row in rows]


def by_run() -> Any:
    """Subquery: one row per real run and version, with the run's decided outcome, when it was decided, and cost.

    Runs that tried a version on a case are not among them.
    """
    return (
        select(
            _Usage.prompt_version_id,
            _Usage.run_id,
            func.count().label("calls"),
            func.coalesce(func.sum(_Usage.cost_micro), 0).label("cost"),
            func.count().filter(_Usage.cost_micro.is_(None)).label("unpriced"),
            func.max(case((_Usage.outcome != "pending", _Usage.outcome))).label("outcome"),
            func.max(_Usage.scored_at).label("scored_at"),
        )
        .where(_Usage.prompt_version_id.is_not(None), _Usage.case_id.is_(None))
        .group_by(_Usage.prompt_version_id, _Usage.run_id)
        .subquery()
    )


def stats(connection: Connection, name: str) -> list[VersionStats]:
    """One entry per version that was used, by number; a run counts once however many calls it made."""
    runs = by_run()
    rows = connection.execute(
        select(
            _Version.version_no,
            runs.c.outcome,
            func.count(),
            func.sum(runs.c.calls),
            func.sum(runs.c.cost),
            func.sum(runs.c.unpriced),
        )
        .join(runs, runs.c.prompt_version_id == _Version.id)
        .where(_Version.prompt_name == name)
        .group_by(_Version.version_no, runs.c.outcome)
    ).all()
    result = []
    for number in sorted({row[0] for row in rows}):
        mine = [row for row in rows if row[0] == number]
        count = {row[1] or "pending": row[2] for row in mine}
        passes, fails = count.get("pass", 0), count.get("fail", 0)
        result.append(
            VersionStats(
                version_no=number,
                calls=int(sum(row[3] for row in mine)),
                passes=passes,
                fails=fails,
                errors=count.get("error", 0),
                cancelled=count.get("cancelled", 0),
                pending=count.get("pending", 0),
                cost_micro=int(sum(row[4] for row in mine)),
                interval=pass_interval(passes, fails),
                unpriced=int(sum(row[5] for row in mine)),
            )
        )
    return result
