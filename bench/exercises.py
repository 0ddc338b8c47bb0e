"""Run real programming exercises through ``windlass run coding``, against a local server that answers like a model.

    python bench/exercises.py                   every exercise: a mutant first, then the solution; all must succeed
    python bench/exercises.py --mutants-only    the server never sends the solution: all must fail, and say so
    python bench/exercises.py --split           each solution in two files, one importing the other
    python bench/exercises.py --limit 10 --jobs 2 --json

The command line, the database, the files and the sandbox are the real ones; each run gets a ``WINDLASS_HOME`` of its
own. The replies change shape from run to run (``bench/support/shapes.py``), the mutants are run first to see that the tests
refuse them (``bench/support/mutants.py``). A *wrong write* is any file whose bytes are not what the server meant, any test
that changed, any file nobody asked for. Exit code 0 when everything ended as it must.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.support.mutants import failing, run_bare
from bench.support.shapes import rotation, shaped

from windlass.testing.server import Answer, OpenAIServer, Request

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "exercises.jsonl"
#: One run may take this long (seconds) before it counts as hung.
RUN_TIMEOUT = 300.0

Start = Literal["empty", "stub", "crlf"]
STARTS: tuple[Start, ...] = ("empty", "stub", "crlf")


@dataclass(frozen=True)
class Exercise:
    """A row of the corpus, or a split form of it: ``parts`` are the source files in the order they depend."""

    slug: str
    instructions: str
    stub: str
    parts: Mapping[str, str]
    test_path: str
    tests: str
    extra: Mapping[str, str]

    @property
    def core(self) -> str:
        """The file that holds the program; a second one only re-exports it."""
        return next(iter(self.parts))

    def files(self, **changed: str) -> dict[str, str]:
        """Everything that the tests need."""
        return {**self.parts, self.test_path: self.tests, **self.extra, **changed}


@dataclass
class Result:
    """One run: how it ended, and what was wrong with it (nothing, when ``problems`` is empty)."""

    slug: str
    start: str
    shapes: list[str] = field(default_factory=list)
    mutants: list[str] = field(default_factory=list)
    status: str | None = None
    exit_code: int = -1
    repairs: int = 0
    refused: int = 0
    requests: int = 0
    wrong_writes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    bare_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    error: str | None = None


def load(path: Path = CORPUS) -> list[Exercise]:
    """The exercises of the corpus, in its order."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Exercise(
            r["slug"], r["instructions"], r["stub"], {r["solution_path"]: r["solution"]}, r["test_path"], r["tests"],
            r["extra_files"],
        )
        for r in rows
    ]  # fmt: skip


def split(exercise: Exercise) -> Exercise:
    """The same program in two files: the one that the tests import takes everything from the other."""
    ((path, solution),) = exercise.parts.items()
    core = path.removesuffix(".py") + "_core.py"
    names = [
        name
        for node in ast.parse(solution).body
        for name in (
            [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef)
            else [t.id for t in node.targets if isinstance(t, ast.Name)] if isinstance(node, ast.Assign)
            else []
        )
    ]  # fmt: skip
    front = f"from {core.removesuffix('.py')} import {', '.join(dict.fromkeys(names))}\n"
    return Exercise(
        exercise.slug, exercise.instructions, exercise.stub, {core: solution, path: front}, exercise.test_path,
        exercise.tests, exercise.extra,
    )  # fmt: skip


