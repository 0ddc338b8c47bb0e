"""Kill runs at every moment that matters, resume them, and compare with a run that nobody killed.

    python bench/kill_matrix.py                        the whole matrix (about half an hour on two cores)
    python bench/kill_matrix.py --every 10 --random 20   a tenth of it
    python bench/kill_matrix.py --exercises 1 --json

Five exercises, each a run of ``windlass run coding`` with given tests, a first program that fails them and a repair. Each run is
killed with SIGKILL at one boundary of its journal (after every commit, and before every commit of a result), then
resumed; then runs are killed at random moments, some of them again and again. It must hold each time that

- the run ends in Success and the files are those of the run that was not killed, byte for byte;
- no reply that was in the journal is asked for again: what is asked again was under way at the kill;
- each call that was under way is marked ``unknown``, counted by the report, and its worst case by the budget.

Exit code 0 when all of it holds. The exercises are those of the corpus beside the checkout; without it, the one of
``tests/durability``.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.exercises import CORPUS, Exercise, load
from bench.support.kills import Bench, Scenario, Trial, prepared

from windlass.testing.forks import Forks


def scenario(exercise: Exercise) -> Scenario:
    """The exercise with its tests given, a stub that fails them first, and a repair."""
    ((path, solution),) = exercise.parts.items()

    def whole(text: str) -> str:
        return f"{path}\n````python\n{text}````\n"

    plan = {"files": [{"path": path, "purpose": "the exercise", "depends_on": []}], "tests": []}
    answers = [
        {
            "step": "requirement_step",
            "text": '{"acceptance_criteria": ["The tests pass."], "open_questions": []}',
        },
        {"step": "design_step", "text": json.dumps(plan)},
        {
            "step": f"implementation_step[{path}]",
            "text": whole("def not_yet():\n    raise NotImplementedError\n"),
        },
        {"step": "testing_step.repair*", "text": whole(solution)},
        {"step": "summary_step", "text": f"{exercise.slug} is done."},
    ]
    arguments = [
        "run", "coding", exercise.instructions[:4000], "--file", path, "--tests", exercise.test_path,
    ]  # fmt: skip
    files = {exercise.test_path: exercise.tests, **exercise.extra}
    return Scenario(exercise.slug, arguments, answers, files, seconds_per_chunk=0.01, chunk=40)


def scenarios(number: int) -> list[Scenario]:
    """The shortest exercises of the corpus; without it, the one of the tests."""
    if not CORPUS.exists():
        from tests.durability.scenarios import SLUG_WORK

        return [SLUG_WORK][:number]
    small = sorted(load(), key=lambda e: len(e.instructions) + sum(map(len, e.parts.values())))
    return [scenario(exercise) for exercise in small[:number]]


def matrix(bench: Bench, every: int, randoms: int, jobs: int, seed: str) -> list[Trial]:
    """All trials of one exercise."""
    chance = random.Random(f"{seed} {bench.scenario.name}")
    orders: list[tuple[str, dict[str, Any]]] = [
        (f"boundary {n}", {"kill_at": n}) for n in range(1, bench.boundaries + 1, every)
    ]
    for number in range(randoms):
        moments = [chance.uniform(0, bench.seconds) for _ in range(1 + number % 3)]
        orders.append((f"random {number}", {"after": moments[0], "again": moments[1:]}))
    with ThreadPoolExecutor(jobs) as pool:
        return list(
            pool.map(lambda order: bench.trial(f"{bench.scenario.name}: {order[0]}", **order[1]), orders)
        )


def figures(trials: Sequence[Trial]) -> dict[str, Any]:
    """What is reported."""
    return {
        "trials": len(trials),
        "killed before their end": sum(t.hit for t in trials),
        "ended as they must": sum(not t.problems for t in trials),
        "requests": sum(t.requests for t in trials),
        "calls under way at a kill, marked unknown": sum(t.unknown for t in trials),
        "requests repeated": sum(t.repeated for t in trials),
        "repeated although all of the answer had been sent": sum(t.repeated_answered for t in trials),
    }


def main() -> int:
    """Run the matrix; 0 when all of it holds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--exercises", type=int, default=5)
    parser.add_argument("--every", type=int, default=1, help="only every n-th boundary")
    parser.add_argument("--random", type=int, default=200, help="kills at random moments, over all exercises")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", default="windlass")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chosen = scenarios(options.exercises)
    trials: list[Trial] = []
    began = time.monotonic()
    with Forks() as forks:
        for number, work in enumerate(chosen):
            share = options.random // len(chosen) + (number < options.random % len(chosen))
            with prepared(work, forks) as bench:
                found = matrix(bench, options.every, share, options.jobs, options.seed)
            trials += found
            bad = [t for t in found if t.problems]
            print(
                f"{work.name}: {bench.boundaries} boundaries, {share} random moments, {len(bad)} with problems "
                f"({time.monotonic() - began:.0f} s)",
                file=sys.stderr,
                flush=True,
            )
            for trial in bad:
                print(f"  {trial.label}: {'; '.join(trial.problems)[:400]}", file=sys.stderr, flush=True)
    told = figures(trials)
    if options.json:
        print(json.dumps(told))
    else:
        for name, value in told.items():
            print(f"{name:<50} {value}")
        kinds = Counter(p.split(":")[0] for t in trials for p in t.problems)
        for kind, number in kinds.most_common():
            print(f"  {number} x {kind}")
    return 0 if told["ended as they must"] == told["trials"] else 1


if __name__ == "__main__":
    sys.exit(main())
