"""Cancel, fork, answer, export, forget: a person's hand on a run; and what a changed prompt or step does to a resumed one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bench.faults import ANSWERS, EXPECTED, SLUG, answer, settings

from tests.workflows.event_machine import check_events
from windlass import control
from windlass.app import App
from windlass.cli.root import cli
from windlass.errors import BudgetExceeded, JournalError, JournalMismatch, NotFound, WorkspaceConflict
from windlass.events import WorkflowStatus
from windlass.export import export_run
from windlass.journal import EntryState, RunRecord, step_of
from windlass.people import Answer as Said
from windlass.people import Question, StopSignal
from windlass.prefixes import cacheable_tokens
from windlass.report import call_rows, report
from windlass.testing.server import Answer, Fault, OpenAIServer, Request
from windlass.web.stats import run_page, sums

ASKING = '{"acceptance_criteria": ["One dash."], "open_questions": ["What about umlauts?"]}'


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(answer) as running:
        yield running


@pytest.fixture
async def app(server: OpenAIServer, tmp_path: Path) -> AsyncIterator[App]:
    made = App(settings(tmp_path / "home", server.base_url))
    yield made
    await made.close()


async def start(app: App, folder: Path, **options: Any) -> RunRecord:
    workspace = folder / "work"
    workspace.mkdir(exist_ok=True)
    given = {"requirement": "A slug", "yes": True, **options}
    return await app.create_run("coding", "slug", str(workspace), given)


async def run(app: App, folder: Path, **options: Any) -> RunRecord:
    return await app.execute((await start(app, folder, **options)).run_id)


def steps_asked(server: OpenAIServer, run_id: str) -> list[str]:
    return [r.request.step for r in server.records if r.request.run_id == run_id]


async def test_a_fork_pays_again_only_from_its_step_on(
    app: App, server: OpenAIServer, tmp_path: Path
) -> None:
    first = await run(app, tmp_path)
    new = await app.fork(first.run_id, "implementation_step")
    assert (new.status, new.parent_run) == (WorkflowStatus.Pending, first.run_id)
    done = await app.execute(new.run_id)
    assert done.status is WorkflowStatus.Success
    assert steps_asked(server, new.run_id) == ["implementation_step[slug.py]", "summary_step"]
    kept = {e.path for e in await app.journal.entries(new.run_id) if e.kind == "model"}
    assert kept == {e.path for e in await app.journal.entries(first.run_id) if e.kind == "model"}


async def test_what_a_fork_took_over_counts_once_everywhere(app: App, tmp_path: Path) -> None:
    options = {"requirement": "A slug", "yes": True}
    first = await run(app, tmp_path)
    mine = [e for e in await app.journal.entries(first.run_id) if e.kind == "model"]
    (day,) = await sums(app, "day", 2)
    assert day["requests"] == len(mine)
    estimated = await app.estimate("coding", options)
    before = {name: [s.cost_micro for s in app.prompts.stats(name)] for name in app.prompts.names()}

    # Its whole budget is the worst case of its one call.
    changes = {"budget": str(mine[-1].reserved_usd)}
    new = await app.fork(first.run_id, "summary_step", changes=changes)
    done = await app.execute(new.run_id)
    assert (done.status, done.error) == (WorkflowStatus.Success, None)
    entries = await app.journal.entries(new.run_id)
    own = [e for e in entries if e.kind == "model" and e.copied_from is None]
    assert [e.path for e in own] == ["summary_step/model[0]"]
    told = report(done, entries, await app.journal.events(new.run_id))
    assert told["usage"]["requests"] == 1
    assert told["usage"]["cost_usd"] == float(own[0].cost_usd or 0) > 0
    assert {s["path"]: s["requests"] for s in told["steps"]}["design_step"] == 0
    rows = {row["path"]: row for row in call_rows(entries)}
    assert rows["design_step/model[0]"]["copied_from"] == first.run_id
    assert rows["design_step/model[0]"]["cost_usd"] == "0"
    assert cacheable_tokens([mine[0], mine[0]]) > 0
    assert cacheable_tokens([e for e in entries if e.copied_from] * 2) == 0
    exported = await export_run(app.journal, new.run_id)
    assert {e["copied_from"] for e in exported["entries"] if e["path"] == "design_step/model[0]"} == {
        first.run_id
    }

    (day,) = await sums(app, "day", 2)
    assert day["requests"] == len(mine) + 1
    assert day["cost_usd"] == pytest.approx(float(sum(e.cost_usd or 0 for e in [*mine, *own])))
    page = {row["run_id"]: row for row in (await run_page(app, 10, "", "", None))["runs"]}
    assert page[new.run_id]["requests"] == 1
    # The estimate is of whole runs, and a prompt's cost that of what was really asked.
    assert await app.estimate("coding", options) == estimated
    after = {name: [s.cost_micro for s in app.prompts.stats(name)] for name in before}
    assert [name for name in before if after[name] != before[name]] == ["coding.summary"]
    # What is kept stays when the run that paid for it is forgotten.
    await app.journal.delete_run(first.run_id)
    await app.forget_old(keep_days=1)
    again = await app.fork(new.run_id, "summary_step")
    assert (await app.execute(again.run_id)).status is WorkflowStatus.Success


async def test_a_fork_into_another_folder_brings_the_files_along(app: App, tmp_path: Path) -> None:
    first = await run(app, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    new = await app.fork(first.run_id, "testing_step", workspace=str(other))
    assert {p.name: p.read_text() for p in other.iterdir()} == {
        p.name: p.read_text() for p in (tmp_path / "work").iterdir()
    }
    assert (await app.execute(new.run_id)).status is WorkflowStatus.Success
    (other / "slug.py").write_text("mine = True\n")
    with pytest.raises(WorkspaceConflict, match=r"slug\.py is in the new workspace with other content"):
        await app.fork(first.run_id, "testing_step", workspace=str(other))
    assert (other / "slug.py").read_text() == "mine = True\n"
    assert len(await app.journal.list_runs()) == 2


@pytest.mark.parametrize(("options", "parts"), [({"best_of": 2}, 3), ({"loops": 1}, 2)])
async def test_a_fork_makes_all_of_an_answer_anew_also_the_parts_that_no_plan_shows(
    tmp_path: Path, options: dict[str, int], parts: int
) -> None:
    def numbered(request: Request) -> Answer:
        judged = "Find the best" in request.text
        return Answer('{"choice": 2}' if judged else f"Answer number {request.number}.")

    with OpenAIServer(numbered) as server:
        app = App(settings(tmp_path / "home", server.base_url))
        (tmp_path / "work").mkdir()
        first = await app.create_run("chat", "t", str(tmp_path / "work"), {"message": "Hello?", **options})
        assert (await app.execute(first.run_id)).status is WorkflowStatus.Success
        calls = [e.path for e in await app.journal.entries(first.run_id) if e.kind == "model"]
        assert server.count() == len(calls) == parts
        # The steps that a changed request names, one of them by what only the journal knows.
        for number, step in enumerate(("chat_step", step_of(calls[-1])), 1):
            new = await app.fork(first.run_id, step)
            assert await app.journal.entries(new.run_id) == []
            assert (await app.execute(new.run_id)).status is WorkflowStatus.Success
            assert server.count() == parts * (1 + number)
        with pytest.raises(NotFound, match=r"no step 'chat_step.best\[9\]'; known paths: chat_step"):
            await app.fork(first.run_id, "chat_step.best[9]")
        await app.close()


async def test_a_fork_that_is_killed_has_its_files_before_it_is_a_run(
    app: App, server: OpenAIServer, tmp_path: Path
) -> None:
    first = await run(app, tmp_path)
    other = tmp_path / "other"
    environ = {
        **os.environ,
        "WINDLASS_HOME": str(tmp_path / "home"),
        "WINDLASS_MODEL": "openai-chat:test-model",
        "OPENAI_BASE_URL": server.base_url,
        "OPENAI_API_KEY": "none",
        "WINDLASS_TEST_KILL_AT": "1",
    }
    command = [
        sys.executable,
        "-m",
        "windlass.testing.killing",
        "fork",
        first.run_id,
        "--from",
        "summary_step",
    ]
    ended = await asyncio.to_thread(
        subprocess.run, [*command, "--workspace", str(other), "--later"], env=environ, capture_output=True
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    (new,) = [r for r in await app.journal.list_runs() if r.parent_run == first.run_id]
    assert {file.name: file.read_bytes() for file in other.iterdir()} == EXPECTED
    assert (await app.execute(new.run_id)).status is WorkflowStatus.Success


async def test_a_fork_from_a_step_that_is_not_there(app: App, tmp_path: Path) -> None:
    first = await run(app, tmp_path)
    with pytest.raises(NotFound, match=r"no step 'imp'.*implementation_step\[slug\.py\]"):
        await app.fork(first.run_id, "imp")


def test_what_comes_before_a_step() -> None:
    from windlass.events import Event
    from windlass.journal import Entry

    paths = ["t", "t.repair[1]", "t.repair[2]", "i", "i[b]", "i[a]", "s"]
    rows = [
        {"path": p, "step_id": n}
        for n, p in enumerate(["i", "t", "s", "i[b]", "i[a]", "t.repair[1]", "t.repair[2]"], 1)
    ]
    events = [Event("send_workflow", "r", {"workflow": {"steps": rows}})]
    assert control.plan_order(events) == ["i", "i[b]", "i[a]", "t", "t.repair[1]", "t.repair[2]", "s"]
    done = [
        "inputs/write[0]", "i/list[0]", "i[a]/model[0]", "i[b]/model[0]", "t/tests[0]", "t.repair[1]/model[0]",
        "t/tests[1]", "t.repair[2]/model[0]", "t/tests[2]", "s/model[0]",
    ]  # fmt: skip
    entries = [Entry("r", path, "value", "d", EntryState.DONE) for path in done]
    assert set(paths) == set(control.plan_order(events))
    assert control.entries_before(entries, events, "t.repair[2]") == done[:7]
    assert control.entries_before(entries, events, "i[a]") == [
        "inputs/write[0]",
        "i/list[0]",
        "i[b]/model[0]",
    ]
    assert control.entries_before(entries, events, "i") == ["inputs/write[0]"]


async def test_an_answer_from_elsewhere_lets_a_waiting_run_go_on(tmp_path: Path) -> None:
    def asking(request: Request) -> Answer | Fault:
        return Answer(ASKING) if request.step == "requirement_step" else answer(request)

    with OpenAIServer(asking) as server:
        app = App(settings(tmp_path / "home", server.base_url))
        record = await run(app, tmp_path, yes=False)
        assert record.status is WorkflowStatus.Waiting
        assert (await app.journal.get_run(record.run_id)).owner is None
        await app.answer(record.run_id, Said("approve"))
        with pytest.raises(JournalError, match="already"):
            await app.answer(record.run_id, Said("reject"))
        record = await app.execute(record.run_id)
        assert record.status is WorkflowStatus.Success
        assert server.count(step="requirement_step") == 1
        with pytest.raises(JournalError, match="waits for no answer"):
            await app.answer(record.run_id, Said("approve"))
        await app.close()


async def test_a_waiting_run_is_cancelled_at_once(tmp_path: Path) -> None:
    def asking(request: Request) -> Answer | Fault:
        return Answer(ASKING) if request.step == "requirement_step" else answer(request)

    with OpenAIServer(asking) as server:
        app = App(settings(tmp_path / "home", server.base_url))
        waiting = await run(app, tmp_path, yes=False)
        record = await app.cancel(waiting.run_id)
        assert record.status is WorkflowStatus.Cancelled
        assert record.finished_at is not None
        with pytest.raises(JournalError, match="ended in Cancelled"):
            await app.cancel(waiting.run_id)
        events = await app.journal.events(record.run_id)
        # The step that waited has its end, in a session that told the plan first.
        ended = check_events(events, "Cancelled")
        assert set(ended.status.values()) == {"skipped"}
        assert {plan["workflow_name"] for plan in ended.plans} == {ended.plans[0]["workflow_name"]}
        await app.close()


async def test_a_cancel_outlives_the_owner_it_was_asked_of(
    app: App, server: OpenAIServer, tmp_path: Path
) -> None:
    record = await start(app, tmp_path)
    lease = await app.journal.acquire(record.run_id, "another-machine:1:-:-:abcd", ttl=30)
    await app.journal.update_run(lease, status=WorkflowStatus.Started)
    assert (await app.cancel(record.run_id)).status is WorkflowStatus.Started
    await app.journal.release(lease)  # it came to its end without looking
    assert (await app.execute(record.run_id)).status is WorkflowStatus.Cancelled
    assert server.count() == 0
    # Obeyed, it holds nobody up any more.
    assert (await app.execute(record.run_id)).status is WorkflowStatus.Success


async def test_a_question_at_a_terminal_ends_with_the_run_that_somebody_cancels(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def nobody_answers(question: Question) -> Said | None:
        asked.set()
        await asyncio.Event().wait()
        return None

    with OpenAIServer(lambda request: Answer(ASKING)) as server:
        app = App(settings(tmp_path / "home", server.base_url))
        record = await start(app, tmp_path, yes=False)
        running = asyncio.create_task(app.execute(record.run_id, ask_person=nobody_answers))
        await asked.wait()
        assert (await app.cancel(record.run_id)).status is WorkflowStatus.Started
        assert (await asyncio.wait_for(running, 60)).status is WorkflowStatus.Cancelled
        await app.close()


async def test_an_export_holds_everything_and_no_key(app: App, server: OpenAIServer, tmp_path: Path) -> None:
    record = await run(app, tmp_path)
    exported = json.loads(json.dumps(await export_run(app.journal, record.run_id)))
    assert exported["run"]["run_id"] == record.run_id
    calls = [e for e in exported["entries"] if e["kind"] == "model"]
    assert {c["result"]["text"] for c in calls} == set(ANSWERS.values())
    assert all(c["request"]["messages"][0]["content"] for c in calls)
    assert [e["seq"] for e in exported["events"]] == list(range(1, len(exported["events"]) + 1))
    writes = [e for e in exported["entries"] if e["kind"] == "write"]
    assert SLUG in [exported["blobs"][row["after"]]["text"] for e in writes for row in e["result"]]
    assert all(exported["blobs"][c["template_sha256"]]["text"] for c in calls)


async def test_forgetting_keeps_what_can_go_on(app: App, tmp_path: Path) -> None:
    done = await run(app, tmp_path)
    pending = await start(app, tmp_path)
    assert [r.run_id for r in await app.forgettable(keep_days=0)] == [done.run_id]
    assert await app.forgettable(keep_days=1) == []
    collected = await app.forget_old(keep_days=0)
    assert collected.runs == 1
    assert collected.blobs > 0
    assert [r.run_id for r in await app.journal.list_runs()] == [pending.run_id]


async def test_a_version_promoted_meanwhile_waits_for_the_next_run(
    app: App, server: OpenAIServer, tmp_path: Path
) -> None:
    stop = StopSignal()

    def stop_after_design(event: Any) -> None:
        if event.name == "call" and event.payload["path"].startswith("design_step"):
            stop.requested = True

    record = await start(app, tmp_path)
    stopped = await app.execute(record.run_id, listeners=[stop_after_design], stop=stop)
    assert stopped.status is WorkflowStatus.Started
    for name in ("coding.requirement", "coding.design", "coding.implementation"):
        if name in app.prompts.names():
            old = app.prompts.effective(name).content
            app.prompts.use(name, app.prompts.add(name, old + "\nThink twice.\n"))
    resumed = await app.execute(record.run_id)
    assert resumed.status is WorkflowStatus.Success
    used = {r.request.prompt for r in server.records if r.request.run_id == record.run_id}
    assert {"coding.requirement@1", "coding.design@1"} <= used
    # A fork keeps what it has, and uses what is in effect now from its step on.
    new = await app.fork(record.run_id, "design_step")
    assert (await app.execute(new.run_id)).status is WorkflowStatus.Success
    assert steps_asked(server, new.run_id)[0] == "design_step"
    assert {r.request.prompt for r in server.records if r.request.run_id == new.run_id} >= {"coding.design@2"}


async def test_another_definition_or_request_offers_a_fork(app: App, tmp_path: Path) -> None:
    record = await run(app, tmp_path)
    lease = await app.journal.acquire(record.run_id, "test")
    await app.journal.update_run(
        lease, status=WorkflowStatus.Started, pins={"definition": "of another release"}
    )
    await app.journal.release(lease)
    with pytest.raises(JournalMismatch, match=f"windlass fork {record.run_id} --from"):
        await app.execute(record.run_id)
    lease = await app.journal.acquire(record.run_id, "test")
    changed = {**record.options, "requirement": "Something else"}
    await app.journal.update_run(lease, pins={}, options=changed)
    await app.journal.release(lease)
    failed = await app.execute(record.run_id)
    assert failed.status is WorkflowStatus.Failure
    assert f"windlass fork {record.run_id} --from requirement_step" in (failed.error or "")


async def test_a_wait_between_attempts_ends_when_the_person_stops_the_run(tmp_path: Path) -> None:
    busy = Fault("status", status=429, retry_after="3600")
    with OpenAIServer(lambda request: busy) as server:
        made = settings(tmp_path / "home", server.base_url).model_copy(update={"max_retry_after": 3600.0})
        app = App(made)
        record = await start(app, tmp_path)
        stop = StopSignal()
        running = asyncio.create_task(app.execute(record.run_id, stop=stop))
        assert await asyncio.to_thread(server.wait_for, "failed")
        while not [e for e in await app.journal.entries(record.run_id) if e.state is EntryState.FAILED]:
            await asyncio.sleep(0.01)
        stop.requested = True
        # An hour's wait is under way; without the stop being heard this would not come back.
        stopped = await asyncio.wait_for(running, 60)
        assert stopped.status is WorkflowStatus.Started
        assert server.count() == 1
        await app.close()


async def test_an_unknown_call_waits_for_a_person_where_that_is_set(tmp_path: Path) -> None:
    stalled = True

    def stalling(request: Request) -> Answer | Fault:
        if stalled and request.step == "design_step":
            return Fault("stall", after_chunks=2, answer=Answer(ANSWERS["design_step"]))
        return answer(request)

    with OpenAIServer(stalling) as server:
        made = settings(tmp_path / "home", server.base_url, on_unknown="ask")
        made.models["flaky"].between_tokens_seconds = 60
        app = App(made)
        record = await start(app, tmp_path)
        running = asyncio.create_task(app.execute(record.run_id))
        while server.count(step="design_step") == 0:
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        stalled = False
        waiting = await app.execute(record.run_id)
        assert waiting.status is WorkflowStatus.Waiting
        assert server.count(step="design_step") == 1
        await app.answer(record.run_id, Said("approve"))
        # Answered for later: whoever resumes it with "yes to all" need not answer again.
        assert await app.prepare_resume(record.run_id, assume_yes=True) == record.run_id
        done = await app.execute(record.run_id)
        assert done.status is WorkflowStatus.Success
        assert server.count(step="design_step") == 2
        # What was allowed once is not allowed to a fork that makes that call itself.
        new = await app.fork(record.run_id, "design_step")
        assert "answer" not in {entry.kind for entry in await app.journal.entries(new.run_id)}
        await app.close()


async def test_the_days_budget_holds_over_runs(server: OpenAIServer, tmp_path: Path) -> None:
    app = App(settings(tmp_path / "home", server.base_url, budget_per_day=Decimal("0.03")))
    first = await run(app, tmp_path)
    assert first.status is WorkflowStatus.Success
    statuses = []
    for number in range(8):
        folder = tmp_path / str(number)
        folder.mkdir()
        record = await run(app, folder)
        statuses.append(record.status)
        if record.status is WorkflowStatus.Failure:
            assert "for day:" in (record.error or "")
            assert "the call was not made" in (record.error or "")
            break
    assert statuses[-1] is WorkflowStatus.Failure
    with pytest.raises(BudgetExceeded):
        await app.shared_budgets.reserve({scope(app): Decimal("0.03")}, Decimal("0.02"), owner="test")
    await app.close()


@pytest.mark.parametrize("cancel", [True, False])
async def test_a_run_that_waits_for_others_money_says_so_and_can_be_stopped(
    server: OpenAIServer, tmp_path: Path, cancel: bool
) -> None:
    app = App(settings(tmp_path / "home", server.base_url, budget_per_day=Decimal(1)))
    key = await app.shared_budgets.reserve({scope(app): Decimal(1)}, Decimal(1), owner="another")
    said, stop = asyncio.Event(), StopSignal()

    def listen(event: Any) -> None:
        if event.name == "notice" and event.payload.get("budget") == scope(app):
            said.set()

    record = await start(app, tmp_path)
    running = asyncio.create_task(app.execute(record.run_id, listeners=[listen], stop=stop))
    await asyncio.wait_for(said.wait(), 60)
    if cancel:
        await app.cancel(record.run_id)
    else:
        stop.requested = True
    # It would wait for a quarter of an hour.
    ended = await asyncio.wait_for(running, 60)
    assert ended.status is (WorkflowStatus.Cancelled if cancel else WorkflowStatus.Started)
    assert server.count() == 0
    state = await app.shared_budgets.state(scope(app))
    assert (state.reserved, state.spent) == (Decimal(1), Decimal(0))
    notices = [e.payload["text"] for e in await app.journal.events(record.run_id) if e.name == "notice"]
    assert sum("Waiting for money" in text and "of the $1.00 for day:" in text for text in notices) == 1
    await app.shared_budgets.settle(key, Decimal(0))
    assert (await app.execute(record.run_id)).status is WorkflowStatus.Success
    await app.close()


def scope(app: App) -> str:
    from datetime import UTC, datetime

    return f"day:{datetime.now(UTC).date().isoformat()}"


async def test_the_estimate_is_of_earlier_runs_where_there_are_any(app: App, tmp_path: Path) -> None:
    options = {"requirement": "A slug", "yes": True}
    before = await app.estimate("coding", options)
    assert before is not None
    assert "No earlier run" in before
    await run(app, tmp_path)
    after = await app.estimate("coding", {**options, "budget": "0.5"})
    assert after is not None
    assert after.startswith("Estimate: $0.00")
    assert "$0.5000" in after


def test_words_of_answer_are_checked_before_anything(windlass_home: Path) -> None:
    import click

    for arguments in (
        ["answer", "last", "maybe"],
        ["answer", "last", "approve", "x"],
        ["answer", "last", "edit"],
    ):
        with pytest.raises(click.UsageError):
            cli.main(arguments, standalone_mode=False)


@pytest.mark.parametrize("age", ["90", "-1d", "soon", "1y"])
def test_an_age_that_is_none(windlass_home: Path, age: str) -> None:
    import click

    with pytest.raises(click.BadParameter):
        cli.main(["runs", "gc", "--keep", age], standalone_mode=False)


async def test_doctor_names_interrupted_runs(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = StopSignal()
    record = await start(app, tmp_path)
    await app.execute(record.run_id, listeners=[lambda event: setattr(stop, "requested", True)], stop=stop)
    assert [r.run_id for r in await app.interrupted()] == [record.run_id]
    monkeypatch.setenv("WINDLASS_HOME", str(tmp_path / "home"))
    with pytest.raises(SystemExit):
        await asyncio.to_thread(cli.main, ["doctor", "--json"], standalone_mode=False)
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert "1 was interrupted; go on with: windlass resume --all" in checks["runs"]["detail"]
    assert {"database", "sandbox", "models", "disk"} <= set(checks)
