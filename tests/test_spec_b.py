"""SPEC B1-B24 and C3-C16 as far as the document workflows go, each under its ID."""

from __future__ import annotations

import enum
import inspect
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workflows.documents import (
    APOLOGY,
    CALC,
    CALC_TESTS,
    calls,
    engine,
    fenced,
    first,
    model_of,
    path_in,
    prompt_of,
)
from tests.workflows.event_machine import check_events
from tests.workspace.places import moto_server
from windlass.app import App
from windlass.errors import (
    BudgetExceeded,
    InputError,
    ModelRefused,
    UnknownModel,
    UnsafePath,
    WorkflowExecutionError,
)
from windlass.events import UPDATE_WORKFLOW_STEP, Event, StepStatus, WorkflowStatus
from windlass.prompt import MemoryPromptStore
from windlass.replies import extract_markdown_list_items, parse_list
from windlass.settings import load_settings
from windlass.steps.chat import ChatStep
from windlass.steps.save_file import AppendFileStep, SaveFileStep, appended
from windlass.testing.llm import Asked
from windlass.vocabulary import (
    FilePurpose,
    determine_files,
    extract_file_name,
    find_enum_value,
    get_user_context,
    is_coding_file,
)
from windlass.workflows import plans
from windlass.workflows.auto import AutoWorkflow
from windlass.workflows.chat import ChatWorkflow
from windlass.workflows.instructions import plan_file_creation, write_code_file, write_file
from windlass.workflows.options import check
from windlass.workflows.write import WriteWorkflow
from windlass.workflows.write_pages import WritePagesWorkflow
from windlass.workflows.write_tests import WriteTestsWorkflow
from windlass.workspace import WorkspaceSetting

CLASSES = (ChatWorkflow, WriteWorkflow, WritePagesWorkflow, AutoWorkflow, WriteTestsWorkflow)


def updates(events: list[Event], path: str) -> list[dict[str, Any]]:
    """What was said of a step: statuses, responses and file names."""
    return [
        {k: e.payload[k] for k in ("status", "response", "file_name", "error") if k in e.payload}
        for e in events
        if e.name == UPDATE_WORKFLOW_STEP and e.payload["path"] == path
    ]


