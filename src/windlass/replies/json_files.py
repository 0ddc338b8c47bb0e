"""Files sent as JSON: a list, a mapping, the calls of a tool."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from windlass.replies.bodies import body_text
from windlass.replies.kinds import refusal
from windlass.replies.operations import Delete, Operation, Substitute, Whole
from windlass.replies.pathlike import looks_like_path

_PATH_KEYS = (
    "path",
    "file_path",
    "filepath",
    "filePath",
    "file",
    "filename",
    "fileName",
    "file_name",
    "target_file",
)
_TEXT_KEYS = (
    "content",
    "contents",
    "file_text",
    "text",
    "code",
    "body",
    "new_content",
    "source",
    "file_content",
)
_OLD_KEYS = ("search", "old_string", "old_str", "old_text", "oldText", "old", "find", "original")
_NEW_KEYS = ("replace", "new_string", "new_str", "new_text", "newText", "new", "replacement", "updated")
_LISTS = (
    "files",
    "edits",
    "changes",
    "operations",
    "tool_calls",
    "actions",
    "documents",
    "results",
    "result",
    "response",
)
_CALLS = (
    "arguments",
    "input",
    "parameters",
    "args",
    "function",
    "params",
    "functionCall",
    "function_call",
    "tool_call",
)
_ENVELOPE_WORDS = re.compile(
    r'["\'](?:files|path|file_?path|filePath|file_?name|content|contents|file_text|arguments|edits)["\']\s*:'
)
_DEEPEST = 8


class _Pairs(dict[str, Any]):
    """A JSON object that remembers that a key came twice with different values."""

    doubled: str | None = None


def _pairs(items: list[tuple[str, Any]]) -> _Pairs:
    result = _Pairs()
    for key, value in items:
        if key in result and result[key] != value:
            result.doubled = key
        result[key] = value
    return result


# Numbers stay text: converting a huge one would take quadratic time.
class _Number(str):
    """A number as it was written."""


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_Number, parse_float=_Number, strict=False)
_BEHIND = re.compile(r"[ \t\r\n,]*")


@dataclass(frozen=True)
class Decoded:
    """What JSON a text holds: the values, where they start and end, and whether reading stopped early."""

    values: list[Any]
    start: int
    end: int
    failed: bool = False
    at_end: bool = False


def decode_json(text: str) -> Decoded | None:
    """The JSON values at the first line that starts one; None where no line does."""
    found = re.search(r"^[ \t]*[{\[]", text, re.MULTILINE)
    if found is None:
        return None
    start = position = found.end() - 1
    values: list[Any] = []
    while position < len(text) and text[position] in "{[":
        try:
            value, end = _DECODER.raw_decode(text, position)
        except json.JSONDecodeError as error:
            if values:
                return Decoded(values, start, position, failed=True)
            return Decoded(
                [],
                start,
                position,
                failed=True,
                at_end=error.pos >= len(text.rstrip()) or "Unterminated" in error.msg,
            )
        except (RecursionError, ValueError):
            return Decoded([], start, position, failed=True)
        values.append(value)
        behind = _BEHIND.match(text, end)
        position = behind.end() if behind else end
    return Decoded(values, start, position)


def looks_like_envelope(text: str) -> bool:
    return bool(_ENVELOPE_WORDS.search(text))


def operations_of(value: Any, names: Collection[str], depth: int = 0) -> list[Operation] | None:
    """The files a JSON value describes; None where it is no envelope, but data.

    Raises ReplyError (bad_json) for an envelope with contents that are not text.
    """
    if depth > _DEEPEST:
        return None
    if isinstance(value, list):
        return _of_list(value, names, depth)
    if not isinstance(value, _Pairs):
        return None
    for key in _CALLS:
        if key in value and not any(name in value for name in _PATH_KEYS[:4]):
            inner = value[key]
            if isinstance(inner, str) and inner.lstrip()[:1] in ("{", "["):
                decoded = decode_json(inner)
                if decoded is None or decoded.failed or len(decoded.values) != 1:
                    raise refusal("bad_json", "The arguments of the call are not valid JSON.")
                inner = decoded.values[0]
            found = operations_of(inner, names, depth + 1)
            if found is not None:
                return found
    path = _first_text(value, _PATH_KEYS, names)
    if path is not None:
        found = _of_entry(value, path, names, depth)
        if found is not None:
            return found
    for key in _LISTS:
        if isinstance(value.get(key), (list, dict)):
            found = operations_of(value[key], names, depth + 1)
            if found is not None:
                return [*found, *_further(value, key, names, depth)]
    return _of_mapping(value, names)


def _further(value: _Pairs, taken: str, names: Collection[str], depth: int) -> list[Operation]:
    """The files in the other lists of an object (``{"files": […], "tests": […]}``)."""
    gathered: list[Operation] = []
    for key, entry in value.items():
        if key != taken and isinstance(entry, list):
            gathered.extend(operations_of(entry, names, depth + 1) or ())
    return gathered


def _first_text(value: _Pairs, keys: tuple[str, ...], names: Collection[str]) -> str | None:
    for key in keys:
        if isinstance(value.get(key), str):
            return str(value[key])
    if isinstance(value.get("name"), str) and looks_like_path(value["name"], names):
        return str(value["name"])
    return None


def _of_list(value: list[Any], names: Collection[str], depth: int) -> list[Operation] | None:
    if not value:
        return None
    gathered: list[Operation] = []
    for entry in value:
        found = operations_of(entry, names, depth + 1)
        if found is None:
            if gathered:
                raise refusal(
                    "bad_json", "An entry of the JSON list holds no file: expected path and content."
                )
            return None
        gathered.extend(found)
    return gathered


def _of_entry(value: _Pairs, path: str, names: Collection[str], depth: int) -> list[Operation] | None:
    if value.doubled is not None:
        raise refusal(
            "conflict", f"The JSON object for {path!r} has the key {value.doubled!r} twice.", path=path
        )
    if isinstance(value.get("edits"), list):
        gathered: list[Operation] = []
        for entry in value["edits"]:
            old, new = _old_new(entry)
            if old is None or new is None:
                raise refusal(
                    "bad_json", f"An edit of {path!r} needs two texts, search and replace.", path=path
                )
            gathered.append(Substitute(path, old, new))
        return gathered
    old, new = _old_new(value)
    if old is not None and new is not None:
        return [Substitute(path, old, new)]
    action = str(
        value.get("action", value.get("operation", value.get("command", value.get("type", ""))))
    ).lower()
    key = next((key for key in _TEXT_KEYS if key in value), None)
    if (
        action in {"delete", "remove", "deleted"}
        or value.get("delete") is True
        or value.get("deleted") is True
    ):
        if key is not None and value[key]:
            raise refusal(
                "conflict", f"The JSON object deletes {path!r} and gives content for it.", path=path
            )
        return [Delete(path)]
    if key is None:
        return None
    if "encoding" in value and str(value["encoding"]).lower() not in {
        "utf-8",
        "utf8",
        "text",
        "plain",
        "none",
    }:
        raise refusal("bad_json", f"The content of {path!r} is encoded; send plain text.", path=path)
    if not isinstance(value[key], str) or isinstance(value[key], _Number):
        raise refusal("bad_json", f"The content of {path!r} must be one JSON string.", path=path)
    if sum(other in value and isinstance(value[other], str) for other in _TEXT_KEYS[:3]) > 1:
        raise refusal("conflict", f"The JSON object for {path!r} gives content more than once.", path=path)
    return [Whole(path, body_text(path, value[key], data=True), exact=True)]


def _old_new(entry: Any) -> tuple[str | None, str | None]:
    if not isinstance(entry, dict):
        return None, None
    old = next((entry[key] for key in _OLD_KEYS if isinstance(entry.get(key), str)), None)
    new = next((entry[key] for key in _NEW_KEYS if isinstance(entry.get(key), str)), None)
    return old, new


def _of_mapping(value: _Pairs, names: Collection[str]) -> list[Operation] | None:
    """``{"a.py": "text", …}``: every key a path, every value a text."""
    if not value or not all(
        isinstance(key, str) and looks_like_path(key, names, spaces=True) for key in value
    ):
        return None
    if value.doubled is not None:
        raise refusal("conflict", f"The JSON object names {value.doubled!r} twice.", path=value.doubled)
    if all(isinstance(text, str) for text in value.values()):
        return [Whole(path, body_text(path, text, data=True), exact=True) for path, text in value.items()]
    if all(
        isinstance(text, _Pairs) and any(isinstance(text.get(key), str) for key in _TEXT_KEYS)
        for text in value.values()
    ):
        gathered: list[Operation] = []
        for path, entry in value.items():
            gathered.extend(_of_entry(entry, path, names, 0) or [])
        return gathered
    if any(key in names for key in value):
        raise refusal("bad_json", "The content of every file must be one JSON string.")
    return None
