"""Live experiments: real runs are split between versions, each run keeping the one it got.

An arm's share follows Thompson sampling with a floor; which arm a run gets is decided by a hash of its
id. Outcomes are paired in the order they were decided, the n-th of one arm with the n-th of the other,
so the E-value of :mod:`windlass.evidence` holds although the split adapts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from sqlalchemy import Connection, insert, select, update

from windlass.errors import InputError, NotFound
from windlass.evidence import ALPHA, MIN_DISCORDANT, Comparison, Tally, pick, thompson_weights
from windlass.ids import generate_id, sha256_hex
from windlass.prompt.records import Resolved
from windlass.store import prompt_sql, prompt_usages
from windlass.store.base import Database, utc_now
from windlass.store.prompt_models import (
    PromptArmModel,
    PromptExperimentModel,
    PromptModel,
    PromptPinModel,
    PromptVersionModel,
)

_Experiment, _Version, _Pin, _Arm = PromptExperimentModel, PromptVersionModel, PromptPinModel, PromptArmModel


@dataclass(frozen=True)
class Arm:
    """A version under trial: its share of the runs and how it did."""

    version_no: int
    weight: float
    tally: Tally


@dataclass(frozen=True)
class Experiment:
    """A live experiment. ``arms[0]`` is what the others are compared with, one comparison each."""

    id: str
    prompt_name: str
    state: str
    started_at: datetime
    arms: Sequence[Arm]
    comparisons: Sequence[Comparison]
    decision: str | None = None

    @property
    def winner(self) -> Comparison | None:
        """The comparison whose new version may be promoted; the strongest, when several may."""
        ready = [each for each in self.comparisons if each.decision == "promote"]
        return max(ready, key=lambda each: each.e_value, default=None)


class PromptExperiments:
    """Starts, shows and stops live experiments; at most one runs for a prompt."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def start(
        self,
        name: str,
        versions: Sequence[int],
        *,
        alpha: float = ALPHA,
        min_pairs: int = MIN_DISCORDANT,
        cost_cap: float | None = None,
    ) -> Experiment:
        """Split new runs between the version in effect and ``versions``.

        InputError when one is running already or there is nothing to compare; NotFound for a version that
        is not live. With k challengers each is held to ``alpha`` / k.
        """
        if not 0 < alpha < 1:
            raise InputError(f"The error rate must lie between 0 and 1, not be {alpha}.")
        with self.database.writing() as connection:
            prompt_sql.get_prompt(connection, name, lock=True)
            if _running(connection, name) is not None:
                raise InputError(f"An experiment on prompt {name!r} is running already: stop it first.")
            baseline = prompt_sql.get_effective(connection, name).version_no
            numbers = list(dict.fromkeys([baseline, *versions]))
            if len(numbers) < 2:
                raise InputError(
                    f"Name at least one version of {name!r} besides {baseline}, which is in effect."
                )
            ids = [prompt_sql.get_version(connection, name, n, retired=False).id for n in numbers]
            id, now = generate_id(), utc_now()
            connection.execute(
                insert(_Experiment).values(
                    id=id,
                    prompt_name=name,
                    kind="live",
                    state="running",
                    alpha=alpha,
                    min_pairs=min_pairs,
                    policy="thompson",
                    seed=0,
                    cost_cap=cost_cap,
                    created_at=now,
                    updated_at=now,
                )
            )
            for position, version_id in enumerate(ids):
                connection.execute(
                    insert(_Arm).values(
                        experiment_id=id,
                        prompt_version_id=version_id,
                        position=position,
                        weight=1 / len(ids),
                    )
                )
            prompt_sql.touch(connection, name)
            return _load(connection, id)

    def status(self, name: str) -> Experiment:
        """The running experiment, else the last one. NotFound when there never was one."""
        with self.database.reading() as connection:
            prompt_sql.get_prompt(connection, name)
            query = (
                select(_Experiment.id)
                .where(_Experiment.prompt_name == name, _Experiment.kind == "live")
                .order_by((_Experiment.state == "running").desc(), _Experiment.created_at.desc())
            )
            id = connection.scalars(query.limit(1)).one_or_none()
            if id is None:
                raise NotFound(f"There was never an experiment on prompt {name!r}.")
            return _load(connection, id)

    def stop(self, name: str, *, decision: str | None = None) -> Experiment:
        """End the running experiment; its evidence is kept. NotFound when none is running."""
        with self.database.writing() as connection:
            prompt_sql.get_prompt(connection, name, lock=True)
            id = _running(connection, name)
            if id is None:
                raise NotFound(f"No experiment on prompt {name!r} is running.")
            found = _load(connection, id)
            connection.execute(
                update(_Experiment)
                .where(_Experiment.id == id)
                .values(
                    state="decided" if decision else "stopped",
                    decision=decision,
                    evidence={"comparisons": [each.to_json() for each in found.comparisons]},
                    updated_at=utc_now(),
                )
            )
            prompt_sql.touch(connection, name)
            return _load(connection, id)