def tree(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    """Three files, two of which share a base name."""
    (tmp_path / "sub").mkdir()
    found = ["one.txt", "two.txt", "sub/one.txt"]
    for name in found:
        (tmp_path / name).write_text(f"this is {name}\n")
    return found


@pytest.fixture
async def app(windlass_home: Path) -> AsyncIterator[App]:
    app = App(load_settings())
    yield app
    await app.close()


# -- events --------------------------------------------------------------------------------------


async def test_b1_event_names_and_payloads(tmp_path: Path) -> None:
    run = engine(tmp_path, model_of(), "write", to="a.md")
    await run.go()
    sent = [e.payload for e in run.events if e.name == "send_workflow"]
    assert sent and all(set(p) == {"workflow", "run_id", "event_id"} for p in sent)
    told = [e.payload for e in run.events if e.name == "update_workflow_step"]
    kinds = {next(k for k in ("status", "response", "file_name") if k in p) for p in told}
    assert kinds == {"status", "response", "file_name"}
    assert all(isinstance(p["step"], int) for p in told)
    assert {"file_name": "a.md"} in updates(run.events, "writing_step[1]")


def test_b2_statuses() -> None:
    assert {s.value for s in StepStatus} == {
        "pending", "in-progress", "streaming", "finished", "error", "waiting", "skipped"
    }  # fmt: skip


async def test_b3_the_plan_grows_before_a_step_starts(tmp_path: Path) -> None:
    run = engine(tmp_path, model_of(), "write")
    assert (await run.go()).status is WorkflowStatus.Success
    machine = check_events(run.events, "Success")
    assert [s["module"] for s in machine.plans[0]["steps"]] == [
        "Planning Response", "Writing to File", "Summarize"
    ]  # fmt: skip
    last = machine.plans[-1]["steps"]
    assert [s["module"] for s in last][3:] == ["Find Files", "Planning Response", "Writing to File"]
    assert set(machine.status.values()) == {"finished"}


async def test_b4_finished_comes_after_the_stream_and_before_the_response(tmp_path: Path) -> None:
    run = engine(tmp_path, model_of(chat="word " * 200), "chat")
    await run.go()
    told = [(e.name, *[e.payload.get(k) for k in ("status",)]) for e in run.events]
    last_text = max(i for i, e in enumerate(run.events) if e.name == "text")
    assert told.index(("update_workflow_step", "finished")) > last_text
    assert [next(iter(u)) for u in updates(run.events, "chat_step")] == [
        "status", "status", "status", "response"
    ]  # fmt: skip
    assert updates(run.events, "chat_step")[-1]["response"] == ("word " * 200).strip()


# -- shared behaviour ----------------------------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES)
def test_b5_every_workflow_keeps_the_original_call(cls: Any) -> None:
    parameters = inspect.signature(cls.execute).parameters
    assert list(parameters)[1:] == [
        "process_prompt", "initial_message", "file_references", "selected_message_ids", "tags"
    ]  # fmt: skip
    assert [p.default for p in parameters.values()][3:] == [None, None, None]


async def test_b5_the_original_call_runs_over_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    heard: list[Event] = []
    workflow = WriteWorkflow(WorkspaceSetting(str(tmp_path)), listeners=[heard.append])

    async def process_prompt(prompt: str) -> AsyncIterator[str]:
        async def pieces() -> AsyncIterator[str]:
            yield "- a plan" if "plan the file" in prompt else "# Notes\n\n"
            yield "" if "plan the file" in prompt else "All there is to say.\n"

        return pieces()

    (tmp_path / "source.md").write_text("The source.\n")
    result = await workflow.execute(
        process_prompt, "Notes, please", ["source.md"], None, {"write": "notes.md"}
    )
    assert (tmp_path / "notes.md").read_text() == "# Notes\n\nAll there is to say.\n"
    assert "notes.md: created" in result
    check_events(heard, "Success")
    app = App(load_settings())
    try:
        assert (await app.journal.get_run(workflow.id)).status is WorkflowStatus.Success
    finally:
        await app.close()


async def test_b6_tags(tmp_path: Path, app: App) -> None:
    tags = {"model": "m", "pages": "3", "write": "notes", "best of": "2", "loops": 1, "workflow": "write"}
    given = check("write-pages", {"message": "x", "tags": tags})
    assert (given["model"], given["pages"], given["to"], given["best_of"], given["loops"]) == (
        "m", 3, "notes", 2, 1
    )  # fmt: skip
    with pytest.raises(ValueError, match="known: model, pages, write, workflow, best of, loops"):
        check("chat", {"message": "x", "tags": {"colour": "red"}})
    with pytest.raises(UnknownModel, match="known"):
        app.check_models(check("chat", {"message": "x", "tags": {"model": "no-such-model"}}))
    with pytest.raises(UnknownModel):
        await ChatWorkflow(WorkspaceSetting(str(tmp_path))).execute(None, "x", tags={"model": "no-such"})


async def test_b6_the_model_of_a_tag_is_asked(tmp_path: Path, windlass_home: Path) -> None:
    from windlass.testing.server import Answer, OpenAIServer

    with OpenAIServer(lambda request: Answer("Hi.")) as server:
        (windlass_home / "windlass.toml").write_text(
            f'[models.mine]\nmodel = "openai-chat:by-tag"\nbase_url = "{server.base_url}"\n'
        )
        app = App(load_settings(model="mine"))
        app.settings.models["other"] = app.settings.models["mine"].model_copy(
            update={"model": "openai-chat:other"}
        )
        workflow = ChatWorkflow(WorkspaceSetting(str(tmp_path)), app=app)
        assert await workflow.execute(None, "x", tags={"model": "other"}) == "Hi."
        assert [r.request.model for r in server.records] == ["other"]
        await app.close()


@pytest.mark.parametrize("key", ["write", "auto", "write-pages", "write-tests"])
async def test_b7_summaries_use_the_fast_role(key: str, tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "calc.py").write_text(CALC)
    options = {
        "auto": {"files": names},
        "write-pages": {"pages": 1, "to": "b.md"},
        "write-tests": {"files": ["calc.py"]},
    }
    run = engine(tmp_path, model_of(), key, **options.get(key, {}))
    await run.go()
    roles = {e.prompt_name: e.request["role"] for e in await run.entries() if e.kind == "model"}
    assert roles.pop("documents.summarise") == "fast"
    assert roles and set(roles.values()) == {"main"}


async def test_b8_a_failure_is_a_failure(tmp_path: Path) -> None:
    run = engine(tmp_path, model_of(write_file=ModelRefused("The key is wrong.")), "write", to="a.md")
    record = await run.go()
    assert (record.status, record.error) == (WorkflowStatus.Failure, "The key is wrong.")
    assert updates(run.events, "writing_step[1]")[-1] == {"status": "error", "error": "The key is wrong."}
    assert tree(tmp_path) == {}


async def test_b9_earlier_exchanges_come_along(tmp_path: Path, app: App) -> None:
    model = model_of(chat=["The first answer.", "The second answer."])
    app.integrations = {"main": model, "fast": model}
    options = {"message": "The first question?"}
    earlier = await app.create_run("chat", "x", str(tmp_path), options)
    await app.execute(earlier.run_id)
    for reference in (earlier.run_id, f"{earlier.run_id}:1", f"{earlier.run_id}:chat_step"):
        later = await app.create_run(
            "chat", "x", str(tmp_path), {"message": "And then?", "context": [reference]}
        )
        await app.execute(later.run_id)
        sent = first(model.requests[-1])
        assert "The first question?" in sent
    assert "The first answer." in first(model.requests[1])
    with pytest.raises(LookupError, match="its steps: 1"):
        await app.create_run("chat", "x", "", {"message": "x", "context": [f"{earlier.run_id}:9"]})
    with pytest.raises(LookupError):
        await app.create_run("chat", "x", "", {"message": "x", "context": ["zzzzzzzz"]})
    unanswered = await app.create_run("chat", "x", str(tmp_path), {"message": "x"})
    with pytest.raises(InputError, match="no answer"):
        await app.create_run("chat", "x", "", {"message": "x", "context": [unanswered.run_id]})


# -- the workflows -------------------------------------------------------------------------------


async def test_b10_chat(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("The notes.\n")
    model = model_of()
    run = engine(tmp_path, model, "chat", files=["notes.md"], context=[], model="some")
    record = await run.go()
    steps = check_events(run.events, "Success").plans[-1]["steps"]
    assert [s["module"] for s in steps] == ["Chat"]
    assert steps[0]["parameters"] == {
        "user_message": "Do it.", "file_references": ["notes.md"], "selected_message_ids": [], "model": "some"
    }  # fmt: skip
    assert record.summary == "An answer."
    assert model.requests[0].streamed and "The notes." in first(model.requests[0])


async def test_b11_write(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("What a says now.\n")
    model = model_of()
    run = engine(tmp_path, model, "write")
    record = await run.go()
    assert record.status is WorkflowStatus.Success
    assert sorted(tree(tmp_path)) == ["a.md", "docs/b.md"]
    asked = [a for a in model.requests if prompt_of(a) == "write_file" and path_in(a) == "a.md"]
    assert "What a says now." in first(asked[0]) and "- one part" in first(asked[0])
    assert calls(model).count("summarise") == 1
    assert calls(model)[0] == "find_files" and calls(model)[-1] == "summarise"


async def test_b11_code_gets_code_instructions_and_a_name_without_ending_is_text(tmp_path: Path) -> None:
    found = '{"files": [{"path": "tool.py", "purpose": "x"}, {"path": "notes", "purpose": "y"}]}'
    model = model_of(find_files=found, write_code_file=fenced("tool.py", "x = 1\n"))
    await engine(tmp_path, model, "write").go()
    assert sorted(tree(tmp_path)) == ["notes.txt", "tool.py"]
    assert {"write_code_file", "write_file"} <= set(calls(model))


async def test_b11_no_file_found_is_an_error(tmp_path: Path) -> None:
    model = model_of(find_files="Nothing needs to be written, I think.")
    record = await engine(tmp_path, model, "write").go()
    assert record.status is WorkflowStatus.Failure
    assert "Name the file yourself with --to PATH." in (record.error or "")
    assert calls(model) == ["find_files"] * 3


@pytest.mark.parametrize(
    "reply",
    [
        "Nothing needs to be written: config.py already does what you ask, and I would leave README.md alone.",
        "config.py already does this.",
        "Which file do you mean, notes.md or docs/notes.md?",
        "config.py and README.md",
        '{"message": "Nothing needs to be written."}',
        '{"files": []}\n\nREADME.md is fine.',
        '["Nothing has to be written here."]',
        '{"files": [{"path": "none", "purpose": "nothing to write"}]}',
        "- Nothing in config.py\n- Nothing in README.md",
    ],
)
async def test_b11_running_text_is_no_list_of_files(reply: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mine\n")
    for key, asked in (("write", {}), ("write-pages", {"pages": 1})):
        model = model_of(find_files=reply)
        record = await engine(tmp_path, model, key, **asked).go()
        assert record.status is WorkflowStatus.Failure
        assert "no files found" in (record.error or "")
        assert tree(tmp_path) == {"README.md": "# Mine\n"}
        assert "one path a line" in model.requests[1].messages[-1].content
    model = model_of(find_files=[reply, "a.md"])
    assert (await engine(tmp_path, model, "write").go()).status is WorkflowStatus.Success
    assert sorted(tree(tmp_path)) == ["README.md", "a.md"]


@pytest.mark.parametrize(
    "reply",
    [
        '{"files": [{"path": "a.md", "purpose": "first"}, {"path": "docs/b.md"}]}',
        '```json\n[{"path": "a.md"}, "docs/b.md"]\n```',
        '{"a.md": "first", "docs/b.md": "second"}',
        "- a.md: first\n- docs/b.md: second",
        "1. `a.md` - first\n2. `docs/b.md`",
        "a.md\ndocs/b.md",
        "These files must be written:\na.md - first\n`docs/b.md` - second",
        "<think>config.py is fine</think>\n```\na.md\ndocs/b.md\n```",
    ],
)
async def test_b11_lists_of_files(reply: str, tmp_path: Path) -> None:
    model = model_of(find_files=reply)
    assert (await engine(tmp_path, model, "write").go()).status is WorkflowStatus.Success
    assert sorted(tree(tmp_path)) == ["a.md", "docs/b.md"]
    assert calls(model).count("find_files") == 1


async def test_b11_a_found_name_is_that_of_the_file_that_exists(tmp_path: Path) -> None:
    (tmp_path / "NOTES").write_text("Old notes.\n")
    model = model_of(find_files='{"files": [{"path": "NOTES"}, {"path": "more"}]}')
    await engine(tmp_path, model, "write").go()
    assert sorted(tree(tmp_path)) == ["NOTES", "more.txt"]


async def test_b11_a_target_without_an_ending(tmp_path: Path) -> None:
    (tmp_path / "NOTES").write_text("# Old notes\n")
    for number, (key, options) in enumerate((("write", {}), ("write-pages", {"pages": 1}))):
        for to, path in (
            ("NOTES", "NOTES"),
            ("./NOTES", "NOTES"),
            ("notes of today", "notes of today.txt"),
            ("sub/LICENSE", "sub/LICENSE"),
            ("Makefile", "Makefile"),
            (f"new{number}", f"new{number}.txt"),
        ):
            # Text that every one of these files may hold.
            model = model_of(write_page=lambda asked: fenced(path_in(asked), "all: one\n"))
            record = await engine(tmp_path, model, key, to=to, **options).go()
            assert record.status is WorkflowStatus.Success, record.error
            asked = next(a for a in model.requests if "# The file\n" in first(a))
            assert path_in(asked) == path
            assert (tmp_path / path).is_file()
            if to == "NOTES" and key == "write":
                assert "# Old notes" in first(asked)
    assert not (tmp_path / "NOTES.txt").exists() and not (tmp_path / "Makefile.txt").exists()


async def test_b12_pages(tmp_path: Path) -> None:
    model = model_of()
    run = engine(tmp_path, model, "write-pages", pages=3, to="book.md", message="A book of birds.")
    assert (await run.go()).status is WorkflowStatus.Success
    book = (tmp_path / "book.md").read_text()
    assert re.findall(r"# Page (\d)", book) == ["1", "2", "3"]
    asked = [first(a) for a in model.requests if prompt_of(a) == "write_page"]
    assert "Text of page 1." in asked[1] and "Text of page 2." in asked[2] and "A book of birds." in asked[2]
    assert [e.kind for e in await run.entries()].count("write") == 1
    again = engine(tmp_path, model_of(), "write-pages", pages=3, to="book.md")
    await again.go()
    assert (tmp_path / "book.md").read_text() == book


async def test_b12_the_page_count(tmp_path: Path) -> None:
    model = model_of(define_pages=["- a\n- b\n- c", "1. a\n2. b\n3. c\n4. d\n5. e"])
    record = await engine(tmp_path, model, "write-pages", pages=5, to="b.md").go()
    assert record.status is WorkflowStatus.Success
    assert calls(model).count("define_pages") == 2
    for bad in (0, -1, "ten", "", None, 1.5, True):
        with pytest.raises(ValueError, match="page count"):
            check("write-pages", {"message": "x", "pages": bad})
    assert check("write-pages", {"message": "x", "pages": "1000"})["pages"] == 100
    run = engine(tmp_path, model_of(), "write-pages", pages=101, to="c.md")
    await run.go()
    assert any("at most 100" in e.payload["text"] for e in run.events if e.name == "notice")


async def test_b13_write_tests(tmp_path: Path) -> None:
    (tmp_path / "calc.py").write_text(CALC)
    wrong = fenced("test_calc.py", CALC_TESTS.replace("== 3", "== 4"))
    model = model_of(write_tests=wrong, edge_cases=wrong)
    run = engine(tmp_path, model, "write-tests", files=["calc.py"])
    record = await run.go()
    assert record.status is WorkflowStatus.Success, record.error
    assert tree(tmp_path) == {"calc.py": CALC, "test_calc.py": CALC_TESTS}
    assert calls(model) == [
        "plan_tests", "write_tests", "edge_cases", "repair_tests", "summarise"
    ]  # fmt: skip
    assert "calc.py → test_calc.py: 2 passed" in (record.summary or "")
    assert "after 1 repair" in (record.summary or "")
    assert "2 of its 2 public functions" in (record.summary or "")
    check_events(run.events, "Success")


async def test_b13_a_test_file_without_an_ending_gets_that_of_its_source(tmp_path: Path) -> None:
    (tmp_path / "calc.py").write_text(CALC)
    run = engine(tmp_path, model_of(), "write-tests", files=["calc.py"], to="tests/foo")
    record = await run.go()
    assert record.status is WorkflowStatus.Success, record.error
    assert sorted(tree(tmp_path)) == ["calc.py", "tests/foo.py"]
    assert "tests/foo.py" in (record.summary or "") and "passed" in (record.summary or "")
    same = await engine(tmp_path, model_of(), "write-tests", files=["calc.py"], to="calc").go()
    assert "calc.py is the file under test" in (same.error or "")
    assert (tmp_path / "calc.py").read_text() == CALC


async def test_b13_the_file_under_test_is_found(tmp_path: Path) -> None:
    (tmp_path / "calc.py").write_text(CALC)
    model = model_of(find_tested=["Test other.py please", '["calc.py"]'])
    record = await engine(tmp_path, model, "write-tests").go()
    assert record.status is WorkflowStatus.Success, record.error
    assert calls(model)[:2] == ["find_tested", "find_tested"]


@pytest.mark.parametrize("source", ["my-mod.py", "src/my-mod.py", "class.py", "my dir/2nd.py", "v1.2.py"])
async def test_b13_a_file_that_cannot_be_imported_by_its_name(source: str, tmp_path: Path) -> None:
    """The model does what the prompt says word for word, and the tests run."""
    (tmp_path / source).parent.mkdir(exist_ok=True)
    (tmp_path / source).write_text(CALC)

    def answer(asked: Asked) -> str:
        test_file, how = re.findall(r"They go into `([^`]+)`, with pytest; (.*)\.\n", first(asked))[0]
        lines = [line for line in re.findall(r"`([^`]+)`", how) if "spec" in line]
        name = lines[1].split(" = ")[0]
        head = "import importlib.util\nimport sys\nfrom pathlib import Path\n\n"
        loaded = "\n".join(lines)
        return fenced(test_file, f"{head}{loaded}\n\n\ndef test_add():\n    assert {name}.add(1, 2) == 3\n")

    model = model_of(write_tests=answer, edge_cases=answer)
    run = engine(tmp_path, model, "write-tests", files=[source])
    record = await run.go()
    assert record.status is WorkflowStatus.Success, record.error
    assert "1 passed" in (record.summary or "")


async def test_b14_auto(tmp_path: Path, names: list[str]) -> None:
    def process(asked: Asked) -> Any:
        return APOLOGY if path_in(asked) == "two.txt" else fenced(path_in(asked), f"new {path_in(asked)}\n")

    model = model_of(process_file=process)
    run = engine(tmp_path, model, "auto", files=names)
    record = await run.go()
    assert tree(tmp_path) == {
        "one.txt": "new one.txt\n", "sub/one.txt": "new sub/one.txt\n", "two.txt": "this is two.txt\n"
    }  # fmt: skip
    assert record.status is WorkflowStatus.Failure
    assert "1 of 3 files failed (two.txt)" in (record.error or "")
    summed = first(next(a for a in model.requests if prompt_of(a) == "summarise"))
    assert "one.txt: modified" in summed and "two.txt: failed" in summed
    for asked in model.requests:
        if prompt_of(asked) == "process_file":
            others = [n for n in names if n != path_in(asked)]
            assert not any(f"this is {n}\n" in first(asked) for n in others)
    machine = check_events(run.events, "Failure")
    modules = [s["module"] for s in machine.plans[0]["steps"]]
    assert modules == ["Process one.txt", "Process two.txt", "Process sub/one.txt", "Summarize"]
    run.model = again = model_of()
    assert (await run.go()).status is WorkflowStatus.Success
    assert [prompt_of(a) for a in again.requests] == ["process_file", "summarise"]


async def test_b15_instructions_are_versioned(tmp_path: Path) -> None:
    run = engine(tmp_path, model_of(), "write", to="a.md")
    await run.go()
    assert {"documents.plan_file", "documents.write_file", "documents.summarise"} <= set(run.prompts.names())
    text = run.prompts.get("documents.write_file", 1).prompt_content
    assert run.prompts.add("documents.write_file", text + "\nIn verse.") == 2
    run.prompts.use("documents.write_file", 2)
    model = model_of()
    changed = engine(tmp_path, model, "write", to="b.md")
    changed.prompts = run.prompts
    await changed.go()
    entry = next(e for e in await changed.entries() if e.prompt_name == "documents.write_file")
    assert entry.prompt_version == 2 and "In verse." in entry.request["messages"][0]["content"]


@pytest.mark.parametrize(
    ("what", "call"),
    [
        ("message", lambda: check("chat", {"message": "  "})),
        ("file name", lambda: check("write", {"message": "x", "to": " "})),
        ("model", lambda: check("chat", {"message": "x", "model": " "})),
        ("list of files", lambda: check("auto", {"message": "x", "files": []})),
        ("page count", lambda: check("write-pages", {"message": "x", "pages": 0})),
        ("message", lambda: plan_file_creation(" ", "a.md")),
        ("file name", lambda: plan_file_creation("x", "")),
        ("file name", lambda: write_file("", "x")),
        ("purpose", lambda: write_code_file("a.py", "")),
        ("message", lambda: plans.generate_chat_workflow("", [], [], "m")),
        ("model", lambda: plans.generate_write_workflow("x", [], [], "")),
        ("list of files", lambda: plans.generate_auto_workflow([], [], "m")),
        ("page count", lambda: plans.generate_write_pages_workflow("x", 0, [], [], "m")),
        ("file name", lambda: is_coding_file("")),
        ("file name", lambda: extract_file_name(" ")),
        ("names no file", lambda: extract_file_name("/")),
        ("names no file", lambda: extract_file_name("C:\\")),
        ("names no file", lambda: is_coding_file("../..")),
    ],
)
def test_b15_empty_input_is_a_value_error(what: str, call: Any) -> None:
    with pytest.raises(ValueError, match=what):
        call()


def test_b16_b22_lists() -> None:
    text = (
        "<think>- no</think>\n- one\n  goes on\n  - nested\n* two\n+ three\n\n---\n1. four\n2) five\n"
        "**3. six**\n```\n- code\n```\n"
    )
    assert parse_list(text) == ["one goes on", "two", "three", "four", "five", "six"]
    assert extract_markdown_list_items is parse_list


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    with moto_server() as endpoint:
        yield endpoint


def test_b17_the_same_run_on_an_object_store(
    s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    import windlass

    for name, value in (
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WINDLASS_S3__ENDPOINT", s3_endpoint)
    store = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    store.create_bucket(Bucket="docs")
    (tmp_path / "local").mkdir()
    results = {}
    for place in (str(tmp_path / "local"), "s3://docs/here"):
        done = windlass.run("write", "Two files", workspace=place, model=model_of()).check()
        results[place] = [(f["path"], f["change"], f["bytes"]) for f in done.files]
    assert len(set(map(str, results.values()))) == 1 and results[place]
    body = store.get_object(Bucket="docs", Key="here/docs/b.md")["Body"].read()
    assert body == (tmp_path / "local/docs/b.md").read_bytes()


def test_b18_vocabulary() -> None:
    assert [f.path for f in determine_files("Change README.md and `docs/a.rst`, please.")] == [
        "README.md", "docs/a.rst"
    ]  # fmt: skip
    assert determine_files("- **notes.md**: what we said\n- Makefile - builds it") == [
        FilePurpose("notes.md", "what we said"), FilePurpose("Makefile", "builds it")
    ]  # fmt: skip
    assert determine_files("Nothing.") == []
    assert is_coding_file("a/b.py") and is_coding_file("Makefile") and not is_coding_file("a.md")
    assert not is_coding_file("notes.txt")
    for name in ("C:\\x\\a b.md", "/x/a b.md", "a b.md", "x/a b.md/", "file:///x/a b.md?y"):
        assert extract_file_name(name) == "a b.md"
    assert get_user_context().name

    class Models(enum.Enum):
        SMALL_ONE = "gpt-small"

    assert find_enum_value("Small One", Models) is Models.SMALL_ONE
    assert find_enum_value("GPT-small", Models) is Models.SMALL_ONE
    with pytest.raises(ValueError, match="known: gpt-small"):
        find_enum_value("large", Models)


async def test_b19_best_of(tmp_path: Path) -> None:
    model = model_of(chat=["A", "B", "C"], judge='{"choice": 2, "reason": "shorter"}')
    run = engine(tmp_path, model, "chat", best_of=3)
    assert (await run.go()).summary == "B"
    assert sorted(calls(model)) == ["chat"] * 3 + ["judge"]
    judged = next(e for e in await run.entries() if e.prompt_name == "documents.judge")
    assert judged.request["role"] == "judge"
    check_events(run.events, "Success")
    merging = model_of(chat=["A", "B"], judge='{"choice": 0, "reason": "both"}', review="A and B")
    assert (await engine(tmp_path, merging, "chat", best_of=2).go()).summary == "A and B"
    one_fails = model_of(chat=["A", ModelRefused("no")])
    assert (await engine(tmp_path, one_fails, "chat", best_of=2).go()).summary == "A"
    assert "judge" not in calls(one_fails)


async def test_b19_loops(tmp_path: Path) -> None:
    model = model_of(chat="A", review=["AA", "AAA", "AAA"])
    run = engine(tmp_path, model, "chat", loops=5, criteria="Longer.")
    assert (await run.go()).summary == "AAA"
    assert calls(model) == ["chat", "review", "review", "review"]
    assert "Longer." in first(model.requests[1]) and "AA" in first(model.requests[2])


DRAFTS = ["The first answer, short.", "The second answer, which is a good deal longer."]


def notices(events: list[Event]) -> str:
    return "\n".join(str(e.payload.get("text") or e.payload) for e in events if e.name == "notice")


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"judge": "Both are fine."}, "No verdict on the answers; the first one stands"),
        ({"judge": '{"choice": 9}'}, "No verdict on the answers; the first one stands"),
        ({"judge": ModelRefused("no")}, "No verdict on the answers; the first one stands"),
        (
            {"judge": '{"choice": 0, "reason": "both"}', "review": "I'm sorry, but I can't help with that."},
            "The answers could not be merged; the first one stands",
        ),
        ({"judge": '{"choice": 0, "reason": "both"}', "review": ModelRefused("no")}, "could not be merged"),
    ],
)
async def test_b19_without_a_verdict_the_first_answer_stands(
    answers: dict[str, Any], says: str, tmp_path: Path
) -> None:
    run = engine(tmp_path, model_of(chat=DRAFTS, **answers), "chat", best_of=2)
    record = await run.go()
    assert (record.status, record.summary) == (WorkflowStatus.Success, DRAFTS[0])
    assert says in notices(run.events)
    check_events(run.events, "Success")


@pytest.mark.parametrize(
    "review",
    [
        "I'm sorry, but I can't help with that.",
        "Unfortunately this goes against my guidelines.",
        "Es tut mir leid, dabei kann ich nicht helfen.",
        "No changes are needed.",
        "LGTM",
        "<think>hm</think>",
        ModelRefused("no"),
    ],
)
async def test_b19_an_improvement_that_is_none_leaves_the_answer_before_it(
    review: Any, tmp_path: Path
) -> None:
    good = "A stack takes back first what was put on it last."
    run = engine(tmp_path, model_of(chat=good, review=review), "chat", loops=1)
    record = await run.go()
    assert (record.status, record.summary) == (WorkflowStatus.Success, good)
    assert "Round 1 gave nothing better" in notices(run.events)
    run = engine(tmp_path, model_of(chat=good, review=[good + " Really.", review]), "chat", loops=3)
    assert (await run.go()).summary == good + " Really."
    run = engine(tmp_path, model_of(review=review), "write", to="a.md", loops=1)
    assert (await run.go()).status is WorkflowStatus.Success
    assert (tmp_path / "a.md").read_text() == "# a.md\n\nWritten.\n"
    assert "Round 1 gave nothing better" in notices(run.events)


async def test_b19_an_answer_that_declines_can_be_improved_into_another(tmp_path: Path) -> None:
    model = model_of(chat="Sorry, no.", review=["I'm sorry, that file is too long to show here."])
    assert "too long" in ((await engine(tmp_path, model, "chat", loops=1).go()).summary or "")


async def test_b19_a_stop_or_the_budget_still_ends_the_step(tmp_path: Path) -> None:
    for answers, options in (({"chat": DRAFTS}, {"best_of": 2}), ({}, {"loops": 1})):
        model = model_of(**answers, judge=BudgetExceeded("over"), review=BudgetExceeded("over"))
        record = await engine(tmp_path, model, "chat", **options).go()
        assert record.status is WorkflowStatus.Failure and "over" in (record.error or "")


@pytest.mark.parametrize(
    "answers",
    [
        {"write_file": [fenced("a.md", "One.\n"), fenced("a.md", "Two.\n")], "judge": "None."},
        {"write_file": [fenced("a.md", "One.\n"), ModelRefused("no"), fenced("a.md", "Two.\n")]},
    ],
)
async def test_b19_a_run_that_goes_on_decides_as_before(answers: dict[str, Any], tmp_path: Path) -> None:
    model = model_of(**answers, summarise=[ModelRefused("no"), "Done it."])
    run = engine(tmp_path, model, "write", to="a.md", best_of=2, loops=0)
    assert (await run.go()).status is WorkflowStatus.Failure
    before = calls(model)
    assert (await run.go()).status is WorkflowStatus.Success
    assert calls(model) == [*before, "summarise"]
    assert (tmp_path / "a.md").read_text() == "One.\n"


async def test_b19_is_off_by_default(tmp_path: Path) -> None:
    model = model_of()
    await engine(tmp_path, model, "chat").go()
    assert calls(model) == ["chat"]


def test_b20_plan_builders() -> None:
    def told(plan: dict[str, Any]) -> tuple[str, list[str]]:
        assert plan["version"] == "1.0" and plan["status"] == "pending"
        assert [s["step_id"] for s in plan["steps"]] == list(range(1, len(plan["steps"]) + 1))
        assert all(s["status"] == "pending" and s["response"] == "" for s in plan["steps"])
        return plan["workflow_name"], [s["module"] for s in plan["steps"]]

    args: tuple[Any, ...] = (["x/a.md"], [], "m")
    assert told(plans.generate_chat_workflow("hi", *args)) == ("Chat Workflow", ["Chat"])
    assert told(plans.generate_write_workflow("hi", *args)) == (
        "Write Workflow", ["Planning Response", "Writing to File", "Summarize"]
    )  # fmt: skip
    assert told(plans.generate_write_pages_workflow("hi", 2, *args)) == (
        "Write Pages Workflow",
        ["Define Pages", "Save to File - Page 1", "Save to File - Page 2", "Summarize"],
    )
    assert told(plans.generate_auto_workflow(["x/a.md", "b.md"], [], "m")) == (
        "Auto Workflow", ["Process a.md", "Process b.md", "Summarize"]
    )  # fmt: skip
    assert told(plans.generate_write_tests_workflow("hi", *args)) == (
        "Write Tests Workflow", ["Generate File Name", "Write Tests", "Summarize Tests"]
    )  # fmt: skip
    assert plans.generate_chat_workflow("hi", *args) == plans.generate_chat_workflow("hi", *args)
    assert UPDATE_WORKFLOW_STEP == "update_workflow_step"


def test_b21_instruction_builders() -> None:
    store = MemoryPromptStore()
    assert "A text about birds" in plan_file_creation("A text about birds", "birds.md", repository=store)
    assert "birds.md" in plan_file_creation("A text about birds", "birds.md", repository=store)
    for build in (write_file, write_code_file):
        text = build("birds.py", "to sing", repository=store)
        assert "birds.py" in text and "to sing" in text and "{{" not in text
    name = "documents.plan_file"
    store.add(name, store.get(name, 1).prompt_content + "\nShort.")
    store.use(name, 2)
    assert plan_file_creation("x", "a.md", repository=store).rstrip().endswith("Short.")


async def test_b23_a_failing_step_raises(tmp_path: Path) -> None:
    def process_prompt(prompt: str) -> str:
        raise OSError("the line is dead")

    workflow = ChatWorkflow(WorkspaceSetting(str(tmp_path)))
    with pytest.raises(WorkflowExecutionError, match="the line is dead") as caught:
        await workflow.execute(process_prompt, "hi")
    assert (caught.value.run_id, caught.value.step_path) == (workflow.id, "chat_step")
    assert caught.value.cause


async def test_b24_shared_steps(tmp_path: Path) -> None:
    assert issubclass(AppendFileStep, SaveFileStep)
    assert (
        appended("a", "b\n") == "a\nb\n" and appended("a\n", "b\n") == "a\nb\n" and appended(None, "b") == "b"
    )
    for workflow in (WriteWorkflow, AutoWorkflow, WritePagesWorkflow, WriteTestsWorkflow):
        steps = {type(s) for s in workflow(WorkspaceSetting(str(tmp_path))).steps.values()}
        assert any(issubclass(s, SaveFileStep) for s in steps) and any(issubclass(s, ChatStep) for s in steps)


# -- faults that must not come back --------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        APOLOGY,
        "Here is my plan:\n- write it\n- check it",
        '{"error": {"message": "rate limit"}}',
        "Error 500",
        "LGTM",
        "Unchanged.",
        "This request violates the content policy.",
        "Due to length limits, the full file cannot be shown.",
        "Die Datei ist bereits korrekt.",
        "- Shorten the introduction\n- Fix the typos",
    ],
)
async def test_c3_nothing_but_content_is_saved(reply: str, tmp_path: Path, names: list[str]) -> None:
    before = tree(tmp_path)
    for key, prompt, options in (
        ("write", "write_file", {"to": "one.txt"}),
        ("auto", "process_file", {"files": names}),
        ("write-pages", "write_page", {"to": "one.txt", "pages": 2}),
    ):
        record = await engine(tmp_path, model_of(**{prompt: reply}), key, **options).go()
        assert record.status is WorkflowStatus.Failure
        assert tree(tmp_path) == before


