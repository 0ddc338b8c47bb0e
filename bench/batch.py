"""A batch over every exercise and every HumanEval problem of the corpus, killed at half and gone on with.

    python bench/batch.py                          152 items, 4 at once, 50 ms a reply; SIGKILL when half have ended
    python bench/batch.py --keep DIR               leave results, reports and items there, to look at
    python bench/batch.py --limit 20 --no-kill --json FILE

The installed command, SQLite, the real sandbox, a local model server; every fourth item gets a program that fails first. What is
judged: every item Success, no finished call in a journal twice, nothing asked for an item that had ended before the kill, and
no more replies given again than were under way when it came. Exit code 0 when all of it holds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.support.humaneval import program

from windlass.app import App
from windlass.journal import EntryState
from windlass.settings import Settings
from windlass.testing.server import Answer, OpenAIServer, Request

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"
PATIENCE = 1800.0
PRICED = '[models.priced]\nmodel = "openai-chat:test-model"\nprice = { input = 0.5, output = 1.5 }\n'


def corpus(folder: Path) -> tuple[list[dict[str, Any]], dict[str, tuple[str, str]]]:
    """The items as lines of a batch, and by item the file and the text that solve it."""
    items, solutions = [], {}
    for row in _rows(folder / "exercises.jsonl"):
        name = row["slug"]
        files = {row["stub_path"]: row["stub"]} if row["stub"].strip() else {}
        tests = {row["test_path"]: row["tests"], **row["extra_files"]}
        items.append({"id": name, "requirement": row["instructions"], "files": files, "tests": tests})
        solutions[name] = (row["solution_path"], row["solution"])
    for row in _rows(folder / "humaneval.jsonl"):
        name = row["task_id"]
        # Some checks use other names of the program, too.
        call = f"from solution import *\n{row['test']}\n\ndef test_it():\n    check({row['entry_point']})\n"
        items.append(
            {
                "id": name,
                "requirement": f"Complete this function in solution.py.\n\n{row['prompt']}",
                "files": {"solution.py": row["prompt"] + "    raise NotImplementedError\n"},
                "tests": {"test_solution.py": call},
            }
        )
        solutions[name] = ("solution.py", program(row))
    return items, solutions


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


class Model:
    """Knows each run's item by its first request; answers with the solution, every fourth item with a failing file first."""

    def __init__(
        self, items: list[dict[str, Any]], solutions: dict[str, tuple[str, str]], delay: float
    ) -> None:
        self.items, self.solutions, self.delay = items, solutions, delay
        self.item_of: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Answer:
        return Answer(self._reply(request), delay=self.delay, chunk=400)

    def _reply(self, request: Request) -> str:
        with self._lock:
            number = self.item_of.get(request.run_id)
            if number is None:
                number = self.item_of[request.run_id] = next(
                    n for n, item in enumerate(self.items) if item["requirement"].strip() in request.text
                )
        item = self.items[number]
        path, solution = self.solutions[item["id"]]
        if request.step.startswith("requirement_step"):
            return json.dumps({"acceptance_criteria": ["The given tests pass."], "open_questions": []})
        if request.step == "design_step":
            tests = [{"path": name, "purpose": "given"} for name in item["tests"]]
            return json.dumps(
                {"files": [{"path": path, "purpose": "the solution", "depends_on": []}], "tests": tests}
            )
        if request.step == "summary_step":
            return f"{item['id']} is solved; its tests pass."
        wrong = number % 4 == 0 and request.step.startswith("implementation_step[")
        return f"{path}\n````python\n{'raise SystemError(1)' if wrong else solution.rstrip(chr(10))}\n````\n"


