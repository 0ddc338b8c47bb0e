"""Recorded sessions played through the same path as a live model: for the demo, for docs, for trying things out."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from windlass.errors import ModelRefused, UnknownModel
from windlass.llm.base import BaseLLMIntegration, CallTags, Message, OnText, Price, Reply, Usage

#: Shown with everything a scripted session produces.
LABEL = "scripted example, not a live model"

#: Seconds between two words when someone watches.
_PER_WORD = 0.01


@dataclass(frozen=True)
class ScriptedReply:
    """One reply of a session, found by ``digest`` of the messages, or by ``step`` path and ``call``.

    ``call`` counts from 0 the different requests of one step path. ``delay`` is seconds before the first word.
    """

    text: str
    step: str | None = None
    digest: str | None = None
    call: int | None = None
    usage: Usage = field(default_factory=Usage)
    delay: float = 0.0


@dataclass(frozen=True)
class Session:
    """A title and its replies."""

    title: str
    replies: Sequence[ScriptedReply]
    seconds_per_word: float = _PER_WORD


class ScriptedModel(BaseLLMIntegration):
    """Plays a session. A request that the session does not hold is refused; no text is ever made up.

    Which call of a step a request is, its tags say; where they don't, requests are counted in the order they come,
    and the same messages from the same step count as the same call.
    """

    label = LABEL
    price = Price("free")

    def __init__(self, session: Session, name: str = "scripted") -> None:
        self.session = session
        self.model_name = f"scripted:{name}"
        self._by_digest = {reply.digest: reply for reply in session.replies if reply.digest}
        self._by_call = _number_calls(session.replies)
        self._seen: dict[tuple[str, str, str], int] = {}
        self._calls: Counter[tuple[str, str]] = Counter()

    @classmethod
    def load(cls, name: str) -> ScriptedModel:
        """A bundled session by name (``demo``), else the session in the file ``name``. Raises UnknownModel."""
        return cls(load_session(name), name)

    async def request(
        self, messages: Sequence[Message], *, tags: CallTags | None = None, on_text: OnText | None = None
    ) -> Reply:
        """The recorded reply; word by word when someone listens. Raises ModelRefused for a request it does not know."""
        tags = tags or CallTags()
        scripted = self._find(tags, message_digest(messages))
        if on_text is not None:
            await asyncio.sleep(scripted.delay)
            for word in re.findall(r"\s*\S+\s*$|\s*\S+|\s+", scripted.text):
                on_text(word)
                await asyncio.sleep(self.session.seconds_per_word)
        return Reply(
            scripted.text,
            self.model_name,
            scripted.usage,
            self.price.cost(scripted.usage),
            detail={"label": self.label, "session": self.session.title},
        )

    def _find(self, tags: CallTags, digest: str) -> ScriptedReply:
        if digest in self._by_digest:
            return self._by_digest[digest]
        call = self._count(tags, digest) if tags.call is None else tags.call
        scripted = self._by_call.get((tags.step, call))
        if scripted is None:
            raise ModelRefused(
                f"The scripted session {self.session.title!r} has no reply for call {call} of step "
                f"{tags.step or '(none)'} (digest {digest}); a scripted session only plays what was recorded, set a "
                "live model for anything else."
            )
        return scripted

    def _count(self, tags: CallTags, digest: str) -> int:
        key = (tags.run_id, tags.step, digest)
        if key not in self._seen:
            counter = (tags.run_id, tags.step)
            self._seen[key] = self._calls[counter]
            self._calls[counter] += 1
        return self._seen[key]


def load_session(name: str) -> Session:
    """A bundled session by name, else the session in that file. Raises UnknownModel when there is none, or it is bad."""
    bundled = resources.files("windlass") / "sessions" / f"{name}.json"
    try:
        source = bundled if "/" not in name and bundled.is_file() else Path(name)
        data = json.loads(source.read_text(encoding="utf-8"))
        return _session(data)
    except FileNotFoundError:
        known = ", ".join(bundled_sessions()) or "none"
        raise UnknownModel(
            f"There is no scripted session {name!r}: neither a file nor a bundled session ({known})."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnknownModel(f"The scripted session {name!r} cannot be read: {error!r}.") from error


def bundled_sessions() -> list[str]:
    """The names that ``scripted:NAME`` knows without a file."""
    folder = resources.files("windlass") / "sessions"
    if not folder.is_dir():
        return []
    return sorted(
        entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")
    )


def message_digest(messages: Sequence[Message]) -> str:
    """Identifies a conversation: SHA-256 over its roles and contents, hexadecimal."""
    plain = json.dumps([[message.role, message.content] for message in messages], ensure_ascii=True)
    return hashlib.sha256(plain.encode()).hexdigest()


def _session(data: Any) -> Session:
    if not isinstance(data, dict):
        raise ValueError("a session is a JSON object")
    label = data.get("label", LABEL)
    if label != LABEL:
        raise ValueError(f"label must be {LABEL!r}")
    return Session(
        title=str(data["title"]),
        replies=[_reply(entry) for entry in data["replies"]],
        seconds_per_word=float(data.get("seconds_per_word", _PER_WORD)),
    )


def _reply(entry: Mapping[str, Any]) -> ScriptedReply:
    if not entry.get("step") and not entry.get("digest"):
        raise ValueError("every reply needs a step or a digest")
    return ScriptedReply(
        text=str(entry["text"]),
        step=entry.get("step"),
        digest=entry.get("digest"),
        call=entry.get("call"),
        usage=Usage(**entry.get("usage", {})),
        delay=float(entry.get("delay", 0)),
    )


def _number_calls(replies: Sequence[ScriptedReply]) -> dict[tuple[str, int], ScriptedReply]:
    """Replies by step and call; those of one step without a number take the next in the order of the file."""
    by_call: dict[tuple[str, int], ScriptedReply] = {}
    following: Counter[str] = Counter()
    for reply in replies:
        if reply.step is None:
            continue
        call = following[reply.step] if reply.call is None else reply.call
        following[reply.step] = call + 1
        by_call[reply.step, call] = reply
    return by_call
