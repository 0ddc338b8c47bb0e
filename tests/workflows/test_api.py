"""The Python API: results, events, files, errors, and the examples of the documents."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

import windlass
from tests.workflows.documents import APOLOGY, fenced, model_of, path_in
from tests.workflows.event_machine import check_events
from windlass import WorkflowExecutionError, WorkflowStatus
from windlass.errors import JournalError
from windlass.events import Event
from windlass.testing.llm import Asked
from windlass.testing.server import Answer, OpenAIServer, Request

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
        ("chat", {"files": ["large.txt"]}, "files of up to 1,000,000 bytes"),
        ("auto", {"files": ["OUTSIDE"]}, "outside the workspace"),
        ("write-pages", {}, "page count is missing"),
        ("write-pages", {"pages": "ten"}, "must be a whole number, not 'ten'"),
        ("write", {"to": "../x.md"}, "'../x.md' is not a usable file name"),
        ("write-pages", {"page": 3}, "No option is called 'page'; known: "),
        ("chat", {"best_of": 99}, "'best of' must be from 1 to 16"),
        ("chat", {"model": "nonsense"}, "known"),
        ("chat", {"context": ["nonsense"]}, "No run is called 'nonsense'"),
        ("write-tests", {"files": ["a.py"], "to": "a.py"}, "file under test"),
    ],
)
async def test_what_cannot_be_used_is_said_before_anything_is_spent(
    workflow: str, given: dict[str, object], said: str, tmp_path: Path
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
        _ = windlass.nonsense  # type: ignore[attr-defined]


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
