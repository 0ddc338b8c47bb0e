"""Runs against a model that fails in every way it knows: do they end well, is anything wrong written, does the budget hold?

    python bench/faults.py                    200 runs, 30 % of requests fail; then 50 runs sharing one budget, twice
    python bench/faults.py --runs 20 --shared 10 --json

Each run is ``coding`` with a file, a test and a real sandbox, in one process with its real database, over HTTP to a local
server that meets a share of the requests with one of the faults in :data:`windlass.testing.faults.PASSING`. *True cost* is
what a provider would charge at most: every request's input, and all of the output that it sent or was about to send. What
Windlass counts may be more (an attempt whose cost nobody told counts at its worst case), never less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from windlass.app import App
from windlass.effects import spent_so_far
from windlass.events import WorkflowStatus
from windlass.settings import ModelSettings, PriceSettings, Settings
from windlass.testing.faults import sometimes
from windlass.testing.protocol import Answer, Fault, Handler, Request
from windlass.testing.server import OpenAIServer

INPUT, OUTPUT = Decimal("2"), Decimal("8")  # USD per million tokens
MAX_OUTPUT = 1000

SLUG = 'def slugify(text):\n    return "-".join(text.lower().split())\n'
TEST = (
    'from slug import slugify\n\n\ndef test_slugify():\n    assert slugify("Hello  World") == "hello-world"\n'
)
EXPECTED = {"slug.py": SLUG.encode(), "test_slug.py": TEST.encode()}
ANSWERS: Mapping[str, str] = {
    "requirement_step": '{"acceptance_criteria": ["One dash."], "open_questions": []}',
    "design_step": '{"files": [{"path": "slug.py", "purpose": "slugify", "depends_on": []}],'
    ' "tests": [{"path": "test_slug.py", "purpose": "slugify"}]}',
    "test_generation_step[test_slug.py]": f"test_slug.py\n```python\n{TEST}```\n",
    "implementation_step[slug.py]": f"slug.py\n```python\n{SLUG}```\n",
    "summary_step": "slugify(text) joins words with dashes.",
}


def noting(handler: Handler, free: set[int]) -> Handler:
    """The same, and notes which requests got an error status: those a provider does not charge."""

    def noted(request: Request) -> Answer | Fault:
        reply = handler(request)
        if isinstance(reply, Fault) and reply.kind == "status":
            free.add(request.number)
        return reply

    return noted


def answer(request: Request) -> Answer | Fault:
    """The step's answer."""
    text = ANSWERS.get(request.step)
    if text is None:
        return Fault("status", status=400, message=f"no answer for {request.step}")
    return Answer(text, chunk=20)


@dataclass
class Outcome:
    """What came of a number of runs."""

    statuses: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    wrong_files: list[str] = field(default_factory=list)
    #: USD by run: what Windlass counted, and the most that a provider would charge.
    counted: dict[str, Decimal] = field(default_factory=dict)
    true: dict[str, Decimal] = field(default_factory=dict)
    attempts: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    failed_requests: int = 0
    seconds: float = 0.0


def settings(home: Path, base_url: str, **more: Any) -> Settings:
    """One priced model on the local server; short waits, so that the whole takes minutes and not hours."""
    model = ModelSettings(
        model="openai-chat:test-model",
        base_url=base_url,
        price=PriceSettings(input=INPUT, output=OUTPUT),
        max_output_tokens=MAX_OUTPUT,
        first_token_seconds=2.0,
        between_tokens_seconds=2.0,
        total_seconds=20.0,
    )
    return Settings(
        home=home,
        model="flaky",
        models={"flaky": model},
        tag_requests=True,
        retry_wait=0.02,
        max_retry_after=0.1,
        **more,
    )


async def runs(
    number: int,
    handler: Handler,
    folder: Path,
    *,
    at_once: int = 6,
    options: Mapping[str, Any] | None = None,
    **more: Any,
) -> Outcome:
    """Do that many runs, ``at_once`` side by side; ``options`` are each run's, ``more`` are settings."""
    free: set[int] = set()
    with OpenAIServer(noting(handler, free)) as server:
        outcome = await _runs(number, server, folder, at_once, options or {}, more)
        outcome.true = true_costs(server, free)
    return outcome