def pinned(connection: Connection, run_id: str, name: str) -> Resolved | None:
    """What the run got for this prompt, retired meanwhile or not; None when it got nothing yet."""
    query = (
        select(_Version.version_no, _Version.prompt_content, _Version.content_sha256, PromptModel.revision)
        .join(_Pin, _Pin.prompt_version_id == _Version.id)
        .join(PromptModel, PromptModel.prompt_name == _Version.prompt_name)
        .where(_Pin.run_id == run_id, _Pin.prompt_name == name)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else Resolved(name, row[0], row[1], "db", row[2], row[3])


def pin(connection: Connection, run_id: str, name: str) -> Resolved:
    """Decide what the run gets and keep it; what was decided first stays."""
    effective = prompt_sql.get_effective(connection, name)
    version_id = effective.version_id
    if effective.experiment_id is not None:
        version_id = _assign(connection, effective.experiment_id, run_id)
    prompt_sql.insert_new(
        connection,
        PromptPinModel,
        run_id=run_id,
        prompt_name=name,
        prompt_version_id=version_id,
        experiment_id=effective.experiment_id,
        created_at=utc_now(),
    )
    found = pinned(connection, run_id, name)
    assert found is not None
    return found


def _assign(connection: Connection, experiment_id: str, run_id: str) -> str:
    digest = sha256_hex(f"{experiment_id}\0{run_id}")
    arms = _arm_rows(connection, experiment_id)
    outcomes = _outcomes(connection, experiment_id)
    tallies = [_tally(row.version_no, outcomes.get(row.id, [])) for row in arms]
    weights = thompson_weights([(each.passes, each.fails) for each in tallies], Random(digest))
    for row, weight in zip(arms, weights, strict=True):
        connection.execute(
            update(_Arm)
            .where(_Arm.experiment_id == experiment_id, _Arm.prompt_version_id == row.id)
            .values(weight=weight)
        )
    chosen: str = arms[pick(weights, int(digest[:13], 16) / 16**13)].id
    return chosen


def _running(connection: Connection, name: str) -> str | None:
    query = select(_Experiment.id).where(
        _Experiment.prompt_name == name, _Experiment.kind == "live", _Experiment.state == "running"
    )
    return connection.scalars(query).one_or_none()


def _arm_rows(connection: Connection, experiment_id: str) -> list[Any]:
    query = (
        select(_Version.id, _Version.version_no, _Arm.weight)
        .join(_Arm, _Arm.prompt_version_id == _Version.id)
        .where(_Arm.experiment_id == experiment_id)
        .order_by(_Arm.position)
    )
    return list(connection.execute(query))


def _outcomes(connection: Connection, experiment_id: str) -> dict[str, list[Any]]:
    """Version id -> its runs in this experiment, in the order they were decided."""
    runs = prompt_usages.by_run()
    query = (
        select(_Pin.prompt_version_id, runs.c.outcome, runs.c.cost, runs.c.unpriced)
        .join(runs, (runs.c.run_id == _Pin.run_id) & (runs.c.prompt_version_id == _Pin.prompt_version_id))
        .where(_Pin.experiment_id == experiment_id)
        .order_by(runs.c.scored_at, _Pin.run_id)
    )
    found: dict[str, list[Any]] = {}
    for row in connection.execute(query):
        found.setdefault(row[0], []).append(row)
    return found


def _tally(version_no: int, runs: Sequence[Any]) -> Tally:
    outcomes = [run.outcome for run in runs]
    return Tally(
        version_no=version_no,
        passes=outcomes.count("pass"),
        fails=outcomes.count("fail"),
        errors=outcomes.count("error"),
        cost_micro=int(sum(run.cost for run in runs)),
        unpriced=int(sum(run.unpriced for run in runs)),
    )


def _load(connection: Connection, id: str) -> Experiment:
    row = connection.execute(select(_Experiment.__table__).where(_Experiment.id == id)).one()
    arms = _arm_rows(connection, id)
    outcomes = _outcomes(connection, id)
    tallies = [_tally(arm.version_no, outcomes.get(arm.id, [])) for arm in arms]
    answers = [
        [run.outcome == "pass" for run in outcomes.get(arm.id, []) if run.outcome in ("pass", "fail")]
        for arm in arms
    ]
    comparisons = []
    for tally, answer in zip(tallies[1:], answers[1:], strict=True):
        pairs = list(zip(answers[0], answer, strict=False))  # what one arm has more waits for its partner
        comparisons.append(
            Comparison(
                old=tallies[0],
                new=tally,
                both=pairs.count((True, True)),
                only_new=pairs.count((False, True)),
                only_old=pairs.count((True, False)),
                neither=pairs.count((False, False)),
                alpha=row.alpha / (len(arms) - 1),
                min_discordant=row.min_pairs,
                cost_cap=row.cost_cap,
            )
        )
    return Experiment(
        id=row.id,
        prompt_name=row.prompt_name,
        state=row.state,
        started_at=row.created_at,
        arms=[Arm(arm.version_no, arm.weight, tally) for arm, tally in zip(arms, tallies, strict=True)],
        comparisons=comparisons,
        decision=row.decision,
    )
