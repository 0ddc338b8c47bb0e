"""What is said at the end of a run, and of one that is looked at: what happened, what it cost, what to type now."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bench.faults import settings

from tests.acceptance.cli import GOOD, Cli, Steps
from tests.journal.journals import entry
from windlass.app import App
from windlass.cli.outcome import cost_told, outcome_lines
from windlass.events import Event, WorkflowStatus
from windlass.journal import EntryState
from windlass.people import StopSignal
from windlass.report import run_report, usage_of
from windlass.testing.server import Answer, OpenAIServer

CODING = ("run", "coding", "A slug", "--workspace", "w", "--yes")


@pytest.fixture(autouse=True)
def folder(cli: Cli) -> Path:
    (cli.cwd / "w").mkdir()
    return cli.cwd / "w"


def the_run(cli: Cli) -> str:
    return str(cli("runs", "show", "last", "--json").object["run_id"])


def test_a_waiting_run_says_how_to_answer_and_what_is_asked(cli: Cli) -> None:
    done = cli(*CODING, "--approve", "writes")
    run = the_run(cli)
    assert done.code == 3
    assert f"answer    windlass answer {run} approve|reject\n" in done.out
    shown = cli("runs", "show", run)
    assert "+++ b/test_slug.py" in shown.out
    assert "+def test_slugify():" in shown.out
    assert f"windlass answer {run} approve|reject\n" in shown.out


def test_open_questions_are_answered_in_words(cli: Cli, model: Steps) -> None:
    model.given["requirement_step"] = json.dumps(
        {"acceptance_criteria": ["One dash."], "open_questions": ["Umlauts?"]}
    )
    done = cli(*CODING[:-1])
    assert done.code == 3
    assert f"windlass answer {the_run(cli)} approve|reject|edit TEXT|answer TEXT\n" in done.out
    assert "  - One dash." in cli("runs", "show", "last").out


def test_what_goes_on_is_called_by_its_title(cli: Cli) -> None:
    assert cli(*CODING, "--approve", "writes").code == 3
    assert cli("resume", "last").out.startswith("windlass: A slug\n")
    assert cli("answer", "last", "approve").out.startswith("windlass: A slug\n")
    terminal = cli.terminal("resume", "last")
    terminal.wait_for("A slug")
    terminal.wait_for("Write these changes?")
    terminal.type("r\n")
    assert terminal.end() == 1
    # No run, no title.
    assert cli("resume", "nonesuch").out == ""


def test_a_budget_that_is_too_small_says_what_to_type(cli: Cli) -> None:
    (cli.home / "windlass.toml").write_text(
        '[models.dear]\nmodel = "openai-chat:test-model"\nprice = {input = 1.0, output = 10.0}\n'
        f'base_url = "{cli.base_url}"\napi_key_env = "OPENAI_API_KEY"\nmax_output_tokens = 1000\n'
    )
    done = cli(*CODING, "--model", "dear", "--budget", "0.011")
    assert done.code == 1
    assert f"go on     windlass resume {the_run(cli)} --budget USD\n" in done.out
    of_the_day = cli(*CODING, "--model", "dear", WINDLASS_BUDGET_PER_DAY="0.011")
    assert of_the_day.code == 1
    assert "Raise budget_per_day (WINDLASS_BUDGET_PER_DAY) and resume" in of_the_day.out
    assert f"go on     windlass resume {the_run(cli)}\n" in of_the_day.out


async def test_a_cancelled_run_waits_for_nothing(tmp_path: Path, server: OpenAIServer, model: Steps) -> None:
    app = App(settings(tmp_path / "home", server.base_url))
    stop, heard, cancelled = StopSignal(), list[Event](), tmp_path / "cancelled"
    step = "implementation_step[slug.py]"
    model.given[step] = Answer(str(GOOD[step]), until=str(cancelled))

    def cancel_in_the_middle(event: Event) -> None:
        heard.append(event)
        if event.payload.get("path") == step and event.payload.get("status") == "in-progress":
            stop.cancel = stop.requested = True
            cancelled.touch()

    options = {"requirement": "A slug", "yes": True}
    record = await app.create_run("coding", "slug", str(tmp_path / "w"), options)
    await app.execute(record.run_id, listeners=[cancel_in_the_middle], stop=stop)
    told = await run_report(app.journal, record.run_id)
    assert told["status"] == "Cancelled"
    assert {step["status"] for step in told["steps"]} == {"finished", "skipped"}
    reasons = {str(e.payload["reason"]) for e in heard if "reason" in e.payload}
    assert reasons == {"The run was cancelled."}
    assert "windlass resume" not in "\n".join(line.plain for line in outcome_lines(told))
    # Taken up again, what was left out is done.
    assert (await app.execute(record.run_id)).status is WorkflowStatus.Success
    again = await run_report(app.journal, record.run_id)
    assert {step["status"] for step in again["steps"]} == {"finished"}
    await app.close()


def test_last_without_any_run(cli: Cli) -> None:
    for command in (("runs", "show"), ("resume",), ("cancel",), ("answer",)):
        done = cli(*command, "last")
        assert (done.code, done.err) == (2, "Error: There is no run yet; start one with: windlass run\n")


def test_the_part_of_the_cost_that_is_known_is_told() -> None:
    calls = [
        entry("a/model[0]", state=EntryState.DONE, cost_usd=Decimal("0.0123")),
        entry("b/model[0]", state=EntryState.UNKNOWN, cost_usd=None),
        entry("c/model[0]", state=EntryState.UNKNOWN, cost_usd=None),
    ]
    used = usage_of(calls)
    assert (used["cost_usd"], used["known_cost_usd"], used["unpriced_calls"]) == (None, 0.0123, 2)
    assert cost_told(used) == "$0.0123 known, the cost of 2 calls unknown"
    assert cost_told(usage_of(calls[:2])) == "$0.0123 known, the cost of 1 call unknown"
    assert cost_told(usage_of(calls[:1])) == "$0.0123"
    assert cost_told(usage_of(calls[1:])) == "cost unknown"
    result: dict[str, Any] = {
        "run_id": "r", "status": "Success", "summary": None, "error": None, "files": [], "tests": None,
        "workspace": "w", "usage": used,
    }  # fmt: skip
    assert "$0.0123 known" in "\n".join(line.plain for line in outcome_lines(result))
