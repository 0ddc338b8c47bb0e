"""A conversation: what is sent along, what an interruption leaves, what a budget stops."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.workflows.documents import Answer, first, model_of
from windlass.app import App
from windlass.cli.conversation import Conversation, Cost
from windlass.errors import InputError, ModelRefused, TruncatedReply
from windlass.events import WorkflowStatus
from windlass.ids import generate_id
from windlass.llm.base import Message, Price, Reply
from windlass.settings import load_settings
from windlass.testing.llm import ScriptedLLM

ANSWERED = WorkflowStatus.Success


@pytest.fixture
async def app() -> AsyncIterator[App]:
    app = App(load_settings())
    yield app
    await app.close()


def talk_with(app: App, model: ScriptedLLM, folder: Path, **options: str) -> Conversation:
    app.integrations = dict.fromkeys(("main", "fast", "judge"), model)
    return Conversation(app, str(folder), generate_id(), {"yes": True, **options})


async def test_each_message_brings_what_was_said(app: App, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("THE NOTES\n")
    model = model_of(chat=["One.", "Two.", "Three."])
    talk = talk_with(app, model, tmp_path)
    heard: list[str] = []
    assert await talk.ask("First?", heard.append, heard.append) is ANSWERED
    assert "".join(heard) == "One."
    assert talk.add_files("*.md") == ["notes.md"]
    assert await talk.ask("Second?", heard.append, heard.append) is ANSWERED
    sent = first(model.requests[1])
    assert sent.index("THE NOTES") < sent.index("First?") < sent.index("One.") < sent.index("Second?")
    assert await talk.undo() == "Second?"
    talk.drop_file("notes.md")
    assert await talk.ask("Third?", heard.append, heard.append) is ANSWERED
    assert "Second?" not in first(model.requests[2]) and "THE NOTES" not in first(model.requests[2])
    # What was undone was paid too.
    assert (await talk.cost()).tokens == 90
    with pytest.raises(InputError, match="files: none"):
        talk.drop_file("notes.md")


async def test_a_message_without_an_answer_can_be_asked_again(app: App, tmp_path: Path) -> None:
    model = model_of(chat=[ModelRefused("The key is wrong."), "At last."])
    talk = talk_with(app, model, tmp_path)
    said: list[str] = []
    assert await talk.ask("Hello?", said.append, said.append) is not ANSWERED
    assert "The key is wrong." in said and talk.turns == [] and talk.unanswered
    again = talk_with(app, model, tmp_path)
    await again.recall("last")
    assert again.unanswered == talk.unanswered and again.id == talk.id
    assert await again.go_on(said.append, said.append) is ANSWERED
    assert [turn.answer for turn in again.turns] == ["At last."] and again.unanswered is None
    assert len(await app.journal.list_runs()) == 1


#: Twenty tokens out, as the doubled model counts them, cost 0.05 USD, and no more can come.
PAID: dict[str, Any] = {"price": Price("fixed", Decimal(0), Decimal(2500)), "max_output_tokens": 20}


def paid(**given: Answer) -> ScriptedLLM:
    return ScriptedLLM(model_of(**given).responses, **PAID)


class Truncated(ScriptedLLM):
    """A model whose first reply breaks off, and is paid all the same."""

    async def request(self, messages: Sequence[Message], **given: Any) -> Reply:
        try:
            return await super().request(messages, **given)
        except TruncatedReply as error:
            raise TruncatedReply(str(error), at_limit=True, usage=self.usage) from None


class Stuck(ScriptedLLM):
    """A model that never answers."""

    async def request(self, messages: Sequence[Message], **given: Any) -> Reply:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_failure_that_was_paid_counts_once_also_when_it_is_retried(app: App, tmp_path: Path) -> None:
    model = Truncated(model_of(chat=[TruncatedReply("It broke off."), "At last.", "More."]).responses, **PAID)
    talk = talk_with(app, model, tmp_path, budget="0.10")
    assert await talk.ask("Hello?", print, print) is not ANSWERED
    assert await talk.cost() == Cost(known=Decimal("0.05"), tokens=30)
    assert await talk.go_on(print, print) is ANSWERED
    assert await talk.cost() == Cost(known=Decimal("0.10"), tokens=60)
    assert str(await talk.cost()) == "$0.1000"
    again = talk_with(app, model, tmp_path)
    await again.recall("last")
    assert await again.cost() == await talk.cost()


async def test_a_reply_that_was_cut_off_counts_at_its_worst_case(app: App, tmp_path: Path) -> None:
    talk = talk_with(app, Stuck([], **PAID), tmp_path, budget="100")
    said: list[str] = []
    assert await talk.ask("Hello?", print, said.append) is not ANSWERED
    assert "Stopped at once" in said[-1]
    cost = await talk.cost()
    assert cost == Cost(maybe=Decimal("0.05"))
    assert str(cost) == "$0.0000, up to $0.0500 more may have been paid"
    model = paid()
    again = talk_with(app, model, tmp_path, budget="0.05")
    await again.recall("last")
    assert again.unanswered == talk.unanswered
    with pytest.raises(InputError, match=r"used up .*may have been paid"):
        await again.go_on(print, print)
    with pytest.raises(InputError, match="used up"):
        await again.ask("Something else?", print, print)
    assert model.requests == []


async def test_a_retry_keeps_the_budget_of_the_conversation_not_of_the_run(app: App, tmp_path: Path) -> None:
    model = paid(chat=[ModelRefused("The key is wrong."), "At last."])
    assert await talk_with(app, model, tmp_path).ask("Hello?", print, print) is not ANSWERED
    again = talk_with(app, model, tmp_path, budget="0.01")
    await again.recall("last")
    said: list[str] = []
    assert await again.go_on(print, said.append) is not ANSWERED
    assert "of the budget of $0.0100" in said[-1]
    assert len(model.requests) == 1


async def test_a_conversation_keeps_its_budget_over_all_its_runs(app: App, tmp_path: Path) -> None:
    model = paid()
    talk = talk_with(app, model, tmp_path)
    for message in ("One?", "Two?", "Three?"):
        assert await talk.ask(message, print, print) is ANSWERED
    await talk.undo()
    again = talk_with(app, model, tmp_path, budget="0.15")
    await again.recall(talk.runs[1])
    # The third message is not among the turns, and was paid.
    assert [turn.message for turn in again.turns] == ["One?", "Two?"]
    assert (await again.cost()).known == Decimal("0.15")
    with pytest.raises(InputError, match=r"used up \(\$0\.1500\)"):
        await again.ask("Four?", print, print)


async def test_a_budget_that_cannot_be_kept_is_refused_unless_the_person_says_so(
    app: App, tmp_path: Path
) -> None:
    model = model_of()
    model.price = Price("unknown")
    talk = talk_with(app, model, tmp_path)
    assert await talk.ask("One?", print, print) is ANSWERED
    assert str(await talk.cost()) == "cost unknown"
    talk.options["budget"] = "1"
    with pytest.raises(InputError, match="not known"):
        await talk.ask("Two?", print, print)
    talk.options["allow_unknown_price"] = True
    assert await talk.ask("Two?", print, print) is ANSWERED


async def test_what_was_taken_back_stays_so(app: App, tmp_path: Path) -> None:
    model = model_of(chat=["1", "2", "3", "4"])
    talk = talk_with(app, model, tmp_path)
    for message in ("One?", "Two?", "Three?"):
        assert await talk.ask(message, print, print) is ANSWERED
    assert [await talk.undo(), await talk.undo()] == ["Three?", "Two?"]
    again = talk_with(app, model, tmp_path)
    await again.recall("last")
    assert [turn.message for turn in again.turns] == ["One?"] and again.unanswered is None
    assert again.runs == talk.runs
    assert await again.ask("Four?", print, print) is ANSWERED
    assert "Two?" not in first(model.requests[-1]) and "One?" in first(model.requests[-1])
    assert [await again.undo(), await again.undo()] == ["Four?", "One?"]
    with pytest.raises(InputError, match="nothing to take back"):
        await again.undo()
    # Where a run is named, the conversation is as it was after that run.
    await again.recall(talk.runs[1])
    assert [turn.message for turn in again.turns] == ["One?", "Two?"]
    await again.recall("last")
    assert again.turns == []
    with pytest.raises(InputError, match="nothing to take back"):
        await talk_with(app, model, tmp_path).undo()


@pytest.mark.parametrize("left", [False, True])
async def test_undo_takes_back_a_message_without_an_answer(app: App, tmp_path: Path, left: bool) -> None:
    model = model_of(chat=["1", ModelRefused("The key is wrong.")])
    talk = talk_with(app, model, tmp_path)
    assert (
        await talk.ask("One?", print, print) is ANSWERED
        and await talk.ask("Two?", print, print) is not ANSWERED
    )
    if left:
        talk = talk_with(app, model, tmp_path)
        await talk.recall("last")
    assert await talk.undo() == "Two?"
    assert talk.unanswered is None and [turn.message for turn in talk.turns] == ["One?"]
    again = talk_with(app, model, tmp_path)
    await again.recall("last")
    assert again.unanswered is None and again.turns == talk.turns
    assert await again.undo() == "One?"


async def test_an_interrupted_message_that_is_taken_back_is_not_asked_by_resume_all(
    app: App, tmp_path: Path
) -> None:
    talk = talk_with(app, Stuck([]), tmp_path)
    assert await talk.ask("Hello?", print, print) is not ANSWERED
    assert [record.run_id for record in await app.interrupted()] == talk.runs
    assert await talk.undo() == "Hello?"
    assert await app.interrupted() == []


async def test_a_conversation_goes_on_in_another_folder_that_has_its_files(app: App, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, text in ((old, "OLD\n"), (new, "NEW\n")):
        folder.mkdir()
        (folder / "notes.md").write_text(text)
    model = model_of()
    talk = talk_with(app, model, old)
    talk.add_files("notes.md")
    assert await talk.ask("One?", print, print) is ANSWERED
    again = talk_with(app, model, tmp_path)
    await again.recall("last", str(new))
    assert await again.ask("Two?", print, print) is ANSWERED
    assert "NEW" in first(model.requests[-1]) and "OLD" not in first(model.requests[-1])
    with pytest.raises(InputError, match=r"sends notes\.md along, which"):
        await talk_with(app, model, tmp_path).recall("last", str(tmp_path))


async def test_two_files_of_one_name_are_both_sent_along(app: App, tmp_path: Path) -> None:
    for name in ("a", "b", "work"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(f"THE WORDS OF {name.upper()}\n")
    model = model_of()
    talk = talk_with(app, model, tmp_path / "work")
    named = [
        talk.add_files(str(path))
        for path in ("README.md", tmp_path / "a/README.md", tmp_path / "b/README.md")
    ]
    assert named == [["README.md"], ["a/README.md"], ["b/README.md"]]
    assert await talk.ask("One?", print, print) is ANSWERED
    assert all(f"THE WORDS OF {name}" in first(model.requests[0]) for name in ("WORK", "A", "B"))


async def test_only_a_chat_can_be_taken_up(app: App, tmp_path: Path) -> None:
    talk = talk_with(app, model_of(), tmp_path)
    with pytest.raises(InputError, match="no earlier chat"):
        await talk.recall("last")
    record = await app.create_run("write", "x", str(tmp_path), {"message": "x"})
    with pytest.raises(InputError, match="is no chat"):
        await talk.recall(record.run_id)
