"""Forks in the folder of the run they came from: what that run wrote there is replaced, what anybody else wrote is not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from bench.faults import settings

from tests.workflows.documents import fenced, model_of, path_in
from windlass.app import App
from windlass.events import WorkflowStatus
from windlass.testing.llm import Asked


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    numbers = iter(range(1, 100))

    def text(asked: Asked) -> str:
        return fenced(path_in(asked), f"# A page\n\nText number {next(numbers)}, of several words.\n")

    model = model_of(write_file=text, write_page=text)
    made = App(settings(tmp_path / "home", "http://127.0.0.1:9/v1"), dict.fromkeys(("main", "fast"), model))
    yield made
    await made.close()


CASES = [("write", {}, "writing_step[1]"), ("write-pages", {"pages": 2}, "page_step[2]")]


@pytest.mark.parametrize(("workflow", "options", "step"), CASES)
async def test_a_fork_replaces_what_the_runs_it_came_from_wrote(
    app: App, tmp_path: Path, workflow: str, options: Mapping[str, Any], step: str
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    given = {"message": "A page.", "to": "a.md", **options}
    run = await app.create_run(workflow, "A page", str(work), given)
    assert (await app.execute(run.run_id)).status is WorkflowStatus.Success
    # Also a fork of a fork, which finds what the first one wrote.
    for _ in range(2):
        before = (work / "a.md").read_text()
        run = await app.fork(run.run_id, step)
        done = await app.execute(run.run_id)
        assert (done.status, done.error) == (WorkflowStatus.Success, None)
        assert (work / "a.md").read_text() != before
    (work / "a.md").write_text("Somebody else's text.\n")
    run = await app.fork(run.run_id, step)
    ended = await app.execute(run.run_id)
    assert ended.status is WorkflowStatus.Failure
    assert "was changed by someone else" in (ended.error or "")
    assert (work / "a.md").read_text() == "Somebody else's text.\n"
