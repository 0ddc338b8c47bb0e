"""Kill a run, resume it, and look at what is left: used by ``bench/kill_matrix.py`` and ``tests/durability``.

Everything is real: the ``windlass`` command in a process of its own, the model's server in another one that logs every
request, SQLite on disk, files, the sandbox, SIGKILL. Processes are forked from one that has imported everything, which
changes nothing but the time they take to start.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from windlass.testing.forks import Child, Ended, Forks

#: What leaves open how much a call cost; a key that must never be seen anywhere.
KEY = "sk-kill-matrix-0123456789abcdef"


@dataclass(frozen=True)
class Scenario:
    """One piece of work: the command's arguments (``run`` comes first), what the model answers, the files to begin with.

    ``answers`` are rules as :mod:`windlass.testing.answers` has them, none used up by being used; their ``until`` names a
    file in the bench's folder, see :meth:`Bench.holding`.
    """

    name: str
    arguments: Sequence[str]
    answers: Sequence[Mapping[str, Any]]
    files: Mapping[str, str] = field(default_factory=dict)
    seconds_per_chunk: float = 0.002
    chunk: int = 24


@dataclass(frozen=True)
class Row:
    """One journal entry, as far as it is looked at here."""

    path: str
    attempt: int
    kind: str
    state: str

    @property
    def step(self) -> str:
        """The step that the effect belongs to."""
        return self.path.rpartition("/")[0]


@dataclass
class Trial:
    """What came of one run that was killed and resumed; no ``problems`` is what must be."""

    label: str
    #: Whether the kill came before the run's end.
    hit: bool = False
    #: Calls under way at a kill: found ``claimed`` in the journal, marked ``unknown`` by the resume.
    unknown: int = 0
    #: Requests that the server got more than once, and how many of those had been answered to the last byte.
    repeated: int = 0
    repeated_answered: int = 0
    requests: int = 0
    problems: list[str] = field(default_factory=list)


@contextmanager
def answering(scenario: Scenario, folder: Path) -> Iterator[tuple[str, Path]]:
    """The model's server in a process of its own: its base URL and its request log."""
    answers, log = folder / "answers.json", folder / "requests.jsonl"
    defaults = {"seconds_per_chunk": scenario.seconds_per_chunk, "chunk": scenario.chunk}
    rules = [
        {**rule, "until": str(folder / rule["until"])} if "until" in rule else rule
        for rule in scenario.answers
    ]
    answers.write_text(json.dumps({"defaults": defaults, "answers": rules}))
    log.touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "windlass.testing.server", "--answers", str(answers), "--log", str(log)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), log
    finally:
        process.kill()
        process.communicate()