async def test_c3_a_bare_reply_is_saved_only_where_it_is_plainly_the_file(
    tmp_path: Path, names: list[str]
) -> None:
    (tmp_path / "poem.md").write_text("# A poem\n\nRoses are red.\nViolets are blue.\n")
    unsure = "Nobody came to the fair."
    for replies, text, asked in (
        (
            ["# A poem\n\nRoses are red.\nSkies are blue.\n"],
            "# A poem\n\nRoses are red.\nSkies are blue.\n",
            1,
        ),
        (["Unchanged.", fenced("poem.md", "# A poem\n\nRoses are red.\nSkies are blue.\n")], None, 2),
        ([unsure, fenced("poem.md", unsure + "\n")], unsure + "\n", 2),
    ):
        before = (tmp_path / "poem.md").read_text()
        model = model_of(process_file=replies)
        record = await engine(tmp_path, model, "auto", files=["poem.md"]).go()
        assert record.status is WorkflowStatus.Success
        assert (tmp_path / "poem.md").read_text() == (before if text is None else text)
        processed = [a for a in model.requests if prompt_of(a) == "process_file"]
        assert len(processed) == asked
        if asked > 1:
            assert "whole file between the fences" in processed[1].messages[-1].content
    model = model_of(
        write_page=["Page one tells of the sea.", "The request was refused.", "Page two ends it."]
    )
    record = await engine(tmp_path, model, "write-pages", to="sea.md", pages=2).go()
    assert (tmp_path / "sea.md").read_text() == "Page one tells of the sea.\n\nPage two ends it.\n"