class AnswersLikeAModel:
    """The server's side of one run: criteria, a design, mutants, and in the end the solution.

    Between calls it looks into the workspace: what was written must be what it meant.
    """

    def __init__(
        self, exercise: Exercise, mutants: Sequence[str], workspace: Path, number: int, *, only_mutants: bool
    ) -> None:
        self.exercise = exercise
        self.mutants = list(mutants)
        self.workspace = workspace
        self.number = number
        self.only_mutants = only_mutants
        self.meant: dict[str, str] = {}
        self.crlf: set[str] = set()
        self.shapes: list[str] = []
        self.wrong: list[str] = []
        self.refused = 0
        self.repairs = 0
        self._sent = 0
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Answer:
        with self._lock:
            text = self._reply(request)
        thinking = "Let me see what the tests want." if self.number % 5 == 2 else ""
        return Answer(text, reasoning=thinking, chunk=400)

    def _reply(self, request: Request) -> str:
        step = request.step
        again = any(message.get("role") == "assistant" for message in request.messages)
        self.refused += again
        if step.startswith("requirement_step"):
            return self._criteria()
        if step == "design_step":
            return self._design(plain=again)
        if step.startswith("implementation_step["):
            path = step.removeprefix("implementation_step[").removesuffix("]")
            self._check_prompt(request, path)
            return self._file(path, self._next(path, again), again)
        if step.startswith("testing_step.repair["):
            if not again:
                # A refused reply wrote nothing, so what it meant is not there.
                self.check()
            self.repairs = max(self.repairs, int(step.rpartition("[")[2].rstrip("]")))
            path = self.exercise.core
            return self._file(path, self._next(path, again), again, edits=self.number % 3 != 0)
        if step == "summary_step":
            return f"{self.exercise.slug} is done as the instructions say."
        raise AssertionError(f"no step is called {step!r}")

    def _next(self, path: str, again: bool) -> str:
        """The mutants in turn, then the solution; the same again where the last reply was refused."""
        if path != self.exercise.core:
            return self.exercise.parts[path]
        if not again:
            self._sent += 1
        turn = self._sent - 1
        if self.only_mutants:
            return self.mutants[turn % len(self.mutants)]
        return self.mutants[turn] if turn < len(self.mutants) else self.exercise.parts[path]

    def _criteria(self) -> str:
        wanted = {
            "acceptance_criteria": [f"All tests in {self.exercise.test_path} pass."],
            "open_questions": [],
        }
        plain = json.dumps(wanted, indent=self.number % 2 or None)
        return (
            plain,
            f"```json\n{plain}\n```",
            f"Here is what I understand:\n{plain}\n",
            f"<think>Hm {{}}</think>{plain}",
        )[self.number % 4]

    def _design(self, *, plain: bool) -> str:
        files = []
        earlier: list[str] = []
        for path in self.exercise.parts:
            files.append(
                {"path": path, "purpose": f"the {path} of the exercise", "depends_on": list(earlier)}
            )
            earlier.append(path)
        # The file that depends comes first in the list: the order of writing must come from the dependencies.
        design = json.dumps(
            {"files": files[::-1], "tests": [{"path": self.exercise.test_path, "purpose": "given"}]}
        )
        forms = [design, f"```json\n{design}\n```", f"My plan:\n\n{design}\n\nThat is all."]
        if len(files) == 1:
            forms.append(f"- `{files[0]['path']}`: the whole exercise\n")
        return design if plain else forms[self.number % len(forms)]

    def _check_prompt(self, request: Request, path: str) -> None:
        shown = [
            self.exercise.tests,
            *(self.meant[p] for p in self.exercise.parts if p != path and p in self.meant),
        ]
        self.wrong += [
            f"{path}: the prompt lacks a file it needs" for text in shown if text.strip() not in request.text
        ]

    def _file(self, path: str, text: str, again: bool, *, edits: bool = False) -> str:
        before = self._read(path)
        names, dress = (
            (["path_above"], "plain") if again else rotation(self.number + len(self.shapes) * 7, edits=edits)
        )
        reply = shaped(path, before, text, prefer=names, dress=dress, labelled=len(self.exercise.parts) > 1)
        self.shapes.append(reply.shape)
        self.meant[path] = reply.meant
        return reply.reply

    def _read(self, path: str) -> str | None:
        file = self.workspace / path
        return file.read_bytes().decode().replace("\r\n", "\n") if file.exists() else None

    def check(self) -> None:
        """Note every file that is not what was meant for it."""
        for path, text in self.meant.items():
            wanted = text.replace("\n", "\r\n") if path in self.crlf else text
            file = self.workspace / path
            if not file.exists():
                self.wrong.append(f"{path}: is missing")
            elif file.read_bytes() != wanted.encode():
                self.wrong.append(f"{path}: is not what was meant ({self.shapes[-1]})")


