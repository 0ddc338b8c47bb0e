"""Drives several ``windlass worker`` processes on one database, and judges from the journal what they did."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from windlass import queue
from windlass.app import App
from windlass.events import WorkflowStatus
from windlass.journal import Entry, EntryState, RunRecord
from windlass.settings import Settings
from windlass.testing.forks import Child, Forks
from windlass.testing.server import Answer, Fault, OpenAIServer, Record, Request

PATIENCE = 240.0
PAGES = 3


def pages(seconds: float) -> Callable[[Request], Answer | Fault]:
    """A model for ``write-pages`` with three pages: five requests one after the other, each answered after ``seconds``."""

    def answer(request: Request) -> Answer:
        if request.step == "define_step":
            return Answer(
                "\n".join(f"{n}. Page {n} of the manual" for n in range(1, PAGES + 1)), delay=seconds
            )
        return Answer(
            f"Page text for {request.run_id} at {request.step}, long enough to be one.", delay=seconds
        )

    return answer


#: What a worker imports beside what every run does.
WORKER_MODULES = (
    "windlass.cli.worker",
    "windlass.queue.worker",
    "procrastinate.worker",
    "procrastinate.psycopg_connector",
    "psycopg",
    "psycopg_pool",
    "sqlalchemy.dialects.postgresql.psycopg",
    "windlass.workflows.write_pages",
    "windlass.workflows.chat",
)


class Forked:
    """A worker forked from a process that has imported everything, with the few methods of ``Popen`` that are used."""

    def __init__(self, child: Child) -> None:
        self._child = child

    @property
    def pid(self) -> int:
        """Its process."""
        return self._child.pid

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._child.code if self._child.has_ended(0) else None

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        self._child.send(number)

    def kill(self) -> None:
        """End it the hard way."""
        self._child.send(signal.SIGKILL)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit code, as soon as it has ended."""
        return self._child.wait(timeout).code


AnyWorker = subprocess.Popen[bytes] | Forked


