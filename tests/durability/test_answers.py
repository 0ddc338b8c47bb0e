"""What is no answer to a question is refused before anything is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.faults import answer, settings

from tests.acceptance.cli import Cli
from windlass.app import App
from windlass.errors import InputError
from windlass.events import WorkflowStatus
from windlass.people import Answer, Question, check_answer
from windlass.testing.server import OpenAIServer


@pytest.mark.parametrize("kind", ["writes", "repeat"])
@pytest.mark.parametrize("action", ["edit", "answer", "maybe"])
def test_what_can_be_said_to_which_question(kind: str, action: str) -> None:
    for word in ("approve", "reject"):
        check_answer(kind, "Really?", Answer(word))
        check_answer("requirement", "Is this it?", Answer(word))
    with pytest.raises(
        InputError, match=rf"'Really\?' is answered with approve or reject, not with '{action}'"
    ):
        check_answer(kind, "Really?", Answer(action, "text"))


@pytest.mark.parametrize("action", ["edit", "answer"])
def test_words_are_needed_where_the_answer_is_words(action: str) -> None:
    check_answer("requirement", "Is this it?", Answer(action, "text"))
    with pytest.raises(InputError, match=f"'{action}' needs a text"):
        check_answer("requirement", "Is this it?", Answer(action, " \n"))


async def test_a_wrong_answer_leaves_the_question_open(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    with OpenAIServer(answer) as server:
        app = App(settings(tmp_path / "home", server.base_url))
        options = {"requirement": "A slug", "yes": True, "approve": ["writes"]}
        record = await app.create_run("coding", "slug", str(work), options)
        assert (await app.execute(record.run_id)).status is WorkflowStatus.Waiting
        before = await app.journal.entries(record.run_id)
        with pytest.raises(InputError, match="approve or reject, not with 'edit'"):
            await app.answer(record.run_id, Answer("edit", "Something else"))
        assert await app.journal.entries(record.run_id) == before

        async def say_nonsense(question: Question) -> Answer:
            return Answer("answer", "yes")

        # A program that answers gets the same, and can answer anew.
        failed = await app.execute(record.run_id, ask_person=say_nonsense)
        assert "approve or reject, not with 'answer'" in (failed.error or "")

        async def approve(question: Question) -> Answer:
            return Answer("approve")

        assert (await app.execute(record.run_id, ask_person=approve)).status is WorkflowStatus.Success
        await app.close()


def test_the_command_refuses_and_the_run_still_waits(windlass_home: Path, tmp_path: Path) -> None:
    with OpenAIServer(answer) as server:
        cli = Cli(windlass_home, tmp_path, server.base_url)
        (tmp_path / "w").mkdir()
        coding = (
            "run",
            "coding",
            "A slug",
            "--workspace",
            "w",
            "--yes",
            "--allow-unknown-price",
            "--approve",
            "writes",
        )
        assert cli(*coding).code == 3
        for later in ((), ("--later",)):
            done = cli("answer", "last", "edit", "Something else", *later)
            assert (done.code, done.err.count("\n")) == (2, 1), done
            assert "'Write these changes?' is answered with approve or reject, not with 'edit'." in done.err
        # Taken: it goes on, to the question for the next file.
        done = cli("answer", "last", "approve")
        assert (done.code, done.out.count("question: Write these changes?")) == (3, 1), done
