"""The same small coding task through Windlass and through other programs: time, requests, tokens, memory, and a kill.

    python bench/peers.py --peers DIR --install       make a venv in DIR for each peer (with pip, or uv where it is there)
    python bench/peers.py --peers DIR                 measure what is installed there: 50 ms and 500 ms a reply, then a kill
    python bench/peers.py --peers DIR --only aider --delay 0.05 --repeat 1 --no-kill --json FILE

A plan, three files, the tests, one repair (``bench/support/shop.py``), against a local server that answers each program in
the form that it reads and nothing else (``bench/support/peers.py``; proxies are set so that nothing leaves the machine). Wall
time is from starting the process to its end; *beyond replies* is that less the time the server took to answer. Input tokens
are the characters of all messages, four to a token. Memory is that of the process and all its children, shared pages counted once, sampled.
For the kill everything is ended by SIGKILL while the reply in the middle is awaited; then it is gone on with in the way that the
program offers, and a *reply paid again* is one that had been received before. Exit code 0 when every program that was
measured ended with files that pass the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.support.peers import PEERS, PYTEST, Peer
from bench.support.shop import FILES, MISTAKE, MISTAKEN, TASK, TEST_PATH, TESTS

from windlass.testing.server import Answer, OpenAIServer, Request

PATIENCE = 300.0


@dataclass
class Session:
    """One process from its start to its end. Times in seconds, memory in bytes."""

    code: int
    wall: float
    startup: float
    replies: float
    requests: int
    input_tokens: int
    peak_memory: int
    passed: bool
    said: str = field(repr=False, default="")


@dataclass
class Killed:
    """What a kill left, and what going on cost. ``needed``: the fewest requests that a program could still make."""

    answered: int
    left: dict[str, str]
    asked_after: int
    needed: int
    seconds_after: float
    passed: bool

    @property
    def paid_again(self) -> int:
        """Replies that had been received before and were asked for again."""
        return max(0, self.asked_after - self.needed)


class Desk:
    """A scratch folder with the task in it, and a server that answers one peer there."""

    def __init__(self, peer: Peer, folder: Path, scratch: Path, delay: float) -> None:
        self.peer, self.folder, self.scratch, self.delay = peer, folder, scratch, delay
        self.work = scratch / "work"
        self.work.mkdir()
        (self.work / TEST_PATH).write_text(TESTS)
        (scratch / "task.md").write_text(TASK)
        limits = {"max_input_tokens": 100_000, "max_output_tokens": 8_000, "max_tokens": 8_000}
        known = {
            "litellm_provider": "openai",
            "mode": "chat",
            "input_cost_per_token": 0,
            "output_cost_per_token": 0,
        }
        (scratch / "aider-models.json").write_text(json.dumps({"openai/test-model": {**limits, **known}}))
        self.server = OpenAIServer(self._answer)
        self._kill_at = 0
        self._reached = threading.Event()

    def _answer(self, request: Request) -> Answer:
        if request.number == self._kill_at:
            self._reached.set()
            return Answer("Nobody reads this.", delay=PATIENCE)
        return Answer(self.peer.answer(request), delay=self.delay, chunk=400)

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        nowhere = "http://127.0.0.1:9"
        return {
            **kept,
            "HOME": str(self.scratch),
            "WINDLASS_HOME": str(self.scratch / "home"),
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": self.server.base_url,
            "OPENAI_API_BASE": self.server.base_url,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "NO_PROXY": "127.0.0.1,localhost",
            **self.peer.env,
        }  # fmt: skip

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        self.log = self.scratch / "said.log"
        with self.log.open("wb") as log:
            return subprocess.Popen(
                command,
                cwd=self.work,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def whole(self, *, going_on: bool = False) -> Session:
        """Run to the end."""
        before = len(self.server.records)
        command = (self.peer.go_on if going_on else self.peer.start)(
            self.folder / self.peer.name, self.scratch
        )
        wall_clock, began = time.time(), time.monotonic()
        process = self._start(command)
        peak = 0
        while process.poll() is None:
            peak = max(peak, tree_memory(process.pid))
            time.sleep(0.02)
            if time.monotonic() - began > PATIENCE:
                os.killpg(process.pid, signal.SIGKILL)
        wall = time.monotonic() - began
        records = self.server.records[before:]
        return Session(
            process.returncode,
            wall,
            records[0].arrived - wall_clock if records else wall,
            sum((r.finished or r.arrived) - r.arrived for r in records),
            len(records),
            sum(len(r.request.text) for r in records) // 4,
            peak,
            self.passes(),
            self.log.read_text(errors="replace")[-3000:],
        )

    def killed(self, requests: int) -> Killed:
        """Kill it while the reply in the middle is awaited, look, and go on."""
        self._kill_at = requests // 2 + 1
        process = self._start(self.peer.start(self.folder / self.peer.name, self.scratch))
        if not self._reached.wait(PATIENCE):
            raise SystemExit(f"{self.peer.name} did not ask so often: {self.log.read_text()[-2000:]}")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        left = {path: self._state(path) for path in FILES}
        after = self.whole(going_on=True)
        return Killed(
            self._kill_at - 1, left, after.requests, requests - self._kill_at + 1, after.wall, after.passed
        )

    def _state(self, path: str) -> str:
        file = self.work / path
        if not file.exists():
            return "missing"
        text = file.read_text()
        return "whole" if text in (FILES[path], MISTAKE if path == MISTAKEN else None) else "cut or empty"

    def passes(self) -> bool:
        """Whether the files pass the tests."""
        return subprocess.run(PYTEST, cwd=self.work, capture_output=True).returncode == 0


def tree_memory(pid: int) -> int:
    """Bytes in memory of a process and all below it, pages that they share counted once (proportional set size)."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = {int(child) for task in tasks for child in (task / "children").read_text().split()}
    except OSError:  # it ended meanwhile
        return 0
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    total = 1024 * int(found[1]) if found else 0
    return total + sum(tree_memory(child) for child in children)


