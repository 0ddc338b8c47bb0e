"""Is the better prompt promoted and the equal one not? Real exercises, the real command line, a model that a prompt sways.

    python bench/compare.py                     all exercises: an equal, a better, and then a worse version
    python bench/compare.py --limit 30 --seed 2 --concurrency 2 --json

A local server plays the model. Which version's text it finds in a request decides how often it is right: with the
version in effect it sends the exercise's solution for half of the cases and a program that the tests refuse for the
rest, with the better one it is right for 80 %, with the equal one again for half (not the same half). Everything else is
the shipped command: ``windlass prompts add``, ``compare``, ``promote --auto`` and ``log``, each in a process of its own. Each case is
a whole coding run, and what counts is the exercise's own tests, run in the sandbox. Exit code 0 when each version
ended where it belongs and every case was judged as it was answered.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from subprocess import CompletedProcess
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.exercises import CORPUS, Exercise, load, windlass
from bench.support.mutants import failing

from windlass.testing.server import Answer, OpenAIServer, Request

PROMPT = "coding.implementation"
#: An alias with a price (gpt-5-mini's, USD per million tokens), so that the cost of a success can be told.
MODEL = "played"
SETTINGS = f'[models.{MODEL}]\nmodel = "openai-chat:test-model"\nprice = {{input = 0.25, output = 2.0}}\n'
#: What each version's text begins with. The one in effect at first comes last: its text is part of every other one's.
MARKS = {
    "equal": "Write the file that is asked for, in one go.",
    "better": "First go through every assertion of the tests, one by one; then write.",
    "worse": "Be quick.",
    "in effect": "",
}
#: In turn: the version in effect, the new one, and what must be decided.
CONTESTS = (
    ("in effect", "equal", "not enough"),
    ("in effect", "better", "promote"),
    ("better", "worse", "worse"),
)


@dataclass(frozen=True)
class Version:
    """A version of the prompt: what its text begins with, and the exercises that the model then gets right."""

    label: str
    mark: str
    right: Collection[str]


class Swayed:
    """A model that answers by the version it sees; every other step gets an answer that does for any exercise."""

    def __init__(
        self, exercises: Sequence[Exercise], wrong: Mapping[str, str], versions: Sequence[Version]
    ) -> None:
        self._by_path = {exercise.core: exercise for exercise in exercises}
        self._wrong = wrong
        self._versions = versions
        self._lock = threading.Lock()
        #: Version -> exercise -> whether the solution was sent.
        self.sent: dict[str, dict[str, bool]] = {version.label: {} for version in versions}

    def __call__(self, request: Request) -> Answer:
        """Criteria, a design, the file, a summary."""
        step = request.step
        if step.startswith("implementation_step["):
            return Answer(self._program(request, step.removeprefix("implementation_step[").removesuffix("]")))
        if step.startswith("requirement_step"):
            return Answer('{"acceptance_criteria": ["All given tests pass."], "open_questions": []}')
        if step == "design_step":
            exercise = next(e for e in self._by_path.values() if e.instructions.strip() in request.text)
            return Answer(
                json.dumps({"files": [{"path": exercise.core, "purpose": "the exercise"}], "tests": []})
            )
        return Answer("It is done as the instructions say.")

    def _program(self, request: Request, path: str) -> str:
        exercise = self._by_path[path]
        version = next(version for version in self._versions if version.mark in request.text)
        right = exercise.slug in version.right
        with self._lock:
            self.sent[version.label][exercise.slug] = right
        text = exercise.parts[path] if right else self._wrong[exercise.slug]
        return f"{path}\n````python\n{text.rstrip()}\n````\n"


@dataclass
class Row:
    """One comparison as the command line told it, and what it should have said."""

    label: str
    rates: str
    expected: str
    decision: str = ""
    verdict: str = ""
    cases: int = 0
    old_passed: int = 0
    new_passed: int = 0
    only_new: int = 0
    only_old: int = 0
    e_value: float = 0.0
    old_cost_micro: float | None = None
    new_cost_micro: float | None = None
    promoted: bool = False
    in_effect: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def case(exercise: Exercise) -> dict[str, Any]:
    """The exercise as a line of a case file."""
    stub = {exercise.core: exercise.stub} if exercise.stub.strip() else {}
    return {
        "id": exercise.slug,
        "requirement": exercise.instructions,
        "files": {**exercise.extra, **stub},
        "targets": [exercise.core],
        "tests": {exercise.test_path: exercise.tests},
    }


def lucky(exercises: Sequence[Exercise], rate: float, seed: str) -> set[str]:
    """The exercises that a version with this pass rate gets right, by the luck of ``seed``."""
    return {e.slug for e in exercises if Random(f"{seed} {e.slug}").random() < rate}


class Session:
    """One home, one case file, one server; every step is the installed command."""

    def __init__(
        self, base: Path, exercises: Sequence[Exercise], model: Swayed, base_url: str, concurrency: int
    ) -> None:
        self.base, self.model, self.base_url = base, model, base_url
        self.concurrency = concurrency
        self.cases = base / "cases.jsonl"
        self.cases.write_text("".join(json.dumps(case(e)) + "\n" for e in exercises), encoding="utf-8")
        (base / "home").mkdir()
        (base / "home" / "windlass.toml").write_text(SETTINGS, encoding="utf-8")
        now = self.told("show", PROMPT)
        self.text: str = now["text"]
        self.in_effect: int = now["version"]

    def ask(self, *arguments: str) -> CompletedProcess[str]:
        """``windlass prompts …``"""
        return windlass(
            ["prompts", *arguments], home=self.base / "home", base_url=self.base_url, cwd=self.base,
        )  # fmt: skip

    def ran(self, *arguments: str) -> CompletedProcess[str]:
        """The same; RuntimeError when it fails."""
        done = self.ask(*arguments)
        if done.returncode:
            raise RuntimeError(f"windlass prompts {' '.join(arguments)}: {done.stderr.strip()}")
        return done

    def told(self, *arguments: str) -> Any:
        """The JSON that it prints."""
        return json.loads(self.ran(*arguments, "--json").stdout)

    def contest(self, old: Version, new: Version, row: Row) -> Row:
        """Compare the version in effect with a new one, ask for its promotion, and see what came of it."""
        began, before = time.monotonic(), self.in_effect
        text = f"{new.mark}\n\n{self.text}"
        number = self.told("add", PROMPT, text, "--note", new.label)["version"]
        found = self.told(
            "compare", PROMPT, "--versions", f"{before},{number}", "--cases", str(self.cases), "--model", MODEL,
            "--concurrency", str(self.concurrency),
        )  # fmt: skip
        promoted = self.ask("promote", PROMPT, "--auto", "--author", "bench")
        row.seconds = time.monotonic() - began
        row.decision, row.verdict = found["decision"], found["verdict"]
        row.only_new, row.only_old, row.e_value = (
            found["only_new"],
            found["only_old"],
            float(found["e_value"]),
        )
        row.cases = found["both"] + found["only_new"] + found["only_old"] + found["neither"]
        row.old_passed, row.new_passed = found["old"]["passes"], found["new"]["passes"]
        row.old_cost_micro, row.new_cost_micro = _per_pass(found["old"]), _per_pass(found["new"])
        log = self.told("log", PROMPT)
        self.in_effect = row.in_effect = log[-1]["to_version_no"]
        row.promoted = row.in_effect == number
        self._judge(row, old, new, found, promoted, log)
        return row

    def _judge(
        self, row: Row, old: Version, new: Version, found: Any, promoted: CompletedProcess[str], log: Any
    ) -> None:
        if row.decision != row.expected:
            row.problems.append(f"it was decided {row.decision!r}, not {row.expected!r}")
        for side, version in (("old", old), ("new", new)):
            if found[side]["errors"]:
                row.problems.append(
                    f"{found[side]['errors']} cases of {version.label} in error: {found['problem']}"
                )
        solutions = sum(self.model.sent[new.label].values())
        if row.new_passed != solutions:
            row.problems.append(f"{new.label}: {row.new_passed} passes, but {solutions} solutions were sent")
        proven = row.expected == "promote"
        if row.promoted != proven or promoted.returncode != (0 if proven else 2):
            row.problems.append(f"promote --auto: exit code {promoted.returncode}, in effect {row.in_effect}")
        if row.verdict not in (promoted.stdout if proven else promoted.stderr):
            row.problems.append(f"promote --auto does not give the verdict: {promoted.stderr.strip()}")
        if proven:
            kept = log[-1]["evidence"] or {}
            if log[-1]["kind"] != "promote" or kept.get("e_value") != found["e_value"]:
                row.problems.append("the evidence is not in the log")
            if f"{row.cases} cases answered by both" not in self.ran("log", PROMPT).stdout:
                row.problems.append("the log does not show the evidence")


def _per_pass(tally: Mapping[str, Any]) -> float | None:
    return tally["cost_micro"] / tally["passes"] if tally["passes"] and not tally["unpriced"] else None


def run(
    exercises: Sequence[Exercise],
    right: Mapping[str, Collection[str]],
    *,
    seeds: Callable[[Exercise], str],
    verify: bool,
    concurrency: int = 4,
) -> list[Row]:
    """The contests in turn: an equal version, a better one, and, against that one, a worse one where ``right`` has it.

    ``right`` says for each version's label which exercises the model gets right with it. ``seeds`` picks each exercise's
    wrong program; ``verify`` first makes sure that its tests refuse it.
    """
    wrong = {
        e.slug: failing(
            e.parts[e.core], e.stub, e.files(), e.core, [e.test_path], seed=seeds(e), number=1, verify=verify
        )[0][1]
        for e in exercises
    }
    versions = {label: Version(label, mark, right[label]) for label, mark in MARKS.items() if label in right}
    contests = [(old, new, expected) for old, new, expected in CONTESTS if new in right]
    with tempfile.TemporaryDirectory(prefix="compare-") as scratch:
        model = Swayed(exercises, wrong, list(versions.values()))
        with OpenAIServer(model) as server:
            session = Session(Path(scratch), exercises, model, server.base_url, concurrency)
            return [
                session.contest(versions[old], versions[new], Row(new, _rates(right, old, new), expected))
                for old, new, expected in contests
            ]


def _rates(right: Mapping[str, Collection[str]], old: str, new: str) -> str:
    return f"{len(right[old])} → {len(right[new])}"


def table(rows: Sequence[Row]) -> str:
    """One line a comparison."""
    lines = [
        f"{'new version':<12}{'could pass':>12}{'answered':>10}{'passed':>12}{'only new':>10}{'only old':>10}{'E':>12}"
        f"{'cost/success':>22}{'decision':>12}{'in effect':>11}{'seconds':>9}"
    ]
    for row in rows:
        costs = " → ".join(_usd(cost) for cost in (row.old_cost_micro, row.new_cost_micro))
        lines.append(
            f"{row.label:<12}{row.rates:>12}{row.cases:>10}{f'{row.old_passed} → {row.new_passed}':>12}{row.only_new:>10}"
            f"{row.only_old:>10}{row.e_value:>12.3g}{costs:>22}{row.decision:>12}{row.in_effect:>11}{row.seconds:>9.1f}"
        )
    return "\n".join(lines)


def _usd(micro: float | None) -> str:
    return "?" if micro is None else f"${micro / 1e6:.5f}"


def main() -> int:
    """Run the contests and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, help="so many exercises. [default: all]")
    parser.add_argument(
        "--seed", type=int, default=1, help="whose luck decides which cases each version passes"
    )
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not CORPUS.exists():
        print("The exercise corpus (../shared/corpus) is not here; nothing was measured.", file=sys.stderr)
        return 0
    exercises = load()[: arguments.limit]
    rates = {"in effect": 0.5, "equal": 0.5, "better": 0.8, "worse": 0.5}
    right = {label: lucky(exercises, rate, f"{arguments.seed} {label}") for label, rate in rates.items()}
    began = time.monotonic()
    rows = run(exercises, right, seeds=lambda e: e.slug, verify=True, concurrency=arguments.concurrency)
    problems = [f"{row.label}: {problem}" for row in rows for problem in row.problems]
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        print(f"{len(exercises)} exercises, seed {arguments.seed}, {time.monotonic() - began:.0f} s in all\n")
        print(table(rows))
        print(*(f"{row.label}: {row.verdict}" for row in rows), sep="\n")
        print(*problems, sep="\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
