"""A program: 20 branches side by side, three calls each with random latencies, killed and replayed until they end.

    python -m tests.durability.branches FOLDER KILLS SEED

Prints one JSON object: kills, runs, calls by branch, and every way in which a branch got what is not its own. Children are
forked before anything is opened and killed with SIGKILL at random moments.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from windlass.budget import Budget
from windlass.calling import Caller
from windlass.config import WorkflowTemplateStepsConfig
from windlass.effects import Effects
from windlass.errors import SandboxError
from windlass.journal import RunJournal, RunRecord
from windlass.llm.base import BaseLLMIntegration, CallTags, Message, OnText, Reply, Usage
from windlass.llm.prices import FREE
from windlass.llm.registry import LLMIntegrationRegistry
from windlass.people import StopSignal
from windlass.plan import EventLog
from windlass.prompt import PromptTemplateVariable
from windlass.prompt.memory import MemoryPromptStore
from windlass.runner import Runner
from windlass.step import BaseStep, StepContext
from windlass.store.base import Database
from windlass.store.journal import SqlJournal
from windlass.workflow import StepWorkflow
from windlass.workspace import WorkspaceSetting, open_workspace

BRANCHES = [f"branch-{number}" for number in range(20)]
CALLS = 3


class SlowEcho(BaseLLMIntegration):
    """Says back what it was asked after a random time, and notes each request in a file that survives the kill."""

    model_name = "test:echo"
    price = FREE

    def __init__(self, log: int) -> None:
        self._log = log
        self._chance = random.Random()

    async def request(
        self, messages: Sequence[Message], *, tags: CallTags | None = None, on_text: OnText | None = None
    ) -> Reply:
        text = messages[-1].content
        os.write(self._log, (json.dumps(text) + "\n").encode())
        await asyncio.sleep(self._chance.random() * 0.03)
        return Reply(f"<{text}>", self.model_name, Usage(1, 1), Decimal(0), "stop")


class Branch(BaseStep):
    """Asks three times, each time about the reply before."""

    name = "branch"
    default_prompt = "{{said}}"
    variables = (PromptTemplateVariable("said"),)

    def process_response(self, response: str) -> str:
        return response

    async def execute(self, ctx: StepContext[dict[str, str]]) -> str | None:
        async def work(branch: StepContext[dict[str, str]], key: str) -> str:
            said = key
            for _ in range(CALLS):
                said = (await branch.ask(await branch.render(self, said=said))).text
            return said

        results = await ctx.each(BRANCHES, work, module=lambda key: key, limit=len(BRANCHES))
        ctx.state.update(zip(BRANCHES, results, strict=True))
        return json.dumps(ctx.state)


class Branches(StepWorkflow[dict[str, str]]):
    name = "branches"
    title = "Branches"
    config: WorkflowTemplateStepsConfig = {"steps": {"branch": {"step_class": Branch}}}

    def new_state(self) -> dict[str, str]:
        return {}

    def summary_of(self, state: dict[str, str]) -> str | None:
        return json.dumps(state)


def expected() -> dict[str, str]:
    return {key: "<" * CALLS + key + ">" * CALLS for key in BRANCHES}


async def go_on(folder: Path, run_id: str) -> None:
    """Run or resume the run to its end."""
    database = Database(f"sqlite:///{folder / 'windlass.db'}")
    journal = SqlJournal(database)
    if not [record for record in await journal.list_runs() if record.run_id == run_id]:
        await journal.create_run(RunRecord(run_id, "branches", "branches", workspace=str(folder)))
    log = os.open(folder / f"{run_id}.requests", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    workspace = await open_workspace(WorkspaceSetting(str(folder)))

    def no_sandbox() -> Any:
        raise SandboxError("not used here")

    async def effects(record: RunRecord, mine: RunJournal, events: EventLog, stop: StopSignal) -> Effects:
        models = LLMIntegrationRegistry()
        models.add("main", SlowEcho(log))
        return Effects(
            run_id=run_id, journal=mine, log=events, models=models, prompts=prompts, workspace=workspace,
            get_sandbox=no_sandbox, budget=Budget(), caller=Caller(), stop=stop, stream=False,
        )  # fmt: skip

    prompts = MemoryPromptStore()
    await Runner(journal, prompts, lambda record: Branches(run_id=record.run_id), effects).run(run_id)
    await journal.close()
    database.close()


def child(folder: Path, run_id: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        asyncio.run(go_on(folder, run_id))
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


async def look(folder: Path, run_id: str, problems: list[str]) -> Counter[str]:
    """Compare what the run says, and what was asked, with what must be."""
    database = Database(f"sqlite:///{folder / 'windlass.db'}")
    journal = SqlJournal(database)
    record = await journal.get_run(run_id)
    if json.loads(record.summary or "{}") != expected():
        problems.append(f"{run_id}: {record.status} {record.summary}")
    asked = Counter(json.loads(line) for line in (folder / f"{run_id}.requests").read_text().splitlines())
    states: Counter[str] = Counter()
    for entry in await journal.entries(run_id):
        states[entry.state.value] += 1
        key = entry.path.partition("[")[2].partition("]")[0]
        sent = entry.request["messages"][-1]["content"]
        if sent.strip("<>") != key:
            problems.append(f"{entry.path} sent {sent}")
        if entry.result is not None and entry.result["text"] != f"<{sent}>":
            problems.append(f"{entry.path} sent {sent}, has {entry.result['text']}")
    attempts = Counter(e.request["messages"][-1]["content"] for e in await journal.entries(run_id))
    problems += [
        f"{text} was asked {n} times, {attempts[text]} attempts"
        for text, n in asked.items()
        if n > attempts[text]
    ]
    await journal.close()
    database.close()
    return states


def main() -> None:
    folder, kills, chance = Path(sys.argv[1]), int(sys.argv[2]), random.Random(sys.argv[3])
    killed = runs = 0
    problems: list[str] = []
    states: Counter[str] = Counter()
    while killed < kills:
        run_id = f"branches-{runs:04}"
        while True:
            requests = folder / f"{run_id}.requests"
            before = requests.stat().st_size if requests.exists() else 0
            pid = child(folder, run_id)
            # A moment after its first request; a run takes about 0.15 s from there to its end.
            until, wait = None, chance.uniform(0.0, 0.12)
            code = None
            while code is None and (killed >= kills or until is None or time.monotonic() < until):
                if until is None and requests.exists() and requests.stat().st_size > before:
                    until = time.monotonic() + wait
                done, status = os.waitpid(pid, os.WNOHANG)
                code = os.waitstatus_to_exitcode(status) if done else None
                time.sleep(0.002)
            if code is not None:
                break
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            killed += 1
        if code != 0:
            problems.append(f"{run_id}: exit code {code}")
        pid = os.fork()
        if not pid:
            found: list[str] = []
            counted = asyncio.run(look(folder, run_id, found))
            (folder / "found.json").write_text(json.dumps([found, counted]))
            os._exit(0)
        os.waitpid(pid, 0)
        found, counted = json.loads((folder / "found.json").read_text())
        problems += found
        states.update(counted)
        runs += 1
    sys.stdout.write(
        json.dumps({"kills": killed, "runs": runs, "states": states, "problems": problems}) + "\n"
    )


if __name__ == "__main__":
    main()
