"""The coding workflow's walk in this process: repairs, people, given tests, several files, and going on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.harness import GOOD, SLUG, SLUG_TEST, WRONG_SLUG, asked_steps, by_step, coding_engine
from windlass.events import WorkflowStatus
from windlass.journal import EntryState
from windlass.llm.base import Reply
from windlass.people import Answer, Question
from windlass.steps.context import PlannedFile
from windlass.steps.design import waves
from windlass.testing.llm import ScriptedLLM


def fenced(text: str, path: str = "slug.py") -> str:
    return f"{path}\n```python\n{text}```\n"


async def test_the_same_failure_twice_ends_the_repairs(tmp_path: Path) -> None:
    wrong: Any = {
        **GOOD,
        "implementation_step[slug.py]": fenced(WRONG_SLUG),
        "testing_step.repair[1]": fenced("# a comment\n" + WRONG_SLUG),
    }
    model = by_step(wrong)
    record = await coding_engine(tmp_path, model, max_repairs=9).go()
    assert record.status is WorkflowStatus.Failure
    assert "same failure came twice, so repairing stopped after 1" in str(record.error)
    assert asked_steps(model).count("testing_step.repair[1]") == 1
    assert "summary_step" not in asked_steps(model)


async def test_repairs_are_counted(tmp_path: Path) -> None:
    # Each try fails in another way, so only the count ends it.
    tries: Any = {
        f"testing_step.repair[{n}]": fenced(f"def slugify(text):\n    return 'try {n}'\n")
        for n in range(1, 6)
    }
    model = by_step({**GOOD, "implementation_step[slug.py]": fenced(WRONG_SLUG), **tries})
    record = await coding_engine(tmp_path, model, max_repairs=2).go()
    assert record.status is WorkflowStatus.Failure
    assert "still fail after 2 repairs" in str(record.error)
    assert [s for s in asked_steps(model) if "repair" in s] == [
        "testing_step.repair[1]",
        "testing_step.repair[2]",
    ]
    assert (tmp_path / "slug.py").read_text() == "def slugify(text):\n    return 'try 2'\n"


async def test_a_wish_to_end_is_seen_between_two_heartbeats(tmp_path: Path) -> None:
    class Cancelling(ScriptedLLM):
        """Another process asks for the run's end while the first reply is under way; the reply waits for that to be seen."""

        async def request(self, *args: Any, **kwargs: Any) -> Reply:
            await engine.journal.request_cancel(engine.run_id)
            await asyncio.wait_for(engine.stop.wait(), 60)
            return await super().request(*args, **kwargs)

    model = Cancelling([str(GOOD["requirement_step"])])
    engine = coding_engine(tmp_path, model)
    engine.heartbeat = 3600
    record = await engine.go()
    assert record.status is WorkflowStatus.Cancelled
    assert asked_steps(model) == ["requirement_step"]
    assert [e.state for e in await engine.entries() if e.kind == "model"] == [EntryState.DONE]


async def test_no_repair_allowed(tmp_path: Path) -> None:
    model = by_step({**GOOD, "implementation_step[slug.py]": fenced(WRONG_SLUG)})
    record = await coding_engine(tmp_path, model, max_repairs=0).go()
    assert "still fail after no repair" in str(record.error)
    assert not [s for s in asked_steps(model) if "repair" in s]


async def test_an_edit_that_fails_is_answered_with_the_nearest_region(tmp_path: Path) -> None:
    edit = "slug.py\n<<<<<<< SEARCH\n    return text.lowered()\n=======\n    return 1\n>>>>>>> REPLACE\n"
    wrong: Any = {
        **GOOD,
        "implementation_step[slug.py]": fenced(WRONG_SLUG),
        "testing_step.repair[1]": [edit, fenced(SLUG)],
    }
    model = by_step(wrong)
    record = await coding_engine(tmp_path, model).go()
    assert record.status is WorkflowStatus.Success
    second = next(
        a for a in model.requests if a.tags.step == "testing_step.repair[1]" and len(a.messages) == 3
    )
    assert second.messages[1].content == edit
    assert "return text.lower()" in second.text
    assert (tmp_path / "slug.py").read_text() == SLUG


async def test_given_tests_are_neither_written_nor_targets(tmp_path: Path) -> None:
    (tmp_path / "test_slug.py").write_text(SLUG_TEST)
    design = (
        '{"files": [{"path": "slug.py"}, {"path": "test_slug.py"}], "tests": [{"path": "test_other.py"}]}'
    )
    model = by_step({**GOOD, "design_step": design})
    engine = coding_engine(tmp_path, model, tests=("test_slug.py",))
    assert (await engine.go()).status is WorkflowStatus.Success
    assert sorted(p.name for p in tmp_path.iterdir()) == ["slug.py", "test_slug.py"]
    assert engine.statuses("test_generation_step")[-1] == "skipped"
    assert "test_generation_step[test_slug.py]" not in asked_steps(model)


