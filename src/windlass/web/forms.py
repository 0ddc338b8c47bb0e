"""The workflows as forms: what each can be given, and what the page calls it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from windlass.workflows import WORKFLOWS


@dataclass(frozen=True)
class Field:
    """One thing that a workflow can be given. ``type`` is ``text``, ``number``, ``files``, ``bool`` or ``choice``;
    those of type ``list`` and ``object`` are for programs and on no form."""

    name: str
    type: str
    label: str
    default: Any = None
    choices: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Form:
    """A workflow as a page shows it. ``prompt`` is the option that holds the person's text; ``new_folder`` says
    whether a run without a workspace gets a folder of its own, else it works in the server's root."""

    title: str
    prompt: str
    label: str
    fields: tuple[Field, ...]
    new_folder: bool = False

    @property
    def shown(self) -> tuple[Field, ...]:
        """The fields for a form."""
        return tuple(field for field in self.fields if field.type not in ("list", "object"))


COMMON = (
    Field("model", "text", "Model"),
    Field("fast_model", "text", "Model for summaries"),
    Field("budget", "number", "Budget (USD)"),
    Field("allow_unknown_price", "bool", "Call models whose price is unknown", False),
    Field("approve_writes", "bool", "Show me the diff before files are written", False),
    Field("yes", "bool", "Go on without asking me", False),
)
_TEST_COMMAND = Field("test_command", "text", "Run tests with this instead of pytest")
_REPAIRS = Field("max_repairs", "number", "Repairs before giving up", 3)
_REFERENCES = Field("references", "files", "Files to read only", [])
_TO = Field("to", "text", "File to write")
_DOCUMENT = (
    Field("best_of", "number", "Answers to choose from", 1),
    Field("loops", "number", "Rounds of improvement", 0),
    Field("criteria", "text", "What a good answer is"),
    *COMMON,
    Field("context", "list", "Earlier runs to go on from"),
    Field("tags", "object", "Tags, as clients of the original send them"),
)
FORMS: Mapping[str, Form] = {
    "coding": Form(
        "Coding",
        "requirement",
        "What should be built?",
        (
            Field("files", "files", "Files to work on", []),
            Field("tests", "files", "Given tests (read-only)", []),
            _REPAIRS,
            _TEST_COMMAND,
            *COMMON,
        ),
        new_folder=True,
    ),
    "chat": Form(
        "Chat", "message", "Message", (Field("files", "files", "Files to go by", []), _REFERENCES, *_DOCUMENT)
    ),
    "write": Form(
        "Write files",
        "message",
        "What should be written?",
        (Field("files", "files", "Files to go by", []), _TO, _REFERENCES, *_DOCUMENT),
    ),
    "write-pages": Form(
        "Write pages",
        "message",
        "What should the document be about?",
        (
            Field("pages", "number", "Pages", 5),
            _TO,
            Field("files", "files", "Files to go by", []),
            _REFERENCES,
            *_DOCUMENT,
        ),
    ),
    "write-tests": Form(
        "Write tests",
        "message",
        "What should be tested?",
        (Field("files", "files", "Files to test", []), _TO, _REPAIRS, _TEST_COMMAND, _REFERENCES, *_DOCUMENT),
    ),
    "auto": Form(
        "For each file",
        "message",
        "What should be done to each file?",
        (Field("files", "files", "Files to work on", []), _REFERENCES, *_DOCUMENT),
    ),
}


def forms() -> dict[str, Form]:
    """The workflows that this Windlass can start."""
    return {name: FORMS[name] for name in WORKFLOWS if name in FORMS}