def run_exercise(
    exercise: Exercise,
    number: int,
    *,
    only_mutants: bool = False,
    start: Start | None = None,
    verify: bool = True,
) -> Result:
    """Prepare a folder, run the real command line on it and look at what it left. ``number`` picks shapes and mutants.

    Without ``verify`` nothing is run beside it: that the mutant fails is then seen in the run itself, which needs a
    repair.
    """
    start = start or STARTS[number % len(STARTS)]
    result = Result(exercise.slug, start)
    core = exercise.core
    given = [exercise.test_path, *exercise.extra]
    mutants = failing(
        exercise.parts[core], exercise.stub, exercise.files(), core, [exercise.test_path],
        seed=f"{exercise.slug}{number}", number=2 if only_mutants or number % 4 == 3 else 1, verify=verify,
    )  # fmt: skip
    result.mutants = [kind for kind, _ in mutants]
    passed: bool | None = True
    if verify:
        passed, result.bare_seconds = run_bare(exercise.files(), [exercise.test_path], patience=RUN_TIMEOUT)
    if not passed:
        result.problems.append("the solution itself does not pass the tests")
        return result
    with tempfile.TemporaryDirectory(prefix="exercise-") as scratch:
        base = Path(scratch)
        workspace, outside = base / "work", base / "given"
        workspace.mkdir()
        outside.mkdir()
        (base / "task.md").write_text(exercise.instructions, encoding="utf-8")
        tests_home = outside if number % 4 == 1 else workspace
        for name, text in {exercise.test_path: exercise.tests, **exercise.extra}.items():
            (tests_home / name).write_bytes(text.encode())
        model = AnswersLikeAModel(
            exercise, [m for _, m in mutants], workspace, number, only_mutants=only_mutants
        )
        if start != "empty" and exercise.stub.strip():
            stub = exercise.stub.replace("\n", "\r\n") if start == "crlf" else exercise.stub
            (workspace / core).write_bytes(stub.encode())
            model.crlf = {core} if start == "crlf" else set()
        before = {name: _sha(tests_home / name) for name in given}
        command = ["run", "coding", f"@{base / 'task.md'}", "--workspace", str(workspace), "--yes", "--json"]
        for path in exercise.parts:
            command += ["--file", path]
        for name in given:
            command += ["--tests", str(outside / name) if tests_home is outside else name]
        with OpenAIServer(model) as server:
            began = time.monotonic()
            done = windlass(command, home=base / "home", base_url=server.base_url, cwd=base)
            result.seconds = time.monotonic() - began
            result.requests = server.count()
        _judge(
            result,
            done,
            model,
            workspace,
            {**exercise.extra, exercise.test_path: exercise.tests},
            before,
            tests_home,
        )
    return result


def windlass(
    arguments: Sequence[str], *, home: Path, base_url: str, cwd: Path, **extra: str
) -> subprocess.CompletedProcess[str]:
    """The installed ``windlass`` command in a process of its own, with nothing of this process's environment."""
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(home),
        "WINDLASS_HOME": str(home),
        "WINDLASS_MODEL": "openai-chat:test-model",
        "WINDLASS_TAG_REQUESTS": "1",
        "OPENAI_API_KEY": "sk-bench-not-a-key",
        "OPENAI_BASE_URL": base_url,
        **extra,
    }
    if "PYTHONPATH" in os.environ:
        # Another checkout's code can be measured with this one's bench.
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    return subprocess.run(
        [str(Path(sys.executable).with_name("windlass")), *arguments],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT,
        stdin=subprocess.DEVNULL,
    )


