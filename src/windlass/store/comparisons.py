"""Reads the results of offline comparisons, in the order they came, for those who show how the evidence grew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from windlass.store.prompt_models import (
    PromptArmModel,
    PromptExperimentModel,
    PromptResultModel,
    PromptVersionModel,
)


@dataclass(frozen=True)
class Result:
    """One version's outcome (``pass``, ``fail`` or ``error``) on one case; ``cost_micro`` None = not known."""

    case_id: str
    version_no: int
    outcome: str
    cost_micro: int | None
    at: datetime


@dataclass(frozen=True)
class ComparisonRow:
    """A comparison as it is kept. ``versions`` are in the order of its arms: the old one first."""

    id: str
    kind: str
    state: str
    alpha: float
    min_pairs: int
    cost_cap: float | None
    decision: str | None
    at: datetime
    versions: Sequence[int]
    results: Sequence[Result]


def of_prompt(connection: Connection, name: str, limit: int = 50) -> list[ComparisonRow]:
    """The prompt's comparisons and live experiments, newest first."""
    table = PromptExperimentModel
    rows = connection.execute(
        select(
            table.id,
            table.kind,
            table.state,
            table.alpha,
            table.min_pairs,
            table.cost_cap,
            table.decision,
            table.updated_at,
        )
        .where(table.prompt_name == name, table.policy != "search")
        .order_by(table.updated_at.desc(), table.id.desc())
        .limit(limit)
    ).all()
    return [
        ComparisonRow(*row, versions=_versions(connection, row[0]), results=_results(connection, row[0]))
        for row in rows
    ]


def _versions(connection: Connection, experiment_id: str) -> list[int]:
    query = (
        select(PromptVersionModel.version_no)
        .join(PromptArmModel, PromptArmModel.prompt_version_id == PromptVersionModel.id)
        .where(PromptArmModel.experiment_id == experiment_id)
        .order_by(PromptArmModel.position)
    )
    return list(connection.scalars(query))


def _results(connection: Connection, experiment_id: str) -> list[Result]:
    table = PromptResultModel
    query: Any = (
        select(
            table.case_id, PromptVersionModel.version_no, table.outcome, table.cost_micro, table.created_at
        )
        .join(PromptVersionModel, PromptVersionModel.id == table.prompt_version_id)
        .where(table.experiment_id == experiment_id)
        .order_by(table.created_at, table.case_id)
    )
    return [Result(*row) for row in connection.execute(query)]
