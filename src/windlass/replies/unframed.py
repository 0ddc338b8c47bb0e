"""A reply without a frame around the file: all of it is the file, or it is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from windlass.replies import bare, labels
from windlass.replies.doubts import is_escaped, refuse_frame, refuse_script
from windlass.replies.items import Scan
from windlass.replies.json_files import decode_json, looks_like_envelope, operations_of
from windlass.replies.kinds import refusal
from windlass.replies.languages import (
    family_of_path,
    family_of_word,
    is_language,
    is_page,
    is_prose_file,
    is_well_known_name,
    runs_in_a_shell,
)
from windlass.replies.operations import Whole
from windlass.replies.own_names import comment_label
from windlass.replies.sentences import Label
from windlass.replies.talk import is_file_again, reads_as_talk
from windlass.replies.targets import Targets

#: What a reply without a fence is told.
FENCED = (
    "Put the whole file between the fences, also where nothing in it changes: its path alone on a line, then its "
    "whole text between two lines of four backticks (````)."
)

#: How a JSON value or a comment before it begins; a word in brackets is a placeholder.
_JSON_START = re.compile(r"\s*(?!\[[^\W\d][\w .-]*\]\s*\Z)(?:[{\[\"/\d-]|(?:true|false|null)\b)")
#: A tag around a page that is none of a page's own, or quotes.
_FRAMED = re.compile(
    r"<(answer|result|results|response|output|document|content|contents|text|markdown|page|final|final_answer|file|reply|artifact)>.*</\1>|"
    r"(\"{3}|'{3})\s*\n.*\n\2",
    re.DOTALL | re.IGNORECASE,
)
#: A heading over an answer that holds the file.
_ANSWER = re.compile(
    r"\s*#{1,6} +[*_]{0,2}(?:(?:the|my|proposed|final|updated|new|complete|full|corrected) +)*(?:solution|answer|response|result|output|code|file|version)[*_:. ]*\n",
    re.IGNORECASE,
)
_ERROR_KEYS = frozenset(
    ["error", "type", "code", "message", "status", "detail", "request_id", "object", "param"]
)


def whole_reply(text: str, path: str, targets: Targets, found: Scan, *, cut: bool) -> Whole | None:
    """The reply as the asked-for file, where its first line can be nothing else; None where it must be read on."""
    family = family_of_path(path)
    if not bare.starts_like(path, text):
        return None
    if found.items and text.lstrip().split("\n", 1)[0].strip() == path:
        return None
    if family != "json" and text.lstrip()[:1] in "{[" and looks_like_envelope(text):
        return None
    if family == "json":
        return _bare_json(text, path, targets, cut=cut)
    if family == "diff":
        fenced = [item for item in found.items if item.kind == "fence"]
        if fenced:
            return None
    elif found.items:
        first = found.items[0]
        if first.start == 0 and first.kind in {"patch", "diff", "tag", "edit"}:
            return None
        if _names_its_blocks(found, targets):
            return None
        if not is_page(path):
            if not bare.opens_source(text):
                return None
            # Source that holds fence lines in a docstring, or talk that starts like source.
            if not any(mark in text[:4000] for mark in ('"""', "'''", "/*")):
                raise refusal("ambiguous", f"It is not certain which part of the reply is {path}.", path=path)
            if bare.talk_in(path, "\n".join(found.outside())) is not None:
                raise refusal("ambiguous", f"It is not certain which part of the reply is {path}.", path=path)
        if is_page(path) and (_frames_a_page(found) or _ANSWER.match(text)):
            raise refusal(
                "ambiguous",
                f"It is not certain whether {path} is the whole reply or the block inside it.",
                path=path,
            )
    talk = bare.talk_in(path, text)
    if talk is not None:
        raise refusal("ambiguous", f"The reply mixes {path} with talk: {talk.strip()[:80]!r}.", path=path)
    return _checked_bare(text, path, targets, cut=cut)


def _frames_a_page(found: Scan) -> bool:
    """True where a block of the reply says that it is a page, or holds fences as one does."""
    return any(
        item.info.lower().startswith(("markdown", "md"))
        or (item.kind == "fence" and item.size > 3 and any(line.startswith("```") for line in item.lines))
        for item in found.items
    )


def _names_its_blocks(found: Scan, targets: Targets) -> bool:
    """True where a tag names a file, or a fence carries the asked-for path (any path, where several were asked for)."""
    for index, item in enumerate(found.items):
        if item.kind == "tag" and targets.only is not None:
            if targets.only.rpartition("/")[2] in "\n".join(item.lines[:3]):
                return True
            continue
        if item.kind != "fence":
            continue
        label = labels.info_label(item.info, targets.names)
        if label is None:
            above = labels.label_above(found.gap(index, index - 1), targets.names)
            label = above if isinstance(above, Label) and above.strict else None
        if label is not None and (targets.only is None or not label.differs_from(targets.only)):
            return True
    return False


def _bare_json(text: str, path: str, targets: Targets, *, cut: bool) -> Whole | None:
    decoded = decode_json(text)
    if decoded is None or decoded.failed:
        if cut or (decoded is not None and decoded.at_end):
            raise refusal("truncated", f"The reply ends inside {path}.", path=path)
        return None
    if text[decoded.end :].strip():
        return None
    operations = None
    if len(decoded.values) == 1 and _is_error(decoded.values[0]) and "error" not in path.lower():
        raise refusal("no_file", f"The reply is an error, not {path}.", path=path)
    if len(decoded.values) == 1:
        operations = (
            operations_of(decoded.values[0], targets.names) if _names(decoded.values[0], path) else None
        )
    if operations and any(getattr(operation, "path", None) == path for operation in operations):
        return None
    return _checked_bare(text, path, targets, cut=cut)


def _is_error(value: Any) -> bool:
    """True for the error object of a provider."""
    return isinstance(value, dict) and "error" in value and value.keys() <= _ERROR_KEYS


def _names(value: object, path: str) -> bool:
    """True where the path stands in a JSON value as a key or a text near its top."""
    stack: list[tuple[object, int]] = [(value, 0)]
    while stack:
        entry, depth = stack.pop()
        if isinstance(entry, str):
            if path in entry:
                return True
        elif depth < 6 and isinstance(entry, dict):
            if path in entry or f"./{path}" in entry:
                return True
            stack.extend((inner, depth + 1) for inner in entry.values())
        elif depth < 6 and isinstance(entry, list):
            stack.extend((inner, depth + 1) for inner in entry)
    return False


def bare_reply(text: str, targets: Targets, *, cut: bool) -> Whole:
    """All of the reply as the one file asked for, where nothing in it speaks against that. Else ReplyError."""
    path = targets.only
    if path is None:
        if cut:
            raise refusal("truncated", "The reply was cut off before a file came.")
        raise refusal("no_file", "The reply holds no file.")
    family = family_of_path(path)
    page = is_page(path)
    if cut:
        raise refusal("truncated", f"The reply was cut off inside {path}.", path=path)
    if "```" in text or "~~~" in text:
        raise refusal("ambiguous", "The reply has fence marks that frame nothing.", path=path)
    talk = bare.talk_in(path, text)
    if talk is not None:
        if bare.is_talk_only(text) or page:
            raise refusal(
                "no_file", f"The reply is talk, not {path}: {talk.strip()[:80]!r}.", FENCED, path=path
            )
        raise refusal("ambiguous", f"The reply mixes {path} with talk: {talk.strip()[:80]!r}.", path=path)
    if family == "json" and not _JSON_START.match(text):
        raise refusal("no_file", f"The reply does not look like {path}.", path=path)
    if not page and not bare.starts_like(path, text) and family is not None and bare.is_talk_only(text):
        raise refusal("no_file", f"The reply does not look like {path}.", path=path)
    if family is None and not is_well_known_name(path.rsplit("/", 1)[-1]) and bare.is_talk_only(text):
        first = text.strip().split("\n", 1)[0]
        if bare.is_prose(first):
            raise refusal("no_file", f"The reply does not look like {path}.", path=path)
    if text.lstrip()[:1] == "{" and family not in {"json", "yaml", None, "style"}:
        decoded = decode_json(text)
        if decoded is not None and not decoded.failed:
            raise refusal("no_file", f"The reply is a JSON object, not {path}.", path=path)
    if looks_like_envelope(text) and family != "json" and text.lstrip()[:1] in "{[":
        raise refusal(
            "bad_json", "The JSON of the reply does not hold files in a form that is known.", path=path
        )
    return _checked_bare(text, path, targets, cut=cut)


def _refuse_heading(lines: Sequence[str], path: str) -> None:
    """Raise ReplyError for a heading or an announcement under which nothing comes."""
    filled = [line.strip() for line in lines if line.strip()]
    first = filled[0]
    if is_page(path):
        alone = len(filled) == 1 and (first.startswith("##") or first.endswith((":", "：")))
        refused = alone or bool(_ANSWER.match("\n".join(lines)))
    else:
        most = 3 if first.startswith("##") else 1
        refused = len(filled) <= most and bool(re.match(r"#{1,6} ", first))
    if refused:
        raise refusal("no_file", f"The reply is a heading and not {path}: {first[:80]!r}.", FENCED, path=path)


def _refuse_name(lines: Sequence[str], path: str, targets: Targets) -> None:
    """Raise ReplyError where the text begins with the file's name, or its language, which is hardly a part of it."""
    filled = [line for line in lines if line.strip()]
    first = filled[0].strip()
    if len(filled) < 2 or family_of_path(path) in {"json", "diff", None}:
        return
    page = is_page(path)
    label = labels.strict_label(first, targets.names)
    named = label is not None and not label.differs_from(path)
    # A page may have its name as its title, and source in a comment.
    own = re.match(r"# \S", first) if page else comment_label(first, targets.names)
    word = is_language(first) and (page or family_of_word(first) == family_of_path(path)) and first.islower()
    if (named and not own) or (word and not runs_in_a_shell(family_of_path(path))):
        raise refusal(
            "ambiguous",
            f"It is not certain whether {first[:80]!r} is the first line of {path} or its label.",
            FENCED,
            path=path,
        )


def _checked_bare(text: str, path: str, targets: Targets, *, cut: bool) -> Whole:
    if cut:
        raise refusal("truncated", f"The reply was cut off inside {path}.", path=path)
    lines = text.split("\n")
    said = None if family_of_path(path) == "json" else reads_as_talk(path, text)
    if said is not None:
        raise refusal("no_file", f"The reply is talk, not {path}: {said[:80]!r}.", FENCED, path=path)
    known = targets.known.get(path)
    if known is not None and is_prose_file(path) and not is_file_again(text, known):
        raise refusal(
            "ambiguous",
            f"It is not certain that the reply is the whole of {path}: hardly anything that stands there is in it.",
            FENCED,
            path=path,
        )
    _refuse_heading(lines, path)
    _refuse_name(lines, path, targets)
    if is_page(path) and (_FRAMED.fullmatch(text.strip()) or is_escaped(lines)):
        raise refusal(
            "ambiguous", f"The text for {path} stands in a frame that is not known.", FENCED, path=path
        )
    refuse_script(lines, path)
    refuse_frame(lines, path, targets.known.get(path))
    first = next(number for number, line in enumerate(lines) if line.strip())
    last = next(number for number in range(len(lines) - 1, -1, -1) if lines[number].strip())
    return Whole(path, "\n".join(lines[first : last + 1]) + "\n")