@dataclass
class Fleet:
    """Workers on a database. ``folder`` holds the workspaces and what the workers say. With ``forks`` a worker is there
    within milliseconds, where an interpreter needs seconds of a busy machine to import everything."""

    url: str
    folder: Path
    base_url: str
    forks: Forks | None = None
    workers: list[AnyWorker] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What the workers know."""
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith(("WINDLASS_", "OPENAI_"))},
            "WINDLASS_HOME": str(self.folder / "home"),
            "WINDLASS_DATABASE_URL": self.url,
            "WINDLASS_MODEL": "openai-chat:test-model",
            "WINDLASS_TAG_REQUESTS": "1",
            "WINDLASS_RETRY_WAIT": "0.2",
            "WINDLASS_TEST_STREAM": "0",  # as workers do: nobody watches them
            "OPENAI_BASE_URL": self.base_url,
            "OPENAI_API_KEY": "sk-test",
        }

    def app(self) -> App:
        """This process's own view of the database."""
        settings = Settings(database_url=self.url, model="openai-chat:test-model", tag_requests=True)
        settings.__dict__["environment"] = self.environment
        return App(settings)

    def start(self, *arguments: str) -> AnyWorker:
        """Start a worker."""
        if self.forks is not None:
            said = self.folder / f"said-{len(self.workers)}"
            said.mkdir()
            words = ("worker", *arguments)
            child = self.forks.start(words, env=self.environment, cwd=self.folder, folder=said)
            self.workers.append(Forked(child))
            return self.workers[-1]
        log = (self.folder / f"worker-{len(self.workers)}.log").open("ab")
        with log:
            worker = subprocess.Popen(
                [str(Path(sys.executable).with_name("windlass")), "worker", *arguments],
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
            )
        self.workers.append(worker)
        return worker

    def said(self) -> str:
        """What all workers said, for messages."""
        return "\n".join(
            f"{log.name}: {log.read_text()[-1500:]}"
            for log in sorted([*self.folder.glob("worker-*.log"), *self.folder.glob("said-*/*")])
        )

    async def until_said(self, text: str) -> None:
        """Wait until a worker has said it."""
        until = time.monotonic() + PATIENCE
        while text not in self.said():
            assert time.monotonic() < until, f"nobody said {text!r}\n{self.said()}"
            await asyncio.sleep(0.05)

    def end(self) -> None:
        """End them all."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()

    async def submit(self, app: App, number: int) -> list[str]:
        """Queue this many runs of five calls each, every one in a folder of its own."""
        made = []
        for index in range(number):
            workspace = self.folder / f"run{index}"
            workspace.mkdir()
            options = {"message": f"Manual {index}", "pages": str(PAGES), "to": "manual.md", "yes": True}
            made.append(await queue.submit(app, "write-pages", f"Manual {index}", str(workspace), options))
        return [record.run_id for record in made]

    async def ended(
        self, app: App, run_ids: list[str], meanwhile: Callable[[int], None] = lambda done: None
    ) -> list[RunRecord]:
        """Wait until every run has ended; their records. ``meanwhile`` hears how many have."""
        until = time.monotonic() + PATIENCE
        wanted = set(run_ids)
        while True:
            found = [r for r in await app.journal.list_runs(limit=10_000) if r.run_id in wanted]
            done = [r for r in found if r.status not in (WorkflowStatus.Pending, WorkflowStatus.Started)]
            if len(done) == len(run_ids):
                return done
            if time.monotonic() > until:
                raise AssertionError(f"{len(done)} of {len(run_ids)} runs ended in time\n{self.said()}")
            meanwhile(len(done))
            await asyncio.sleep(0.2)


@dataclass
class Verdict:
    """What the journal and the server say about a set of runs."""

    statuses: Counter[str] = field(default_factory=Counter)
    #: Effects with more than one finished attempt: paid twice.
    paid_twice: list[str] = field(default_factory=list)
    #: Calls that were cut off and may have been paid, and answers that the model gave again.
    unknown: int = 0
    repeated: int = 0
    #: Calls of one run that overlap in time, in its journal or at the server, though its calls follow one another; and
    #: journals with more beginnings than owners, or a gap in their events: two owners at once.
    overlaps: list[str] = field(default_factory=list)
    calls: int = 0


async def judge(app: App, run_ids: list[str], server: OpenAIServer) -> Verdict:
    """Look at every run's journal, and at what the model was asked."""
    verdict = Verdict()
    for run_id in run_ids:
        record = await app.journal.get_run(run_id)
        verdict.statuses[record.status.value] += 1
        _judge_journal(verdict, run_id, await app.journal.entries(run_id))
        events = await app.journal.events(run_id)
        begun = sum(
            event.name == "run_status" and event.payload["status"] == WorkflowStatus.Started.value
            for event in events
        )
        if begun > record.epoch:
            verdict.overlaps.append(f"{run_id} was begun {begun} times by {record.epoch} owners")
        if [event.seq for event in events] != list(range(1, len(events) + 1)):
            verdict.overlaps.append(f"{run_id} has gaps in its events")
    asked: dict[str, list[Record]] = {}
    for record in list(server.records):
        asked.setdefault(record.request.run_id, []).append(record)
    for run_id in run_ids:
        _judge_requests(verdict, run_id, asked.get(run_id, []))
    return verdict


def _judge_journal(verdict: Verdict, run_id: str, entries: list[Entry]) -> None:
    done: Counter[str] = Counter()
    for entry in entries:
        assert entry.state is not EntryState.CLAIMED, (run_id, entry.path)
        if entry.kind == "model":
            verdict.calls += 1
            verdict.unknown += entry.state is EntryState.UNKNOWN
            done[entry.path] += entry.state is EntryState.DONE
    verdict.paid_twice += [f"{run_id} {path}" for path, number in done.items() if number > 1]
    calls = sorted((e for e in entries if e.kind == "model"), key=lambda entry: entry.started_at)
    for first, second in pairwise(calls):
        # One that was cut off has no end of its own: its next owner gave it one.
        if first.state is EntryState.DONE and second.started_at < (first.finished_at or 0.0) - 0.001:
            verdict.overlaps.append(f"{run_id} {first.path} {second.path} in the journal")


def _judge_requests(verdict: Verdict, run_id: str, records: list[Record]) -> None:
    answered = Counter(r.request.step for r in records if r.outcome == "answered")
    verdict.repeated += sum(number - 1 for number in answered.values())
    # The calls of these runs follow one another, so what overlaps was asked by two owners at once.
    ordered = sorted(records, key=lambda r: r.arrived)
    for first, second in pairwise(ordered):
        if first.finished is None or second.arrived < first.finished - 0.001:
            verdict.overlaps.append(f"{run_id} {first.request.step} {second.request.step}")


def sigkill(worker: AnyWorker) -> None:
    """Kill a worker the hard way, and wait until it is gone."""
    worker.send_signal(signal.SIGKILL)
    worker.wait()
