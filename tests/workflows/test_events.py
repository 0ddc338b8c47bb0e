"""Every workflow's event log, live and as it is stored, against the state machine of B1-B4: well, failing, resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.workflows.documents import APOLOGY, CALC, MODULES, engine, model_of
from tests.workflows.event_machine import EventMachine, check_events
from windlass.app import App
from windlass.errors import ModelRefused, ModelUnavailable
from windlass.events import Event, WorkflowStatus
from windlass.people import Answer
from windlass.settings import load_settings
from windlass.workflows.plans import (
    generate_auto_workflow,
    generate_chat_workflow,
    generate_write_pages_workflow,
    generate_write_tests_workflow,
    generate_write_workflow,
)

OPTIONS: dict[str, dict[str, Any]] = {
    "chat": {},
    "write": {},
    "write-pages": {"pages": 3, "to": "book.md"},
    "write-tests": {"files": ["calc.py"]},
    "auto": {"files": ["one.txt", "two.txt", "sub/one.txt"]},
}
#: Where each workflow can be made to fail, and the prompt that fails.
FAILS = [
    ("chat", "chat"), ("write", "find_files"), ("write", "plan_file"), ("write", "write_file"), ("write", "summarise"),
    ("write-pages", "define_pages"), ("write-pages", "write_page"), ("write-tests", "plan_tests"),
    ("write-tests", "write_tests"), ("write-tests", "edge_cases"), ("auto", "process_file"), ("auto", "summarise"),
]  # fmt: skip
DOWN = ModelUnavailable("The model is away.")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("one.txt", "two.txt", "sub/one.txt"):
        (tmp_path / name).write_text(f"this is {name}\n")
    (tmp_path / "calc.py").write_text(CALC)
    return tmp_path


async def stored(run: Any) -> list[Event]:
    return list(await run.journal.events(run.run_id))


@pytest.mark.parametrize("key", MODULES)
async def test_a_run_that_succeeds(key: str, folder: Path) -> None:
    run = engine(folder, model_of(), key, **OPTIONS[key])
    record = await run.go()
    assert record.status is WorkflowStatus.Success, record.error
    check_events(run.events, "Success")
    machine = check_events(await stored(run), "Success")
    assert machine.plans[0]["status"] == "pending"
    assert set(machine.status.values()) == {"finished"}


@pytest.mark.parametrize("key", MODULES)
async def test_the_first_plan_is_the_builders(key: str, folder: Path) -> None:
    run = engine(folder, model_of(), key, **OPTIONS[key])
    await run.go()
    files = OPTIONS[key].get("files", [])
    built = {
        "chat": generate_chat_workflow("Do it.", files, [], "default"),
        "write": generate_write_workflow("Do it.", files, [], "default"),
        "write-pages": generate_write_pages_workflow("Do it.", 3, files, [], "default"),
        "write-tests": generate_write_tests_workflow("Do it.", files, [], "default"),
        "auto": generate_auto_workflow(files or ["x"], [], "default"),
    }[key]
    assert check_events(run.events, "Success").plans[0] == built


@pytest.mark.parametrize(("key", "prompt"), FAILS)
@pytest.mark.parametrize(
    "fault", [DOWN, ModelRefused("The key is wrong."), ""], ids=["down", "refused", "empty"]
)
async def test_a_run_that_fails_then_goes_on(
    key: str, prompt: str, fault: Exception | str, folder: Path
) -> None:
    run = engine(folder, model_of(**{prompt: fault}), key, **OPTIONS[key])
    record = await run.go()
    assert record.status is WorkflowStatus.Failure
    assert record.error
    machine = check_events(run.events, "Failure")
    assert "error" in machine.status.values()
    run.model = model_of()
    record = await run.go()
    assert record.status is WorkflowStatus.Success, record.error
    check_events(run.events, "Success")
    check_events(await stored(run), "Success")


@pytest.mark.parametrize("key", MODULES)
async def test_a_run_that_is_stopped_at_every_call_then_goes_on(key: str, folder: Path) -> None:
    whole = model_of()
    await engine(folder, whole, key, **OPTIONS[key]).go()
    for name in ("a.md", "docs/b.md", "book.md", "test_calc.py"):
        (folder / name).unlink(missing_ok=True)
    run = engine(folder, model_of(), key, **OPTIONS[key])
    asked = 0
    for _ in whole.requests:
        model = model_of()
        run.model = model
        run.stop.requested = False
        inner = model.responses

        def stopping(request: Any, inner: Any = inner) -> Any:
            run.stop.requested = True
            return inner(request)

        model.responses = stopping
        record = await run.go()
        asked += len(model.requests)
        if record.status is not WorkflowStatus.Started:
            break
        check_events(run.events, "Started")
    run.stop.requested = False
    record = await run.go()
    assert record.status is WorkflowStatus.Success, record.error
    check_events(run.events, "Success")
    assert asked <= len(whole.requests), "something that was paid for was asked again"


def test_the_machine_has_teeth() -> None:
    plan = generate_chat_workflow("hi", [], [], "m")
    good = [
        Event("run_status", "r", {"status": "Started", "workflow": "chat"}),
        Event("send_workflow", "r", {"workflow": plan}),
        Event("update_workflow_step", "r", {"step": 1, "path": "chat_step", "status": "in-progress"}),
        Event("update_workflow_step", "r", {"step": 1, "path": "chat_step", "status": "finished"}),
        Event("update_workflow_step", "r", {"step": 1, "path": "chat_step", "response": "x"}),
        Event("run_status", "r", {"status": "Success"}),
    ]

    def told(events: list[Event]) -> list[Event]:
        return [
            Event(e.name, e.run_id, {"run_id": "r", "event_id": n, **e.payload}, seq=n)
            for n, e in enumerate(events, 1)
        ]

    check_events(told(good), "Success")
    for broken in (
        [*good[:2], *good[3:]],
        [*good[:4], good[5]],
        [*good[:3], good[2], *good[3:]],
        [good[0], *good[2:]],
        good[:5],
        [*good, good[5]],
        [*good[:4], good[4], good[4], good[5]],
    ):
        with pytest.raises(AssertionError):
            check_events(told(broken), "Success")
    with pytest.raises(AssertionError):
        machine = EventMachine()
        for event in told(good)[1:]:
            machine.take(event)


async def test_an_apology_ends_in_events_too(folder: Path) -> None:
    run = engine(folder, model_of(process_file=APOLOGY), "auto", files=["one.txt"])
    record = await run.go()
    assert record.status is WorkflowStatus.Failure
    assert (folder / "one.txt").read_text() == "this is one.txt\n"
    check_events(run.events, "Failure")


async def test_a_run_that_waits_for_a_person_before_every_write(folder: Path) -> None:
    app = App(load_settings(), {"main": model_of(), "fast": model_of()})
    heard: list[Event] = []
    try:
        options = {"message": "Do it.", "files": ["one.txt", "two.txt"], "approve": ["writes"]}
        run = (await app.create_run("auto", "x", str(folder), options)).run_id
        for written in range(2):
            record = await app.execute(run, listeners=[heard.append])
            assert record.status is WorkflowStatus.Waiting, record.error
            check_events(heard, "Waiting")
            changed = [n for n in ("one.txt", "two.txt") if "changed" in (folder / n).read_text()]
            assert len(changed) == written
            await app.answer(run, Answer("approve"))
        record = await app.execute(run, listeners=[heard.append])
        assert record.status is WorkflowStatus.Success, record.error
        check_events(heard, "Success")
    finally:
        await app.close()