async def _runs(
    number: int,
    server: OpenAIServer,
    folder: Path,
    at_once: int,
    options: Mapping[str, Any],
    more: Mapping[str, Any],
) -> Outcome:
    outcome = Outcome()
    app = App(settings(folder / "home", server.base_url, **more))
    gate = asyncio.Semaphore(at_once)
    began = time.monotonic()

    async def one(index: int) -> None:
        workspace = folder / f"work-{index}"
        workspace.mkdir()
        async with gate:
            record = await app.create_run(
                "coding",
                f"slug {index}",
                str(workspace),
                {"requirement": "A slug", "yes": True, **options},
            )
            record = await app.execute(record.run_id)
        outcome.statuses[record.status.value] += 1
        if record.error:
            outcome.errors[record.error.split("$")[0][:60]] += 1
        for path in workspace.rglob("*"):
            if path.is_file() and path.read_bytes() != EXPECTED.get(path.name):
                outcome.wrong_files.append(str(path))
        if record.status is WorkflowStatus.Success and len(list(workspace.iterdir())) != len(EXPECTED):
            outcome.wrong_files.append(f"{workspace}: files missing")
        entries = await app.journal.entries(record.run_id)
        outcome.counted[record.run_id] = spent_so_far(entries)
        outcome.attempts.update(e.state.value for e in entries if e.kind == "model")

    await asyncio.gather(*(one(index) for index in range(number)))
    await app.close()
    outcome.requests = len(server.records)
    outcome.failed_requests = sum(r.outcome != "answered" for r in server.records)
    outcome.seconds = time.monotonic() - began
    return outcome


def true_costs(server: OpenAIServer, free: set[int]) -> dict[str, Decimal]:
    """The most that a provider would charge for each run's requests, USD."""
    costs: dict[str, Decimal] = defaultdict(Decimal)
    for record in server.records:
        request = record.request
        if request.number in free:
            continue
        text = ANSWERS.get(request.step, "")
        usage = Answer(text).usage_for(request)
        costs[request.run_id] += (
            usage["prompt_tokens"] * INPUT + usage["completion_tokens"] * OUTPUT
        ) / 1_000_000
    return costs


def worst_call() -> Decimal:
    """About the worst case of one call here, USD."""
    return (4000 * INPUT + MAX_OUTPUT * OUTPUT) / 1_000_000


async def single(number: int, rate: float, seed: int) -> Outcome:
    """Runs with a budget of their own."""
    with tempfile.TemporaryDirectory() as made:
        flaky = sometimes(answer, rate=rate, seed=seed)
        return await runs(number, flaky, Path(made), options={"budget": str(worst_call() * 30)})


async def shared(number: int, cap: Decimal, rate: float, seed: int) -> Outcome:
    """Runs that share one cap."""
    with tempfile.TemporaryDirectory() as made:
        flaky = sometimes(answer, rate=rate, seed=seed)
        options = {"shared_budgets": {"batch:bench": str(cap)}}
        return await runs(number, flaky, Path(made), options=options, at_once=number)


def judge(
    outcome: Outcome, number: int, *, per_run: Decimal | None, cap: Decimal | None, least: float
) -> list[str]:
    """What is not as it must be."""
    problems = [f"wrong content: {name}" for name in outcome.wrong_files]
    done = outcome.statuses["Success"]
    if done < number * least:
        problems.append(f"only {done} of {number} runs succeeded: {dict(outcome.errors)}")
    for run_id, counted in outcome.counted.items():
        if outcome.true.get(run_id, Decimal(0)) > counted:
            problems.append(f"{run_id}: counted {counted}, a provider may charge {outcome.true[run_id]}")
        if per_run is not None and counted > per_run:
            problems.append(f"{run_id}: {counted} of a budget of {per_run}")
    total = sum(outcome.counted.values(), Decimal(0))
    if cap is not None and total > cap:
        problems.append(f"the runs cost {total} together, of {cap}")
    return problems


def told(outcome: Outcome, number: int, problems: Sequence[str]) -> dict[str, Any]:
    """What is reported."""
    return {
        "runs": number,
        "succeeded": outcome.statuses["Success"],
        "statuses": dict(outcome.statuses),
        "wrong files": len(outcome.wrong_files),
        "requests": outcome.requests,
        "failed requests": outcome.failed_requests,
        "attempts in the journal": sum(outcome.attempts.values()),
        "counted USD": str(sum(outcome.counted.values(), Decimal(0))),
        "true USD at most": str(sum(outcome.true.values(), Decimal(0))),
        "seconds": round(outcome.seconds, 1),
        "errors": dict(outcome.errors),
        "problems": list(problems),
    }


def main() -> int:
    """Run all of it; 0 when it is as it must be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--shared", type=int, default=50)
    parser.add_argument("--rate", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    alone = asyncio.run(single(options.runs, options.rate, options.seed))
    problems = judge(alone, options.runs, per_run=worst_call() * 30, cap=None, least=0.99)
    found["each its own budget"] = told(alone, options.runs, problems)
    for name, share, least in (
        ("one ample budget", 30, 0.99),
        ("one budget that is too small", Decimal("0.3"), 0.0),
    ):
        cap = worst_call() * share * options.shared
        together = asyncio.run(shared(options.shared, cap, options.rate, options.seed + int(share)))
        more = judge(together, options.shared, per_run=None, cap=cap, least=least)
        found[f"{options.shared} runs, {name} (${cap})"] = told(together, options.shared, more)
        problems += more
    if options.json:
        print(json.dumps(found))
    else:
        for name, rows in found.items():
            print(name)
            for key, value in rows.items():
                print(f"  {key:<26} {value}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
