"""Scripted sessions: only what was recorded, always labelled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from windlass.errors import ModelRefused, UnknownModel
from windlass.llm import CallTags, Message, Usage
from windlass.llm.catalog import build_registry
from windlass.llm.scripted import LABEL, ScriptedModel, message_digest

ASK = [Message("user", "one")]
OTHER = [Message("user", "two")]


def session(tmp_path: Path, *replies: dict[str, Any], **more: Any) -> ScriptedModel:
    path = tmp_path / "session.json"
    data = {"title": "a test", "label": LABEL, "seconds_per_word": 0, "replies": list(replies), **more}
    path.write_text(json.dumps(data), encoding="utf-8")
    return ScriptedModel.load(str(path))


async def test_replies_are_found_by_step_in_the_order_of_the_file(tmp_path: Path) -> None:
    model = session(
        tmp_path, {"step": "a", "text": "1"}, {"step": "b", "text": "x"}, {"step": "a", "text": "2"}
    )
    tags = CallTags("run", "a")
    assert [(await model.request(m, tags=tags)).text for m in (ASK, OTHER)] == ["1", "2"]
    assert (await model.request(ASK, tags=CallTags("run", "b"))).text == "x"


async def test_the_same_request_again_gets_the_same_reply(tmp_path: Path) -> None:
    model = session(tmp_path, {"step": "a", "text": "1"}, {"step": "a", "text": "2"})
    tags = CallTags("run", "a")
    assert [(await model.request(m, tags=tags)).text for m in (ASK, ASK, OTHER, ASK)] == ["1", "1", "2", "1"]
    assert (await model.request(OTHER, tags=CallTags("another run", "a"))).text == "1"


async def test_the_call_that_the_tags_name_is_played_after_a_restart(tmp_path: Path) -> None:
    model = session(tmp_path, {"step": "a", "text": "1"}, {"step": "a", "text": "2"})
    assert (await model.request(OTHER, tags=CallTags("run", "a", call=1))).text == "2"


async def test_a_reply_may_be_keyed_by_the_messages(tmp_path: Path) -> None:
    model = session(
        tmp_path, {"digest": message_digest(ASK), "text": "by digest"}, {"step": "a", "text": "by step"}
    )
    assert (await model.request(ASK, tags=CallTags("run", "a"))).text == "by digest"
    assert (await model.request(OTHER, tags=CallTags("run", "a"))).text == "by step"


async def test_what_was_not_recorded_is_refused_by_name(tmp_path: Path) -> None:
    model = session(tmp_path, {"step": "a", "text": "1"})
    with pytest.raises(ModelRefused, match="call 0 of step b"):
        await model.request(ASK, tags=CallTags("run", "b"))
    await model.request(ASK, tags=CallTags("run", "a"))
    with pytest.raises(ModelRefused, match="call 1 of step a"):
        await model.request(OTHER, tags=CallTags("run", "a"))


@pytest.mark.parametrize("text", ["two words", " lead\n\n  indented\n", "", "one", "tab\tend \n \n"])
async def test_streaming_loses_no_character(tmp_path: Path, text: str) -> None:
    model, pieces = session(tmp_path, {"step": "a", "text": text}), []
    reply = await model.request(ASK, tags=CallTags("run", "a"), on_text=pieces.append)
    assert "".join(pieces) == reply.text == text


async def test_everything_is_labelled_and_free(tmp_path: Path) -> None:
    model = session(tmp_path, {"step": "a", "text": "1", "usage": {"input_tokens": 3, "output_tokens": 4}})
    reply = await model.request(ASK, tags=CallTags("run", "a"))
    assert model.label == reply.detail["label"] == "scripted example, not a live model"
    assert (reply.usage, reply.cost_usd) == (Usage(3, 4), 0)


def test_a_registry_loads_a_session_file(tmp_path: Path) -> None:
    session(tmp_path, {"step": "a", "text": "1"})
    name = f"scripted:{tmp_path / 'session.json'}"
    assert build_registry({"main": name}, {}, env={}).get("main").label == LABEL


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"title": "t"}', "replies"),
        ('{"title": "t", "replies": [{"text": "x"}]}', "step or a digest"),
        ('{"title": "t", "label": "a real model", "replies": []}', "label"),
    ],
)
def test_a_bad_session_is_one_sentence(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UnknownModel, match=says):
        ScriptedModel.load(str(path))


def test_a_missing_session_says_where_it_was_looked_for() -> None:
    with pytest.raises(UnknownModel, match="neither a file nor a bundled session"):
        ScriptedModel.load("no-such-session")


def test_a_folder_is_no_session(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="cannot be read"):
        ScriptedModel.load(str(tmp_path))