async def test_c3_a_plan_is_never_saved(tmp_path: Path) -> None:
    run = engine(tmp_path, model_of(plan_file="# A plan\n\nSECRET PLAN\n"), "write", to="a.md")
    await run.go()
    assert "SECRET PLAN" not in "".join(tree(tmp_path).values())


async def test_c4_a_source_is_never_written(tmp_path: Path) -> None:
    (tmp_path / "calc.py").write_text(CALC)
    for answer in (
        fenced("calc.py", CALC_TESTS),
        f"```python\n# calc.py\n{CALC}```\n```python\n# test_calc.py\n{CALC_TESTS}```",
        "calc.py\n<<<<<<< SEARCH\n    return a + b\n=======\n    return 0\n>>>>>>> REPLACE",
    ):
        await engine(tmp_path, model_of(write_tests=answer), "write-tests", files=["calc.py"]).go()
        assert (tmp_path / "calc.py").read_text() == CALC
    with pytest.raises(ValueError, match="file under test"):
        check("write-tests", {"message": "x", "files": ["calc.py"], "to": "calc.py"})


async def test_c5_only_the_content_is_saved(tmp_path: Path) -> None:
    reply = "Sure! Here it is:\n\na.md\n````\n# Title\n````\n\nHope this helps!"
    await engine(tmp_path, model_of(write_file=reply), "write", to="a.md").go()
    assert tree(tmp_path) == {"a.md": "# Title\n"}


