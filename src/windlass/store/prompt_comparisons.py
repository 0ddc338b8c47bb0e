"""Results of offline comparisons in the database, kept case by case so that they can go on later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from sqlalchemy import delete, insert, select, update

from windlass.evidence import Comparison
from windlass.ids import generate_id, sha256_hex
from windlass.prompt.cases import CaseResult, Verdict
from windlass.store import prompt_sql
from windlass.store.base import Database, utc_now
from windlass.store.prompt_models import (
    PromptArmModel,
    PromptExperimentModel,
    PromptResultModel,
    PromptVersionModel,
)

_Result = PromptResultModel


class SqlResultBook:
    """:class:`windlass.prompt.compare.ResultBook` for one comparison of a prompt's versions.

    ``context`` names all else that a result depends on (digest of the cases, model, settings): the same
    versions in the same context continue the same book. Making one does no I/O.
    """

    def __init__(self, database: Database, name: str, old: int, new: int, *, context: str) -> None:
        self.database = database
        self.name = name
        self._numbers = (old, new)
        self._context = context
        self._opened: tuple[str, dict[int, str]] | None = None

    def _open(self) -> tuple[str, dict[int, str]]:
        """The experiment's id, and the version ids by number; made on first use."""
        if self._opened is None:
            with self.database.writing() as connection:
                prompt_sql.get_prompt(connection, self.name, lock=True)
                rows = [
                    prompt_sql.get_version(connection, self.name, number, retired=True)
                    for number in self._numbers
                ]
                key = sha256_hex("\0".join([self.name, *(row.id for row in rows), self._context]))
                now = utc_now()
                new = prompt_sql.insert_new(
                    connection,
                    PromptExperimentModel,
                    id=generate_id(),
                    prompt_name=self.name,
                    kind="offline",
                    key=key,
                    state="running",
                    alpha=0.05,
                    min_pairs=5,
                    policy="paired",
                    seed=0,
                    created_at=now,
                    updated_at=now,
                )
                id = connection.scalars(
                    select(PromptExperimentModel.id).where(PromptExperimentModel.key == key)
                ).one()
                for position, row in enumerate(rows if new else ()):
                    connection.execute(
                        insert(PromptArmModel).values(
                            experiment_id=id, prompt_version_id=row.id, position=position, weight=0.5
                        )
                    )
                if not new:
                    connection.execute(
                        update(PromptExperimentModel)
                        .where(PromptExperimentModel.id == id)
                        .values(state="running", updated_at=now)
                    )
            self._opened = id, {row.version_no: row.id for row in rows}
        return self._opened

    def results(self) -> Mapping[tuple[str, int], CaseResult]:
        """See :class:`ResultBook`."""
        id, _ = self._open()
        query = (
            select(
                _Result.case_id,
                PromptVersionModel.version_no,
                _Result.outcome,
                _Result.cost_micro,
                _Result.detail,
            )
            .join(PromptVersionModel, PromptVersionModel.id == _Result.prompt_version_id)
            .where(_Result.experiment_id == id)
        )
        with self.database.reading() as connection:
            return {
                (case, number): CaseResult(cast(Verdict, outcome), cost, detail)
                for case, number, outcome, cost, detail in connection.execute(query)
            }

    def record(self, case_id: str, version_no: int, result: CaseResult) -> None:
        """See :class:`ResultBook`."""
        id, versions = self._open()
        with self.database.writing() as connection:
            connection.execute(
                delete(_Result).where(
                    _Result.experiment_id == id,
                    _Result.case_id == case_id,
                    _Result.prompt_version_id == versions[version_no],
                )
            )
            connection.execute(
                insert(_Result).values(
                    experiment_id=id,
                    case_id=case_id,
                    prompt_version_id=versions[version_no],
                    outcome=result.outcome,
                    cost_micro=result.cost_micro,
                    detail=None if result.detail is None else result.detail.replace("\0", "\u2400"),
                    created_at=utc_now(),
                )
            )

    def conclude(self, comparison: Comparison) -> None:
        """See :class:`ResultBook`; the versions may be retired again from now on."""
        id, _ = self._open()
        with self.database.writing() as connection:
            connection.execute(
                update(PromptExperimentModel)
                .where(PromptExperimentModel.id == id)
                .values(
                    state="decided" if comparison.decision != "not enough" else "stopped",
                    alpha=comparison.alpha,
                    min_pairs=comparison.min_discordant,
                    cost_cap=comparison.cost_cap,
                    decision=comparison.verdict,
                    evidence=comparison.to_json(),
                    updated_at=utc_now(),
                )
            )


def concluded(database: Database, name: str) -> list[Comparison]:
    """What the comparisons of a prompt's versions said last, oldest first. NotFound for an unknown prompt."""
    with database.reading() as connection:
        prompt_sql.get_prompt(connection, name)
        query = (
            select(PromptExperimentModel.evidence)
            .where(
                PromptExperimentModel.prompt_name == name,
                PromptExperimentModel.kind == "offline",
                PromptExperimentModel.policy == "paired",
                PromptExperimentModel.evidence.is_not(None),
            )
            .order_by(PromptExperimentModel.updated_at)
        )
        return [Comparison.from_json(evidence) for evidence in connection.scalars(query) if evidence]
