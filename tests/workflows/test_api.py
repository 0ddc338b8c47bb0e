"""The Python API: results, events, files, errors, and the examples of the documents."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import windlass
from tests.workflows.documents import APOLOGY, fenced, first, model_of, path_in
from tests.workflows.event_machine import check_events
from windlass import WorkflowExecutionError, WorkflowStatus
from windlass.app import App
from windlass.errors import JournalError
from windlass.events import Event
from windlass.settings import load_settings
from windlass.testing.llm import Asked, ScriptedLLM
from windlass.testing.server import Answer, OpenAIServer, Request
from windlass.workflows.chat import ChatWorkflow
from windlass.workflows.write import WriteWorkflow
from windlass.workspace import WorkspaceSetting

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_run_gives_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = windlass.run("write", "Notes.", to="notes", model=model_of(), best_of=None)
    assert done.check() is done and done.status is WorkflowStatus.Success
    assert [(f["path"], f["change"]) for f in done.files] == [("notes.txt", "created")]
    assert done.usage["requests"] == 3 and done.error is None
    assert "notes.txt: created" in done.summary
    assert windlass.run("Write Workflow", "x", to="b.md", model=model_of()).status is WorkflowStatus.Success


def test_a_failed_run_is_a_result_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("old\n")

    def process(asked: Asked) -> str:
        return APOLOGY if path_in(asked) == "b.txt" else fenced("a.txt", "new\n")

    done = windlass.run("auto", "x", files=["*.txt"], model=model_of(process_file=process))
    assert done.status is WorkflowStatus.Failure
    with pytest.raises(WorkflowExecutionError, match=r"failed in process_step\[b.txt\]"):
        done.check()


def test_a_run_that_has_succeeded_is_not_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = windlass.run("chat", "x", model=model_of())
    with pytest.raises(JournalError, match="nothing to go on with"):
        windlass.resume(done.run_id)


async def test_events_come_as_they_happen(tmp_path: Path) -> None:
    heard: list[Event] = []
    going = windlass.arun("chat", "x", workspace=tmp_path, model=model_of(), listeners=[heard.append])
    with pytest.raises(RuntimeError, match="not ended"):
        _ = going.result
    events = [event async for event in going]
    assert events == heard
    check_events(events, "Success")
    assert any(event.name == "text" for event in events)
    assert going.result.summary == "An answer." and (await going) is going.result


async def test_nobody_watches_nothing_is_streamed(tmp_path: Path) -> None:
    model = model_of()
    await windlass.arun("chat", "x", workspace=tmp_path, model=model)
    assert not model.requests[0].streamed


async def test_leaving_the_loop_stops_the_run(tmp_path: Path) -> None:
    names = [f"f{n}.txt" for n in range(20)]
    for name in names:
        (tmp_path / name).write_text("x\n")
    model = model_of()
    going = windlass.arun("auto", "x", files=names, workspace=tmp_path, model=model, concurrency=1)
    events = going.__aiter__()
    async for event in events:
        if event.name == "file_change":
            break
    await events.aclose()  # type: ignore[attr-defined]
    assert going.result.status is WorkflowStatus.Started
    assert 1 <= len(model.requests) < 20


@pytest.mark.parametrize(
    ("workflow", "given", "said"),
    [
        ("nonsense", {}, "No workflow is called 'nonsense'; known: coding, chat"),
        ("auto", {}, "list of files is empty"),
        ("auto", {"files": ["*.nothing"]}, "No file matches '*.nothing'"),
        ("auto", {"files": ["sub"]}, "sub is a folder"),
        ("auto", {"files": ["data.bin"]}, "binary file"),
        ("chat", {"files": ["large.txt"]}, "has 1,000,001 characters; at most 600,000"),
        ("auto", {"files": ["OUTSIDE"]}, "outside the workspace"),
        ("write-pages", {}, "page count is missing"),
        ("write-pages", {"pages": "ten"}, "must be a whole number, not 'ten'"),
        ("write", {"to": "../x.md"}, "'../x.md' is not a usable file name"),
        ("write-pages", {"page": 3}, "No option is called 'page'; known: "),
        ("chat", {"best_of": 99}, "'best of' must be from 1 to 16"),
        ("chat", {"model": "nonsense"}, "known"),
        ("chat", {"context": ["nonsense"]}, "No run is called 'nonsense'"),
        ("write-tests", {"files": ["a.py"], "to": "a.py"}, "file under test"),
        ("trial", {}, "No workflow is called 'trial'; known: coding, chat"),
        (5, {}, "No workflow is called 5"),
        (
            "chat",
            {"model": 5},
            "model must be a model's name, a model or a function from a prompt to its reply, not int",
        ),
        ("chat", {"model": object()}, "not object"),
        ("chat", {"model": ScriptedLLM}, "not the class ScriptedLLM"),
        ("chat", {"model": ""}, "model is empty"),
        ("coding", {"model": " "}, "model is empty"),
        ("chat", {"judge_model": 5}, "judge_model must be"),
        ("chat", {"fast_model": "nonsense"}, "known"),
        ("chat", {"tags": {"model": "nomodel"}}, "No model is called 'nomodel'; known"),
        ("coding", {"tags": {"model": "nomodel"}}, "No model is called 'nomodel'; known"),
        ("coding", {"tags": {"pages": 3}}, "no use for the tag 'pages'"),
        ("chat", {"tags": {"workflow": "coding"}}, "No workflow is called 'coding'; known: chat, write"),
        ("chat", {"tags": {"pages": "abc"}}, "must be a whole number, not 'abc'"),
        ("chat", {"tags": {5: "abc"}}, "No tag is called 5"),
        ("chat", {"tags": ["model"]}, "The tags must be values by name"),
        ("chat", {"pages": "9" * 5000}, "must be a whole number, not '99999"),
        ("chat", {"pages": "+-5"}, "must be a whole number, not '+-5'"),
        ("chat", {"budget": "abc"}, "budget must be an amount in USD, such as 0.50, not 'abc'"),
        ("coding", {"budget": "abc"}, "budget must be an amount in USD"),
        ("chat", {"budget": -1}, "A budget of -1 USD allows no call"),
        ("chat", {"shared_budgets": {"team": "much"}}, "shared budget must be an amount"),
        ("chat", {"files": "b.py"}, "There is no file b.py"),
        ("chat", {"files": 5}, "The files must be a text or a list of texts, not 5"),
        ("chat", {"context": "nonsense"}, "No run is called 'nonsense'"),
        ("chat", {"approve": "write"}, "Nothing called 'write' can be approved; known: writes"),
        ("chat", {"sandbox": "none"}, "There is no sandbox 'none'"),
        ("chat", {"texts": {"b.md": 5}}, "texts by name"),
        ("chat", {"files": ["a.py"], "texts": {"a.py": "other"}}, "Two given files would both be a.py"),
        ("chat", {"criteria": "caf\udce9"}, "The criteria is not UTF-8 text"),
        ("write", {"to": 5}, "The file name must be a text, not 5"),
        ("write-tests", {"test_command": "nosuchcmd -q"}, "There is no command 'nosuchcmd'"),
        ("write-tests", {"test_command": "pytest 'x"}, "No closing quotation"),
        ("coding", {"to": "a.md"}, "coding has no use for the option 'to'"),
        ("coding", {"tests": "nope.py"}, "There is no file nope.py"),
        ("coding", {"references": "a.py"}, "coding has no use for references"),
        ("chat", {"tests": ["a.py"]}, "chat has no use for the option 'tests'"),
    ],
)
async def test_what_cannot_be_used_is_said_before_anything_is_spent(
    workflow: str, given: dict[str, object], said: str, tmp_path: Path, windlass_home: Path
) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.py").write_text("x = 1\n")
    (root / "data.bin").write_bytes(b"\0\1")
    (root / "large.txt").write_bytes(b"x" * 1_000_001)
    (tmp_path / "outside.txt").write_text("x\n")
    model = model_of()
    if given.get("files") == ["OUTSIDE"]:
        given = {"files": [tmp_path / "outside.txt"]}
    with pytest.raises(windlass.InputError, match=re.escape(said)):
        await windlass.arun(workflow, "x", workspace=root, **{"model": model, **given})  # type: ignore[arg-type]
    assert model.requests == []
    assert await runs_kept() == 0


async def runs_kept() -> int:
    app = App(load_settings())
    try:
        return len(await app.journal.list_runs(limit=10))
    finally:
        await app.close()


@pytest.mark.parametrize("workflow", ["chat", "coding"])
@pytest.mark.parametrize(
    "message", ["", None, 5, "caf\udce9", "x" * 200_001], ids=["empty", "none", "number", "latin", "long"]
)
async def test_messages_that_cannot_be_sent(
    workflow: str, message: str, tmp_path: Path, windlass_home: Path
) -> None:
    with pytest.raises(windlass.InputError, match=r"^The (message|requirement) "):
        await windlass.arun(workflow, message, workspace=tmp_path, model=model_of())
    assert await runs_kept() == 0


async def test_what_is_one_need_not_be_a_list(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("the letter a\n")
    asked: list[str] = []

    def reply(prompt: str) -> str:
        asked.append(prompt)
        return "An answer."

    one = await windlass.arun("chat", "x", workspace=tmp_path, model=reply, files="a.md", budget=None)
    assert one.summary == "An answer." and "the letter a" in asked[0]
    await windlass.arun(
        "chat", "y", workspace=tmp_path, model=reply, references=tmp_path / "a.md", context=one.run_id
    )
    assert "the letter a" in asked[1] and "An answer." in asked[1]
    done = await windlass.arun(
        "write", "x", workspace=tmp_path, model=model_of(), to=Path("b.md"), approve="writes"
    )
    assert done.status is WorkflowStatus.Waiting
    assert not (tmp_path / "b.md").exists()


async def test_texts_and_files_from_outside_are_all_sent(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for folder in (tmp_path, root):
        (folder / "README.md").write_text(f"this is in {folder.name}\n")
    model = model_of()
    await windlass.arun(
        "chat",
        "x",
        workspace=root,
        model=model,
        files="README.md",
        references=tmp_path / "README.md",
        texts={"c.md": "this is c"},
    )
    for text in ("this is in root", f"this is in {tmp_path.name}", "this is c"):
        assert text in first(model.requests[0])


async def test_a_tag_names_workflow_and_model(tmp_path: Path, windlass_home: Path) -> None:
    with OpenAIServer(lambda request: Answer("By tag.")) as server:
        (windlass_home / "windlass.toml").write_text(
            f'[models.mine]\nmodel = "openai-chat:by-tag"\nbase_url = "{server.base_url}"\n'
        )
        model = model_of()
        tags = {"workflow": "chat", "model": "mine"}
        done = await windlass.arun("write", "x", workspace=tmp_path, model=model, tags=tags)
        assert (done.report["workflow"], done.summary) == ("chat", "By tag.")
        chat = ChatWorkflow(WorkspaceSetting(str(tmp_path)))
        assert await chat.execute(lambda prompt: "By function.", "x", tags={"model": "mine"}) == "By tag."
        assert (model.requests, server.count()) == ([], 2)


@pytest.mark.parametrize(
    "said",
    [b"x", [b"x"], {"text": "x"}, {"x"}, 5, None, ["x", 5], iter([None]), "\ud800"],
    ids=["bytes", "pieces", "dict", "set", "number", "nothing", "mixed", "iterator", "surrogate"],
)
async def test_what_is_no_text_is_written_nowhere(said: object, tmp_path: Path) -> None:
    workflow = WriteWorkflow(WorkspaceSetting(str(tmp_path)))
    with pytest.raises(
        WorkflowExecutionError, match=r"process_prompt gave (a text with half|\w+, not a text)"
    ):
        await workflow.execute(lambda prompt: said, "x", tags={"write": "by.txt"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tags": {"workflow": "coding"}}, "No workflow is called 'coding'; known: chat"),
        ({"tags": {"workflow": "trial"}}, "No workflow is called 'trial'; known: chat"),
        ({"tags": {"model": "nomodel"}}, "No model is called 'nomodel'"),
        ({"tags": {"pages": "abc"}}, "must be a whole number"),
        ({"tags": {"workflow": "auto"}, "file_references": ["OUTSIDE"]}, "is outside the workspace"),
        ({"file_references": "b.md"}, "There is no file b.md"),
        ({"file_references": 5}, "must be a text or a list of texts"),
        ({"selected_message_ids": "nonsense"}, "No run is called 'nonsense'"),
    ],
)
async def test_the_original_call_shape_leaves_no_run_behind_either(
    given: dict[str, Any], said: str, tmp_path: Path, windlass_home: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.txt").write_text("x\n")
    if given.get("file_references") == ["OUTSIDE"]:
        given = {**given, "file_references": [str(tmp_path / "outside.txt")]}
    workflow = ChatWorkflow(WorkspaceSetting(str(root)))
    with pytest.raises(windlass.InputError, match=re.escape(said)):
        await workflow.execute(lambda prompt: "x", "x", **given)
    assert await runs_kept() == 0


def test_importing_the_package_costs_nothing() -> None:
    code = (
        "import sys, windlass; print([m for m in sys.modules if m.startswith('windlass.') or m == 'asyncio'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert set(windlass.__all__) <= set(dir(windlass))
    for name in windlass.__all__:
        assert getattr(windlass, name)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = windlass.nonsense


@pytest.mark.parametrize("page", ["how-to/documents.md", "reference/workflows.md"])
async def test_the_examples_run(
    page: str, tmp_path: Path, windlass_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src/cart.py").write_text("x = 1\n")
    with OpenAIServer(_answer) as server:
        (windlass_home / "windlass.toml").write_text(
            'model = "openai:gpt-5-mini"\n[models."openai:gpt-5-mini"]\n'
            f'model = "openai-chat:test-model"\nbase_url = "{server.base_url}"\n'
        )
        await _run_examples(page)
        assert server.count() >= 3


def _answer(request: Request) -> Answer:
    if "Your step: one file" in request.text:
        return Answer(fenced("src/cart.py", "x = 2\n"))
    if "Your step: write the" in request.text:
        return Answer(fenced("README.md", "# Cart\n"))
    return Answer("- done")


async def _run_examples(page: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert blocks
    scope: dict[str, object] = {"windlass": windlass}
    for block in blocks:
        body = "".join(f"    {line}\n" for line in block.splitlines())
        if "await " in block or "async for" in block:
            exec(f"async def example():\n{body}", scope)
            await scope["example"]()  # type: ignore[operator]
        else:
            exec(f"def example():\n{body}", scope)
            await asyncio.to_thread(scope["example"])  # type: ignore[arg-type]


async def test_run_inside_a_loop_says_what_to_write_instead() -> None:
    with pytest.raises(RuntimeError, match=r"await windlass.arun"):
        windlass.run("chat", "x")
    with pytest.raises(RuntimeError, match=r"await windlass.aresume"):
        windlass.resume("last")