@pytest.mark.parametrize("name", ["../out.md", "/etc/out.md", "a/../../out.md", "C:\\out.md", "link/out.md"])
async def test_c6_no_name_leaves_the_workspace(name: str, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "link").symlink_to(outside)
    model = model_of(find_files=json.dumps({"files": [{"path": name, "purpose": "x"}]}))
    record = await engine(root, model, "write").go()
    assert record.status is WorkflowStatus.Failure
    assert list(outside.iterdir()) == [] and sorted(p.name for p in tmp_path.iterdir()) == ["outside", "root"]
    if not name.startswith("link"):
        for key, option in (("write", {"to": name}), ("auto", {"files": [name]})):
            with pytest.raises(UnsafePath):
                check(key, {"message": "x", **option})


async def test_c7_equal_base_names_do_not_meet(tmp_path: Path, names: list[str]) -> None:
    await engine(tmp_path, model_of(), "auto", files=names).go()
    assert tree(tmp_path) == {name: f"changed {name}\n" for name in names}
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "calc.py").write_text(CALC)
    run = engine(tmp_path, model_of(), "write-tests", files=["a/calc.py", "b/calc.py"])
    await run.go()
    written = {p.name for p in tmp_path.rglob("test_*.py")}
    assert written == {"test_calc.py", "test_b_calc.py"}