class Bench:
    """One batch in a folder of its own."""

    def __init__(self, folder: Path, server: OpenAIServer, concurrency: int) -> None:
        self.folder, self.server, self.concurrency = folder, server, concurrency
        self.out = folder / "results"
        (folder / "home").mkdir()
        (folder / "home" / "windlass.toml").write_text(PRICED)
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "HOME": str(folder),
            "WINDLASS_HOME": str(folder / "home"),
            "WINDLASS_MODEL": "priced",
            "WINDLASS_TAG_REQUESTS": "1",
            "OPENAI_API_KEY": "sk-bench-not-a-key",
            "OPENAI_BASE_URL": server.base_url,
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A ``windlass batch`` command."""
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("windlass")), "batch", *words, "--json"],
            env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def ended(self) -> set[str]:
        """The runs that have a line in the results."""
        file = self.out / "results.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []
        return {json.loads(line)["run_id"] for line in lines if line.endswith("\n")}

    def first(self, kill_at: int | None) -> dict[str, Any]:
        """The first session: to its end, or killed once so many items have ended."""
        began = time.monotonic()
        process = self.start(
            "items.jsonl", "--out", str(self.out), "--concurrency", str(self.concurrency), "--budget", "5"
        )
        while kill_at is not None and len(self.ended()) < kill_at:
            if process.poll() is not None or time.monotonic() - began > PATIENCE:
                raise SystemExit(f"the batch ended with {process.returncode} before it could be killed")
            time.sleep(0.05)
        if kill_at is not None:
            os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate(timeout=PATIENCE)
        return {
            "seconds": time.monotonic() - began,
            "ended": self.ended(),
            "said": json.loads(said or "{}"),
        }

    def resume(self) -> dict[str, Any]:
        """The second session."""
        began = time.monotonic()
        said, _ = self.start("resume", "last").communicate(timeout=PATIENCE)
        return {"seconds": time.monotonic() - began, "said": json.loads(said)}

    async def paid_twice(self) -> list[str]:
        """Calls that a journal holds finished more than once."""
        app = App(Settings(database_url=f"sqlite:///{self.folder / 'home' / 'windlass.db'}"))
        found = []
        for run in await app.journal.list_runs(limit=10_000):
            done = Counter(
                entry.path
                for entry in await app.journal.entries(run.run_id)
                if entry.kind == "model" and entry.state is EntryState.DONE
            )
            found += [f"{run.run_id} {path}" for path, number in done.items() if number > 1]
        await app.close()
        return found


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    items, solutions = corpus(options.corpus)
    items = items[: options.limit]
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    with OpenAIServer(Model(items, solutions, options.delay)) as server:
        bench = Bench(folder, server, options.concurrency)
        first = bench.first(None if options.no_kill else len(items) // 2)
        before = len(server.records)
        second = {"seconds": 0.0, "said": first["said"]} if options.no_kill else bench.resume()
        records = list(server.records)
    # Answered to a client that had been killed is answered all the same: it may have been paid.
    answered = Counter((r.request.run_id, r.request.step) for r in records if r.outcome == "answered")
    rows = [json.loads(line) for line in (bench.out / "results.jsonl").read_text().splitlines()]
    return {
        "items": len(items),
        "concurrency": options.concurrency,
        "statuses": dict(Counter(row["status"] for row in rows)),
        "in_order": [row["id"] for row in rows] == [item["id"] for item in items],
        "ended_before_kill": len(first["ended"]),
        "first_s": first["seconds"],
        "second_s": second["seconds"],
        "requests": len(records),
        "requests_before_kill": before,
        "cut_off": sum(r.outcome == "disconnected" for r in records),
        "asked_again_of_ended": sum(r.request.run_id in first["ended"] for r in records[before:]),
        "answered_twice": sum(number - 1 for number in answered.values()),
        "cost_usd": second["said"].get("cost_usd"),
        "repairs": sum(r.request.step.startswith("testing_step.repair") for r in records),
        "paid_twice": asyncio.run(bench.paid_twice()),
        "load": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds a reply")
    parser.add_argument("--limit", type=int, help="only this many items")
    parser.add_argument("--no-kill", action="store_true")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="an empty or new folder")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not (options.corpus / "exercises.jsonl").exists():
        raise SystemExit(f"There is no corpus in {options.corpus}; name one with --corpus.")
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wlb")))
        folder.mkdir(parents=True, exist_ok=True)
        result = measure(folder.absolute(), options)
    text = json.dumps(result, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    good = result["statuses"] == {"Success": result["items"]} and result["in_order"]
    once = not result["paid_twice"] and not result["asked_again_of_ended"]
    sys.exit(0 if good and once and result["answered_twice"] <= options.concurrency else 1)


if __name__ == "__main__":
    main()
