"""Ten real exercises of the corpus through the real command line, and ten that must fail; the rest: bench/exercises.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.exercises import Exercise, Result, load, run_exercise, split

#: Rows of the corpus, whose first mutants are sure to fail: spread over starts (empty, stub, CRLF stub), places of the tests, shapes and mutants; 19 has a
#: second file beside its tests, 24 cannot even be imported as a stub.
SOLVED = (0, 1, 5, 9, 14, 19, 24, 33, 47, 62)
REFUSED = (6, 14, 20, 25, 26, 41, 45, 53, 57, 61)


def _exercise(corpus: Path, number: int) -> Exercise:
    return load(corpus)[number]


def _none_wrong(result: Result) -> None:
    assert result.problems == [], f"{result.slug} ({', '.join(result.shapes)}): {result.problems}"
    assert result.wrong_writes == []


@pytest.mark.parametrize("number", SOLVED)
def test_a_mutant_is_repaired(exercises_corpus: Path, number: int) -> None:
    exercise = _exercise(exercises_corpus, number)
    # Most first mutants are known to fail, and a run without a repair is reported as a problem.
    result = run_exercise(exercise, number, verify=bool(exercise.extra))
    _none_wrong(result)
    assert (result.status, result.exit_code) == ("Success", 0)
    assert result.repairs >= 1
    assert result.refused == 0


@pytest.mark.parametrize("number", REFUSED)
def test_only_mutants_end_in_failure(exercises_corpus: Path, number: int) -> None:
    result = run_exercise(_exercise(exercises_corpus, number), number, only_mutants=True, verify=False)
    _none_wrong(result)
    assert (result.status, result.exit_code) == ("Failure", 1)
    assert result.error


@pytest.mark.parametrize("number", [6, 12])
def test_two_files_that_depend_on_each_other(exercises_corpus: Path, number: int) -> None:
    exercise = split(_exercise(exercises_corpus, number))
    result = run_exercise(exercise, number, verify=bool(exercise.extra))
    _none_wrong(result)
    assert result.status == "Success"
    assert len(exercise.parts) == 2