@contextmanager
def desk(peer: Peer, folder: Path, delay: float) -> Iterator[Desk]:
    """A new desk, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True) as scratch:
        made = Desk(peer, folder, Path(scratch), delay)
        with made.server:
            yield made


def install(folder: Path, peers: Sequence[Peer]) -> None:
    """A venv for each peer."""
    uv = shutil.which("uv")
    for peer in peers:
        if not peer.packages or peer.python(folder).exists():
            continue
        place = folder / peer.name
        if uv:
            subprocess.run([uv, "venv", "--python", sys.executable, place], check=True)
            subprocess.run(
                [uv, "pip", "install", "--python", peer.python(folder), *peer.packages], check=True
            )
        else:
            subprocess.run([sys.executable, "-m", "venv", place], check=True)
            subprocess.run([peer.python(folder), "-m", "pip", "install", *peer.packages], check=True)


def version(peer: Peer, folder: Path) -> str:
    """The version that is measured."""
    python, package = (
        (str(peer.python(folder)), peer.packages[0]) if peer.packages else (sys.executable, "windlass")
    )
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def measure(peer: Peer, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Everything about one peer."""
    found: dict[str, Any] = {"name": peer.name, "version": version(peer, folder), "differs": peer.differs}
    with desk(peer, folder, 0.0) as warm:
        first = warm.whole()
    if first.code or not first.passed:
        raise SystemExit(f"{peer.name} ended with {first.code}, tests passed: {first.passed}\n{first.said}")
    found["runs"] = {}
    for delay in options.delay:
        sessions = []
        for _ in range(options.repeat):
            with desk(peer, folder, delay) as one:
                sessions.append(one.whole())
        middle = sorted(sessions, key=lambda s: s.wall - s.replies)[len(sessions) // 2]
        found["runs"][str(delay)] = {
            **{key: value for key, value in asdict(middle).items() if key != "said"},
            "beyond_replies": middle.wall - middle.replies,
            "startup": statistics.median(s.startup for s in sessions),
            "peak_memory": int(statistics.median(s.peak_memory for s in sessions)),
            "all_passed": all(s.passed for s in sessions),
        }
    if not options.no_kill:
        with desk(peer, folder, 0.05) as one:
            killed = one.killed(first.requests)
        found["kill"] = {**asdict(killed), "paid_again": killed.paid_again}
    return found


def table(results: Sequence[dict[str, Any]]) -> str:
    """Markdown, as it stands in the documentation."""
    lines = [
        "| | reply | wall | over its replies | beyond replies | a reply | first request after | requests | input tokens | peak memory |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        for delay, run in result["runs"].items():
            lines.append(
                f"| {result['name']} {result['version']} | {float(delay) * 1000:.0f} ms | {run['wall']:.2f} s "
                f"| ×{run['wall'] / run['replies']:.1f} "
                f"| {run['beyond_replies']:.2f} s | {run['beyond_replies'] / run['requests'] * 1000:.0f} ms "
                f"| {run['startup']:.2f} s | {run['requests']} | {run['input_tokens']:,} | {run['peak_memory'] / 2**20:.0f} MiB |"
            )
    if any("kill" in result for result in results):
        lines += [
            "",
            "| | replies received before the kill | files left | asked after it | paid again | ends well |",
            "|---|---|---|---|---|---|",
        ]
    for result in results:
        if kill := result.get("kill"):
            left = ", ".join(f"{path} {state}" for path, state in kill["left"].items())
            lines.append(
                f"| {result['name']} | {kill['answered']} | {left} | {kill['asked_after']} | {kill['paid_again']} "
                f"| {'yes' if kill['passed'] else 'no'}, {kill['seconds_after']:.1f} s |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--peers", type=Path, default=Path("../peers"), metavar="DIR", help="where the venvs are [../peers]"
    )
    parser.add_argument("--install", action="store_true", help="make them there, and end")
    parser.add_argument("--only", action="append", help="a peer's name; may be repeated")
    parser.add_argument(
        "--delay", type=float, action="append", help="seconds a reply [default: 0.05 and 0.5]"
    )
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--no-kill", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.delay = options.delay or [0.05, 0.5]
    folder = options.peers.absolute()
    wanted = [peer for peer in PEERS if not options.only or peer.name in options.only]
    if options.install:
        install(folder, wanted)
        return
    results = []
    for peer in wanted:
        if peer.packages and not peer.python(folder).exists():
            print(f"{peer.name} is not in {folder}: left out. Install it with --install.", file=sys.stderr)
            continue
        results.append(measure(peer, folder, options))
        if options.json:
            options.json.write_text(json.dumps(results, indent=2) + "\n")
    print(table(results))
    good = all(run["all_passed"] for r in results for run in r["runs"].values())
    sys.exit(0 if good and all(r.get("kill", {"passed": True})["passed"] for r in results) else 1)


if __name__ == "__main__":
    main()