async def test_c8_cost_grows_with_the_files_not_their_square(tmp_path: Path) -> None:
    sent = {}
    for count in (5, 10, 20):
        folder = tmp_path / str(count)
        folder.mkdir()
        files = [f"f{n}.txt" for n in range(count)]
        for name in files:
            (folder / name).write_text("word " * 400 + "\n")
        model = model_of()
        await engine(folder, model, "auto", files=files).go()
        sent[count] = sum(len(first(a)) for a in model.requests)
    assert sent[10] < 2.1 * sent[5] and sent[20] < 2.1 * sent[10]


async def test_c9_whoever_writes_a_file_sees_it(tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "calc.py").write_text(CALC)
    (tmp_path / "test_calc.py").write_text("KEEP = 'this is test_calc.py'\n")
    for key, prompts, options, text in (
        ("write", {"plan_file", "write_file"}, {"to": "one.txt"}, "this is one.txt"),
        ("auto", {"process_file"}, {"files": ["one.txt"]}, "this is one.txt"),
        ("write-pages", {"define_pages", "write_page"}, {"to": "two.txt", "pages": 1}, "this is two.txt"),
        (
            "write-tests",
            {"plan_tests", "write_tests"},
            {"files": ["calc.py"], "to": "test_calc.py"},
            "this is test_calc",
        ),
    ):
        (tmp_path / "one.txt").write_text("this is one.txt\n")
        model = model_of()
        await engine(tmp_path, model, key, **options).go()
        asked = [a for a in model.requests if prompt_of(a) in prompts]
        assert {prompt_of(a) for a in asked} == prompts
        assert all(text in first(a) for a in asked), key