class Bench:
    """One scenario's server, and a migrated database that every trial begins with a copy of."""

    def __init__(self, scenario: Scenario, forks: Forks, folder: Path, base_url: str, log: Path) -> None:
        self.scenario = scenario
        self.forks = forks
        self.folder = folder
        self.base_url = base_url
        self.log = log
        self._home = folder / "home"
        self._home.mkdir()
        self._go = folder / "go"
        self._go.touch()
        (self._home / "windlass.toml").write_text(
            'model = "priced"\ntag_requests = true\n'
            '[models.priced]\nmodel = "openai-chat:test-model"\nmax_output_tokens = 4000\n'
            f'base_url = "{base_url}"\napi_key_env = "OPENAI_API_KEY"\nprice = {{input = 1.0, output = 4.0}}\n'
        )
        # Migrates the database, once.
        self.forks.run(["runs", "list"], env=self.env(self._home), cwd=folder, folder=folder)
        self.boundaries = 0
        self.expected: dict[str, bytes] = {}
        self.seconds = 0.0

    def env(self, home: Path, **more: str) -> dict[str, str]:
        """A small clean environment."""
        return {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(home),
            "WINDLASS_HOME": str(home),
            "LANG": "C.UTF-8",
            "OPENAI_API_KEY": KEY,
            **more,
        }

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A folder for one trial: a home, the workspace with its files."""
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="trial-") as made:
            folder = Path(made)
            self.fill(folder)
            yield Place(self, folder)

    @contextmanager
    def holding(self) -> Iterator[Callable[[], None]]:
        """Replies that wait for the file ``go`` do not come to their end before what is given here is called."""
        self._go.unlink()
        try:
            yield self._go.touch
        finally:
            self._go.touch()

    def fill(self, folder: Path) -> None:
        """Make a place's home and workspace."""
        shutil.copytree(self._home, folder / "home")
        workspace = folder / "work"
        workspace.mkdir()
        for name, text in self.scenario.files.items():
            (workspace / name).parent.mkdir(parents=True, exist_ok=True)
            (workspace / name).write_text(text)

    def measure(self) -> None:
        """Run once without a kill: the files it must come to, how many boundaries, how long. Raises on failure."""
        import time

        with self.place() as place:
            told = place.folder / "boundaries"
            began = time.monotonic()
            ended = place.run(WINDLASS_TEST_BOUNDARIES=str(told)).wait()
            self.seconds = time.monotonic() - began
            if ended.code != 0:
                raise AssertionError(
                    f"{self.scenario.name} fails without a kill: {ended.out[-800:]} {ended.err[-800:]}"
                )
            self.expected = place.files()
            self.boundaries = int(told.read_text())

    def trial(
        self, label: str, *, kill_at: int = 0, after: float = 0.0, again: Sequence[float] = ()
    ) -> Trial:
        """Run; kill at a journal boundary or after some seconds; resume (killed again after ``again`` seconds each)
        until it ends; look."""
        trial = Trial(label)
        with self.place() as place:
            child = place.run(**({"WINDLASS_TEST_KILL_AT": str(kill_at)} if kill_at else {}))
            first = self._killed(child, after if not kill_at else None)
            trial.hit = first.code == -signal.SIGKILL
            if not trial.hit and first.code != 0:
                trial.problems.append(f"ended with {first.code}: {first.out[-500:]} {first.err[-500:]}")
            if not place.entries_exist():
                # Killed before the run was kept: there is nothing to go on with, and nothing may have happened.
                if place.requests() or place.files() != place.given():
                    trial.problems.append("something happened before the run was kept")
                last = place.run().wait()
            else:
                last = first
                cut_off: set[Row] = set()
                for seconds in [*again, None] if trial.hit else []:
                    if place.status() == "Success":
                        # Killed in its last moments: all is done, and kept.
                        last = place.command("runs", "show", "last", "--json").wait()
                        break
                    before = place.requests()
                    done = {row.path for row in place.entries() if row.state == "done"}
                    cut_off |= {r for r in place.entries() if r.kind == "model" and r.state == "claimed"}
                    last = self._killed(place.command("resume", "last", "--yes", "--json"), seconds)
                    _check_repeats(trial, place, before, done)
                    if seconds is not None and last.code != -signal.SIGKILL:
                        break
                trial.unknown = len(cut_off)
            self._check_end(trial, place, last)
        return trial

    def _killed(self, child: Child, after: float | None) -> Ended:
        if after is not None and not child.has_ended(after):
            child.send(signal.SIGKILL)
        return child.wait()

    def _check_end(self, trial: Trial, place: Place, last: Ended) -> None:
        if last.code != 0 or last.object["status"] != "Success":
            trial.problems.append(
                f"did not end in Success ({last.code}): {last.out[-600:]} {last.err[-600:]}"
            )
            return
        if place.files() != self.expected:
            trial.problems.append(f"other files than without a kill: {sorted(place.files())}")
        rows = [row for row in place.entries() if row.kind == "model"]
        by_step = Counter(row.step for row in rows)
        asked = Counter(line["step"] for line in place.requests())
        trial.requests = sum(asked.values())
        trial.repeated = sum(number - 1 for number in asked.values())
        for step, number in asked.items():
            # An attempt may have been killed between its claim and its request, never the other way round.
            if number > by_step[step]:
                trial.problems.append(
                    f"{step}: {number} requests, but {by_step[step]} attempts in the journal"
                )
        states = Counter(row.state for row in rows)
        if states["unknown"] != trial.unknown or set(states) - {"done", "unknown"}:
            trial.problems.append(
                f"{trial.unknown} calls were under way at a kill, the journal says {dict(states)}"
            )
        if last.object["usage"]["unknown_calls"] != trial.unknown:
            trial.problems.append("the report does not count the unknown calls")
        if len({row.path for row in rows if row.state == "done"}) != states["done"]:
            trial.problems.append("a call was finished twice")


