"""A conversation: what is sent along, what an interruption leaves, what a budget stops."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.workflows.documents import first, model_of
from windlass.app import App
from windlass.cli.conversation import Conversation
from windlass.errors import InputError, ModelRefused
from windlass.settings import load_settings
from windlass.testing.llm import ScriptedLLM


@pytest.fixture
async def app() -> AsyncIterator[App]:
    app = App(load_settings())
    yield app
    await app.close()


def talk_with(app: App, model: ScriptedLLM, folder: Path, **options: str) -> Conversation:
    app.integrations = dict.fromkeys(("main", "fast", "judge"), model)
    return Conversation(app, str(folder), "talk-1", {"yes": True, **options})


async def test_each_message_brings_what_was_said(app: App, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("THE NOTES\n")
    model = model_of(chat=["One.", "Two.", "Three."])
    talk = talk_with(app, model, tmp_path)
    heard: list[str] = []
    assert await talk.ask("First?", heard.append, heard.append)
    assert "".join(heard) == "One."
    assert talk.add_files("*.md") == ["notes.md"]
    assert await talk.ask("Second?", heard.append, heard.append)
    sent = first(model.requests[1])
    assert sent.index("THE NOTES") < sent.index("First?") < sent.index("One.") < sent.index("Second?")
    assert talk.undo().answer == "Two."
    talk.drop_file("notes.md")
    assert await talk.ask("Third?", heard.append, heard.append)
    assert "Second?" not in first(model.requests[2]) and "THE NOTES" not in first(model.requests[2])
    assert talk.tokens == 90
    with pytest.raises(InputError, match="files: none"):
        talk.drop_file("notes.md")


async def test_a_message_without_an_answer_can_be_asked_again(app: App, tmp_path: Path) -> None:
    model = model_of(chat=[ModelRefused("The key is wrong."), "At last."])
    talk = talk_with(app, model, tmp_path)
    said: list[str] = []
    assert not await talk.ask("Hello?", said.append, said.append)
    assert "The key is wrong." in said and talk.turns == [] and talk.unanswered
    again = talk_with(app, model, tmp_path)
    await again.recall("last")
    assert again.unanswered == talk.unanswered and again.id == "talk-1"
    assert await again.go_on(said.append, said.append)
    assert [turn.answer for turn in again.turns] == ["At last."] and again.unanswered is None
    assert len(await app.journal.list_runs()) == 1


async def test_a_conversation_keeps_its_budget(app: App, tmp_path: Path) -> None:
    talk = talk_with(app, model_of(), tmp_path, budget="0.10")
    talk.spent = None
    with pytest.raises(InputError, match="not known"):
        await talk.ask("x", print, print)
    from decimal import Decimal

    talk.spent = Decimal("0.10")
    with pytest.raises(InputError, match="used up"):
        await talk.ask("x", print, print)


async def test_only_a_chat_can_be_taken_up(app: App, tmp_path: Path) -> None:
    talk = talk_with(app, model_of(), tmp_path)
    with pytest.raises(InputError, match="no earlier chat"):
        await talk.recall("last")
    record = await app.create_run("write", "x", str(tmp_path), {"message": "x"})
    with pytest.raises(InputError, match="is no chat"):
        await talk.recall(record.run_id)
