"""A reply, or a block of one, that is JSON: the files in it, or the reason why it cannot be read."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.errors import ReplyError
from windlass.replies.items import Scan
from windlass.replies.json_files import Decoded, decode_json, looks_like_envelope, operations_of
from windlass.replies.kinds import refusal
from windlass.replies.languages import family_of_path
from windlass.replies.operations import Operation
from windlass.replies.scan import scan
from windlass.replies.targets import Targets


def json_reply(text: str, targets: Targets, found: Scan, *, cut: bool) -> list[Operation] | None:
    """The files of a reply that is JSON, with or without talk around it; None where it holds no such JSON."""
    starts = text.lstrip()[:1] in ("{", "[")
    if not starts and (found.items or ("\n{" not in text and "\n[" not in text)):
        return None
    decoded = decode_json(text)
    if decoded is None:
        return None
    if decoded.failed:
        if not looks_like_envelope(text[decoded.start : decoded.start + 2000]):
            return None
        if cut:
            raise refusal("truncated", "The reply ends inside its JSON.")
        raise _unreadable()
    operations = _files(decoded, targets)
    if operations is None:
        return None
    if scan(text[decoded.end :]).items or scan(text[: decoded.start]).items:
        raise refusal("ambiguous", "The reply holds JSON files and other blocks.")
    return operations


def json_block(lines: Sequence[str], targets: Targets, *, claimed: bool) -> list[Operation] | None:
    """The files of a block that is JSON and nothing else; None where it is data, or no JSON.

    ``claimed`` = its info string says JSON, or nothing: then JSON that cannot be read is an error.
    """
    only = targets.only
    text = "\n".join(lines)
    decoded = decode_json(text)
    if decoded is None:
        return None
    is_data = only is not None and family_of_path(only) == "json"
    if decoded.failed:
        if claimed and not is_data and looks_like_envelope(text[:2000]):
            raise _unreadable()
        return None
    if text[decoded.end :].strip() or text[: decoded.start].strip():
        return None
    operations = _files(decoded, targets)
    if operations is None or (is_data and not any(operation.path == only for operation in operations)):
        return None
    return operations


def _files(decoded: Decoded, targets: Targets) -> list[Operation] | None:
    operations: list[Operation] = []
    for value in decoded.values:
        files = operations_of(value, targets.names)
        if files is None:
            return None
        operations.extend(files)
    return operations


def _unreadable() -> ReplyError:
    return refusal(
        "bad_json",
        "The JSON of the reply cannot be read.",
        "Escape quotes, backslashes and line ends inside strings.",
    )
