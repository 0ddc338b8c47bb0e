"""A file that a person changes while a run works on it: never overwritten, and the run can go on with what it is now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.workflows.documents import APOLOGY, CALC, engine, fenced, first, model_of, path_in, prompt_of
from windlass.control import entries_before
from windlass.events import WorkflowStatus
from windlass.testing.llm import Asked

NAMES = ("a.txt", "b.txt", "c.txt")
RESUME = "Resume the run to try only what failed again, on the files as they are then."


def tree(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir()) if path.is_file()}


def files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text(f"this is {name}\n")


async def test_resumed_it_works_on_that_file_as_it_is_now_and_asks_nothing_else(tmp_path: Path) -> None:
    files(tmp_path, *NAMES)

    def meddling(asked: Asked) -> Any:
        if path_in(asked) == "b.txt":
            (tmp_path / "b.txt").write_text("a person's own words\n")
        return fenced(path_in(asked), f"new {path_in(asked)}\n")

    run = engine(tmp_path, model_of(process_file=meddling), "auto", files=list(NAMES))
    record = await run.go()
    assert record.status is WorkflowStatus.Failure
    assert record.error == (
        "1 of 3 files failed (b.txt); the other 2 are done. First: b.txt was changed by someone else while the run was "
        f"working on it; nothing was written. {RESUME}"
    )
    assert tree(tmp_path)["b.txt"] == "a person's own words\n"
    # No step names a way out of its own: the run's is the true one.
    assert not [event for event in run.events if "windlass fork" in str(event.payload)]
    run.model = again = model_of()
    assert (await run.go()).status is WorkflowStatus.Success
    assert [prompt_of(asked) for asked in again.requests] == ["process_file", "summarise"]
    assert "a person's own words" in first(again.requests[0])
    assert tree(tmp_path) == {
        name: f"changed {name}\n" if name == "b.txt" else f"new {name}\n" for name in NAMES
    }
    run.model = replayed = model_of()
    (tmp_path / "b.txt").write_text("changed after the end\n")
    await run.go()
    assert [prompt_of(asked) for asked in replayed.requests] == []
    assert tree(tmp_path)["b.txt"] == "changed after the end\n"


@pytest.mark.parametrize("times", [1, 3])
async def test_the_only_file_changed_again_and_again(tmp_path: Path, times: int) -> None:
    files(tmp_path, "a.txt")
    run = engine(tmp_path, model_of(), "auto", files=["a.txt"])
    for number in range(times):

        def meddling(asked: Asked, number: int = number) -> Any:
            (tmp_path / "a.txt").write_text(f"words number {number}\n")
            return fenced("a.txt", "lost\n")

        run.model = model_of(process_file=meddling)
        record = await run.go()
        assert record.error == (
            "a.txt was changed by someone else while the run was working on it; nothing was written. "
            "Resume the run to work on it as it is now."
        )
        assert tree(tmp_path) == {"a.txt": f"words number {number}\n"}
    run.model = last = model_of()
    assert (await run.go()).status is WorkflowStatus.Success
    assert f"words number {times - 1}" in first(last.requests[0])
    assert tree(tmp_path) == {"a.txt": "changed a.txt\n"}


async def test_a_written_file_is_planned_and_written_anew(tmp_path: Path) -> None:
    files(tmp_path, "a.md")

    def meddling(asked: Asked) -> Any:
        (tmp_path / "a.md").write_text("a person's own words\n")
        return fenced("a.md", "lost\n")

    run = engine(tmp_path, model_of(write_file=meddling), "write", to="a.md")
    assert (await run.go()).status is WorkflowStatus.Failure
    run.model = again = model_of()
    assert (await run.go()).status is WorkflowStatus.Success
    assert [prompt_of(asked) for asked in again.requests] == ["plan_file", "write_file", "summarise"]
    assert all("a person's own words" in first(asked) for asked in again.requests[:2])
    entries = await run.journal.entries(run.run_id)
    kept = entries_before(entries, await run.journal.events(run.run_id), "planning_step[1]")
    assert not [path for path in kept if path.startswith(("planning_step", "writing_step"))]


async def test_a_file_that_is_mended_after_it_failed_is_worked_on_as_it_is_then(tmp_path: Path) -> None:
    files(tmp_path, *NAMES)

    def sorry(asked: Asked) -> Any:
        return (
            APOLOGY if "this is b.txt" in first(asked) else fenced(path_in(asked), f"new {path_in(asked)}\n")
        )

    run = engine(tmp_path, model_of(process_file=sorry), "auto", files=list(NAMES))
    assert (await run.go()).status is WorkflowStatus.Failure
    # As it was, it fails again; no file that is done is asked about.
    run.model = again = model_of(process_file=sorry)
    record = await run.go()
    assert record.status is WorkflowStatus.Failure and record.error is not None and RESUME in record.error
    assert {path_in(asked) for asked in again.requests if prompt_of(asked) == "process_file"} == {"b.txt"}
    (tmp_path / "b.txt").write_text("mended by a person\n")
    run.model = mended = model_of(process_file=sorry)
    assert (await run.go()).status is WorkflowStatus.Success
    asked = [one for one in mended.requests if prompt_of(one) == "process_file"]
    assert len(asked) == 1 and "mended by a person" in first(asked[0])
    assert tree(tmp_path) == {name: f"new {name}\n" for name in NAMES}
    run.model = replayed = model_of()
    await run.go()
    assert replayed.requests == []


async def test_a_source_that_is_mended_after_its_tests_failed_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "calc.py").write_text(CALC.replace("a + b", "a - b"))
    run = engine(tmp_path, model_of(), "write-tests", files=["calc.py"], max_repairs=0)
    assert (await run.go()).status is WorkflowStatus.Failure
    (tmp_path / "calc.py").write_text(CALC)
    run.model = model_of()
    assert (await run.go()).status is WorkflowStatus.Success


async def test_where_files_depend_on_each_other_a_runnable_fork_is_named(tmp_path: Path) -> None:
    files(tmp_path, "book.md")

    def meddling(asked: Asked) -> Any:
        (tmp_path / "book.md").write_text("a person's own words\n")
        return fenced("book.md", "# One\n\nText.\n")

    run = engine(tmp_path, model_of(write_page=meddling), "write-pages", to="book.md", pages=1)
    record = await run.go()
    assert record.status is WorkflowStatus.Failure
    sentence, _, command = (record.error or "").partition(" Look at it; to go on with it as it is now, ")
    assert (
        sentence
        == "book.md was changed by someone else while the run was working on it; nothing was written."
    )
    step = command.removeprefix(f"start again from there with: windlass fork {run.run_id} --from ")
    entries = await run.journal.entries(run.run_id)
    kept = entries_before(entries, await run.journal.events(run.run_id), step)
    assert not [
        entry
        for entry in entries
        if entry.kind == "read" and entry.request == "book.md" and entry.path in kept
    ]
