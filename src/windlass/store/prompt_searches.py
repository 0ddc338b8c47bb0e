"""Which cases a version was made from, so that it is not judged by them as well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import insert, select

from windlass.ids import generate_id, sha256_hex
from windlass.store import prompt_sql
from windlass.store.base import Database, utc_now
from windlass.store.prompt_models import PromptArmModel, PromptExperimentModel, PromptVersionModel

#: What tells a search from a comparison among a prompt's experiments.
POLICY = "search"


def remember(database: Database, name: str, versions: Sequence[int], cases: Iterable[str]) -> None:
    """Note that these versions were found on these cases (their fingerprints); once, however often it is said."""
    learnt = sorted(set(cases))
    with database.writing() as connection:
        prompt_sql.get_prompt(connection, name, lock=True)
        ids = [prompt_sql.get_version(connection, name, number, retired=True).id for number in versions]
        now = utc_now()
        id = generate_id()
        new = prompt_sql.insert_new(
            connection,
            PromptExperimentModel,
            id=id,
            prompt_name=name,
            kind="offline",
            key=sha256_hex("\0".join([POLICY, name, *sorted(ids), *learnt])),
            state="decided",
            alpha=0.05,
            min_pairs=1,
            policy=POLICY,
            seed=0,
            evidence={"learnt_from": learnt},
            created_at=now,
            updated_at=now,
        )
        for position, version_id in enumerate(ids if new else ()):
            connection.execute(
                insert(PromptArmModel).values(
                    experiment_id=id, prompt_version_id=version_id, position=position, weight=0.0
                )
            )


def learnt_from(database: Database, name: str, number: int) -> set[str]:
    """The cases that a version, or one that it was made from, was found on. NotFound for an unknown version."""
    version, arm, search = PromptVersionModel, PromptArmModel, PromptExperimentModel
    with database.reading() as connection:
        prompt_sql.get_version(connection, name, number, retired=True)
        rows = connection.execute(
            select(version.version_no, version.parent_version_no).where(version.prompt_name == name)
        )
        parents: dict[int, int | None] = {row[0]: row[1] for row in rows}
        line: list[int] = []
        at: int | None = number
        while at is not None and at in parents and at not in line:
            line.append(at)
            at = parents[at]
        found = connection.scalars(
            select(search.evidence)
            .join(arm, arm.experiment_id == search.id)
            .join(version, version.id == arm.prompt_version_id)
            .where(search.prompt_name == name, search.policy == POLICY, version.version_no.in_(line))
        )
        return {case for evidence in found if evidence for case in evidence["learnt_from"]}
