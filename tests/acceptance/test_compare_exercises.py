"""A small form of bench/compare.py: real exercises, the real commands, a better prompt and one that is no better."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.compare import Row, run
from bench.exercises import load

#: One worker for all of them, for the contests are held once.
pytestmark = pytest.mark.xdist_group("compare-exercises")

#: Rows of the corpus whose first mutants are sure to fail (tests/acceptance/test_exercises.py).
NUMBERS = {"in effect": (0,), "equal": (1,), "better": (0, 1, 5, 6, 9, 14, 20, 25)}


@pytest.fixture(scope="module")
def contests(exercises_corpus: Path) -> dict[str, Row]:
    """What the commands said of either version: seven more exercises pass with one, as many as before with the other."""
    rows = {
        number: exercise
        for number, exercise in enumerate(load(exercises_corpus))
        if number in NUMBERS["better"]
    }
    right = {label: {rows[number].slug for number in numbers} for label, numbers in NUMBERS.items()}
    seeds = {exercise.slug: f"{exercise.slug}{number}" for number, exercise in rows.items()}
    found = run(list(rows.values()), right, seeds=lambda e: seeds[e.slug], verify=False)
    return {row.label: row for row in found}


def test_a_version_that_is_no_better_is_not_promoted(contests: dict[str, Row]) -> None:
    equal = contests["equal"]
    assert equal.problems == []
    assert (equal.decision, equal.promoted, equal.in_effect) == ("not enough", False, 1)
    assert (equal.cases, equal.only_new, equal.only_old) == (8, 1, 1)
    assert "Not enough evidence" in equal.verdict


def test_the_better_version_is_promoted_with_its_evidence(contests: dict[str, Row]) -> None:
    better = contests["better"]
    assert better.problems == []
    assert (better.decision, better.promoted, better.in_effect) == ("promote", True, 3)
    assert (better.only_new, better.only_old) == (7, 0)
    assert better.e_value >= 20
    assert better.old_cost_micro is not None
    assert better.new_cost_micro is not None
    assert better.new_cost_micro < better.old_cost_micro