def _check_repeats(trial: Trial, place: Place, before: Sequence[Mapping[str, Any]], done: set[str]) -> None:
    """No step whose call was in the journal may be asked again."""
    finished = {path.rpartition("/")[0] for path in done if "/model[" in path}
    earlier = {line["step"]: line for line in before}
    for line in place.requests()[len(before) :]:
        if line["step"] in finished:
            trial.problems.append(f"{line['step']} was asked again although its reply was in the journal")
        elif line["step"] in earlier and earlier[line["step"]]["outcome"] == "answered":
            trial.repeated_answered += 1


@dataclass(frozen=True)
class Place:
    """One trial's folder."""

    bench: Bench
    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def workspace(self) -> Path:
        return self.folder / "work"

    def run(self, **env: str) -> Child:
        """Start the scenario's command."""
        return self.command(
            *self.bench.scenario.arguments, "--workspace", str(self.workspace), "--yes", "--json", **env
        )

    def command(self, *arguments: str, **env: str) -> Child:
        """Start any command in this place."""
        return self.bench.forks.start(
            arguments, env=self.bench.env(self.home, **env), cwd=self.workspace, folder=self.folder
        )

    def given(self) -> dict[str, bytes]:
        """The files that the workspace began with."""
        return {name: text.encode() for name, text in self.bench.scenario.files.items()}

    def files(self) -> dict[str, bytes]:
        """The workspace's files now."""
        return {
            path.relative_to(self.workspace).as_posix(): path.read_bytes()
            for path in sorted(self.workspace.rglob("*"))
            if path.is_file()
        }

    def _rows(self, query: str) -> list[Any]:
        connection = sqlite3.connect(self.home / "windlass.db", timeout=30)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def entries_exist(self) -> bool:
        """Whether the run was kept."""
        return bool(self._rows("SELECT 1 FROM runs"))

    def status(self) -> str:
        """The newest run's status."""
        return str(self._rows("SELECT status FROM runs ORDER BY run_id DESC LIMIT 1")[0][0])

    def cancel_requested(self) -> bool:
        """Whether somebody asked the newest run to end."""
        return bool(self._rows("SELECT cancel_requested FROM runs ORDER BY run_id DESC LIMIT 1")[0][0])

    def open_reservations(self) -> int:
        """How many calls money is set aside for in a shared budget."""
        return int(self._rows("SELECT count(*) FROM budget_reservations WHERE state = 'open'")[0][0])

    def partial(self, step: str) -> str:
        """What is kept of the replies that a step is getting just now."""
        rows = self._rows("SELECT path, partial FROM run_entries WHERE kind = 'model' AND state = 'claimed'")
        return "".join(json.loads(text) for path, text in rows if text and path.startswith(f"{step}/"))

    def entries(self) -> list[Row]:
        """The journal's entries."""
        return [
            Row(*row) for row in self._rows("SELECT path, attempt, kind, state FROM run_entries ORDER BY id")
        ]

    def run_ids(self) -> list[str]:
        """The runs of this place."""
        return [row[0] for row in self._rows("SELECT run_id FROM runs ORDER BY run_id")]

    def requests(self) -> list[dict[str, Any]]:
        """This place's requests in the order they arrived, each with its outcome so far."""
        mine = set(self.run_ids())
        lines = [json.loads(line) for line in self.bench.log.read_text().splitlines() if line.endswith("}")]
        outcomes = {line["number"]: line["outcome"] for line in lines if line["event"] == "finished"}
        return [
            {**line, "outcome": outcomes.get(line["number"], "open")}
            for line in lines
            if line["event"] == "arrived" and line["run"] in mine
        ]


@contextmanager
def prepared(scenario: Scenario, forks: Forks) -> Iterator[Bench]:
    """A bench for one scenario, measured."""
    with tempfile.TemporaryDirectory(prefix="windlass-kills-") as made:
        folder = Path(made)
        with answering(scenario, folder) as (base_url, log):
            bench = Bench(scenario, forks, folder, base_url, log)
            bench.measure()
            yield bench