def _judge(
    result: Result,
    done: subprocess.CompletedProcess[str],
    model: AnswersLikeAModel,
    workspace: Path,
    given: Mapping[str, str],
    before: Mapping[str, str],
    tests_home: Path,
) -> None:
    model.check()
    result.exit_code = done.returncode
    result.shapes, result.refused, result.repairs = model.shapes, model.refused, model.repairs
    result.wrong_writes = list(model.wrong)
    for name, text in given.items():
        if _sha(tests_home / name) != before[name]:
            result.wrong_writes.append(f"{name}: a given file was changed")
        copy = workspace / name
        if not copy.exists() or copy.read_bytes() != text.encode():
            result.wrong_writes.append(f"{name}: is not in the workspace as it was given")
    present = {p.relative_to(workspace).as_posix() for p in workspace.rglob("*") if p.is_file()}
    for name in sorted(present - set(given) - set(model.exercise.parts)):
        result.wrong_writes.append(f"{name}: nobody asked for it")
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        result.problems.append(f"--json printed no JSON object; stderr: {done.stderr[-500:]}")
        return
    result.status, result.error = told.get("status"), told.get("error")
    if "Traceback" in done.stderr:
        result.problems.append("a traceback was shown")
    wanted = ("Failure", 1) if model.only_mutants else ("Success", 0)
    if (result.status, result.exit_code) != wanted:
        result.problems.append(f"ended in {result.status} with exit code {result.exit_code}: {result.error}")
    tests = told.get("tests") or {}
    if model.only_mutants:
        if not (tests.get("failed") or tests.get("errors")) or not result.error:
            result.problems.append(f"does not say that tests failed: {tests}, {result.error}")
    elif tests.get("failed") or tests.get("errors") or not tests.get("passed"):
        result.problems.append(f"Success with tests {tests}")
    elif result.repairs < 1:
        result.problems.append("the mutant needed no repair")
    if result.wrong_writes:
        result.problems.append("wrong writes: " + "; ".join(result.wrong_writes))


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_all(
    exercises: Sequence[tuple[int, Exercise]], *, jobs: int, only_mutants: bool, tell: bool
) -> list[Result]:
    """Every run, ``jobs`` at a time; a line each as they end."""

    def one(numbered: tuple[int, Exercise]) -> Result:
        number, exercise = numbered
        try:
            result = run_exercise(exercise, number, only_mutants=only_mutants)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            result = Result(exercise.slug, "-", problems=[str(error)])
        if tell:
            print(line(result), flush=True)
        return result

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, exercises))


def line(result: Result) -> str:
    """One run for people."""
    mark = "ok  " if not result.problems else "FAIL"
    return (
        f"{mark} {result.slug:<22} {result.start:<5} {result.status or '-':<8} repairs {result.repairs} "
        f"refused {result.refused} wrong {len(result.wrong_writes)}  {result.seconds:5.1f} s "
        f"(tests alone {result.bare_seconds:.1f} s)  {', '.join(result.mutants)} | {', '.join(result.shapes)}"
        + "".join(f"\n     {problem}" for problem in result.problems)
    )


def totals(results: Sequence[Result]) -> dict[str, Any]:
    """The figures over all runs."""
    seconds = sorted(r.seconds for r in results)
    return {
        "runs": len(results),
        "as_wanted": sum(not r.problems for r in results),
        "solved": sum(r.status == "Success" for r in results),
        "repairs": sum(r.repairs for r in results),
        "refused_replies": sum(r.refused for r in results),
        "wrong_writes": sum(len(r.wrong_writes) for r in results),
        "requests": sum(r.requests for r in results),
        "shapes": len({shape for r in results for shape in r.shapes}),
        "seconds": round(sum(seconds), 1),
        "median_seconds": round(seconds[len(seconds) // 2], 2) if seconds else None,
        "bare_seconds": round(sum(r.bare_seconds for r in results), 1),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run the exercise corpus through `windlass run coding`.")
    parser.add_argument(
        "--mutants-only", action="store_true", help="never send the solution; every run must fail"
    )
    parser.add_argument(
        "--split", action="store_true", help="each solution in two files that depend on each other"
    )
    parser.add_argument("--limit", type=int, help="only this many exercises")
    parser.add_argument("--only", action="append", metavar="SLUG", help="only this exercise; may be repeated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at a time")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    given = parser.parse_args(arguments)
    if not given.corpus.exists():
        print(f"There is no corpus at {given.corpus}; name one with --corpus.", file=sys.stderr)
        return 2
    chosen = list(enumerate(load(given.corpus)))
    if given.only:
        chosen = [(n, e) for n, e in chosen if e.slug in given.only]
    chosen = chosen[: given.limit]
    if given.split:
        chosen = [(n, split(e)) for n, e in chosen]
    results = run_all(chosen, jobs=given.jobs, only_mutants=given.mutants_only, tell=not given.json)
    figures = totals(results)
    if given.json:
        print(json.dumps({"totals": figures, "runs": [asdict(r) for r in results]}, indent=1))
    else:
        print("\n" + "  ".join(f"{key} {value}" for key, value in figures.items()))
    return 0 if figures["as_wanted"] == figures["runs"] else 1


if __name__ == "__main__":
    sys.exit(main())