async def test_files_bound_what_may_be_written(tmp_path: Path) -> None:
    elsewhere = '{"files": [{"path": "other.py"}], "tests": []}'
    (tmp_path / "test_slug.py").write_text(SLUG_TEST)
    model = by_step({**GOOD, "design_step": elsewhere})
    engine = coding_engine(tmp_path, model, files=("slug.py",), tests=("test_slug.py",))
    assert (await engine.go()).status is WorkflowStatus.Success
    assert not (tmp_path / "other.py").exists()
    assert (tmp_path / "slug.py").read_text() == SLUG


@pytest.mark.parametrize("path", ["../slug.py", "/tmp/slug.py", ".git/hooks/x.py", "a\\b.py"])
async def test_a_design_cannot_leave_the_workspace(tmp_path: Path, path: str) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    text = '{"files": [{"path": "' + path.replace("\\", "\\\\") + '"}], "tests": []}'
    model = by_step({**GOOD, "design_step": [text, str(GOOD["design_step"])]})
    assert (await coding_engine(inside, model).go()).status is WorkflowStatus.Success
    corrected = [a for a in model.requests if a.tags.step == "design_step"]
    assert len(corrected) == 2
    assert "is not a usable file name" in corrected[1].text
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["in", "slug.py", "test_slug.py"]


async def test_nobody_there_waits_and_an_answer_is_good_only_once(tmp_path: Path) -> None:
    asking: Any = {
        **GOOD,
        "requirement_step": '{"acceptance_criteria": ["C."], "open_questions": ["Which?"]}',
    }
    model = by_step(asking)
    engine = coding_engine(tmp_path, model, assume_yes=False)
    assert (await engine.go()).status is WorkflowStatus.Waiting
    assert (await engine.go()).status is WorkflowStatus.Waiting
    assert asked_steps(model) == ["requirement_step"]
    questions: list[Question] = []

    async def answer(question: Question) -> Answer:
        questions.append(question)
        return Answer("answer", "The first.")

    engine.ask_person = answer
    assert (await engine.go()).status is WorkflowStatus.Success
    assert questions[0].detail["open_questions"] == ["Which?"]
    assert asked_steps(model).count("requirement_step") == 1
    design = next(a.text for a in model.requests if a.tags.step == "design_step")
    assert "The first." in design
    assert engine.statuses("requirement_step").count("waiting") >= 1


async def test_nobody_there_and_nothing_open_goes_on(tmp_path: Path) -> None:
    engine = coding_engine(tmp_path, by_step(GOOD), assume_yes=False)
    assert (await engine.go()).status is WorkflowStatus.Success


async def test_a_finished_run_replayed_asks_nothing_and_writes_nothing(tmp_path: Path) -> None:
    model = by_step(GOOD)
    engine = coding_engine(tmp_path, model)
    await engine.go()
    (tmp_path / "slug.py").write_text("# changed by a person\n")
    record = await engine.go()
    assert record.status is WorkflowStatus.Success
    assert len(model.requests) == 5
    assert (tmp_path / "slug.py").read_text() == "# changed by a person\n"


async def test_a_file_changed_by_a_person_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    def reply(asked: Any) -> Any:
        if asked.tags.step == "testing_step.repair[1]":
            (tmp_path / "slug.py").write_text("# mine\n")
            return fenced(SLUG)
        if asked.tags.step == "implementation_step[slug.py]":
            return fenced(WRONG_SLUG)
        return GOOD[asked.tags.step]

    model = by_step(GOOD)
    model.responses = reply
    record = await coding_engine(tmp_path, model).go()
    assert record.status is WorkflowStatus.Failure
    assert "slug.py was changed by someone else" in str(record.error)
    assert (tmp_path / "slug.py").read_text() == "# mine\n"


def planned(*pairs: tuple[str, list[str]]) -> list[PlannedFile]:
    return [PlannedFile(path=path, depends_on=needs) for path, needs in pairs]


@pytest.mark.parametrize(
    ("files", "groups"),
    [
        (planned(("a", []), ("b", [])), [["a", "b"]]),
        (planned(("a", ["b"]), ("b", []), ("c", ["a"])), [["b"], ["a"], ["c"]]),
        (planned(("a", ["b"]), ("b", ["a"]), ("c", [])), [["c"], ["a", "b"]]),
        (planned(("a", ["a", "unknown"])), [["a"]]),
    ],
)
def test_waves(files: list[PlannedFile], groups: list[list[str]]) -> None:
    assert [[f.path for f in group] for group in waves(files)] == groups