async def test_c10_pages_are_not_appended_again(tmp_path: Path) -> None:
    broken = model_of(write_page=["book.md\n````\n# Page 1\n````", ModelRefused("gone")])
    run = engine(tmp_path, broken, "write-pages", pages=2, to="book.md")
    assert (await run.go()).status is WorkflowStatus.Failure
    assert tree(tmp_path) == {}
    run.model = model_of()
    assert (await run.go()).status is WorkflowStatus.Success
    text = (tmp_path / "book.md").read_text()
    assert re.findall(r"# Page (\d)", text) == ["1", "2"]


@pytest.mark.parametrize("key", ["write", "auto"])
async def test_c11_numbers_never_collide_side_by_side(key: str, tmp_path: Path) -> None:
    files = [f"f{n}.md" for n in range(12)]
    for name in files:
        (tmp_path / name).write_text("x\n")
    found = json.dumps({"files": [{"path": name} for name in files]})
    run = engine(tmp_path, model_of(find_files=found), key, **({"files": files} if key == "auto" else {}))
    await run.go()
    machine = check_events(run.events, "Success")
    assert len(machine.status) == (13 if key == "auto" else 26)


async def test_c12_a_summary_states_what_was_checked(tmp_path: Path) -> None:
    (tmp_path / "calc.py").write_text(CALC)
    wrong = fenced("test_calc.py", CALC_TESTS.replace("== 3", "== 4"))
    lie = "All tests pass and everything is covered."
    model = model_of(write_tests=wrong, edge_cases=wrong, repair_tests=wrong, summarise=lie)
    record = await engine(tmp_path, model, "write-tests", files=["calc.py"]).go()
    assert record.status is WorkflowStatus.Failure
    assert "still fail" in (record.error or "") and lie not in (record.summary or "")


async def test_c16_no_prompt_and_no_key_in_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        run = engine(tmp_path, model_of(write_file=APOLOGY), "write", message="THE SECRET MESSAGE", to="a.md")
        await run.go()
    assert "THE SECRET MESSAGE" not in caplog.text
    notices = [e.payload["text"] for e in run.events if e.name == "notice"]
    assert notices and not any("THE SECRET MESSAGE" in text for text in notices)


def test_every_id_has_its_test() -> None:
    names = " ".join(name for name in globals() if name.startswith("test_"))
    missing = [n for n in range(1, 25) if not re.search(rf"\bb{n}_|_b{n}_", names)]
    assert missing == []
    assert [n for n in range(3, 13) if f"_c{n}_" not in names] == []
