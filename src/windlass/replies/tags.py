"""Files sent inside tags: ``<file path="…">``, ``<write_to_file>`` and their kin."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Sequence

from windlass.replies.bodies import body_text
from windlass.replies.edits import Edit, read_edit
from windlass.replies.kinds import refusal
from windlass.replies.languages import family_of_path, is_source
from windlass.replies.markers import TAG_OPEN, EditIndex, tag_path
from windlass.replies.operations import Change, Delete, Operation, Whole


def operations_of_tag(lines: Sequence[str], names: Collection[str]) -> list[Operation]:
    """The file that one tag (from its opening to its closing line) describes."""
    opened = TAG_OPEN.match(lines[0])
    assert opened is not None
    tag = opened.group(1)
    path = tag_path(opened)
    if path is not None:
        path = html.unescape(path)
    if opened.group(2).rstrip().endswith("/"):
        if tag.lower() == "delete_file" and path:
            return [Delete(path)]
        raise refusal("empty", f"The tag for {path} has no content.", path=path)
    body = "\n".join([lines[0][opened.end() :], *lines[1:]])
    close = re.search(rf"</{tag}>\s*$", body, re.IGNORECASE)
    body = body[: close.start()] if close else body
    if path is None:
        inner = re.match(
            r"\s*<(path|file_?path|file_?name|name|source)>([^<>\n]{1,1000})</\1>", body, re.IGNORECASE
        )
        if inner is None:
            raise refusal("no_path", "A file tag does not say its path.")
        path, body = html.unescape(inner.group(2).strip()), body[inner.end() :]
    if tag.lower() == "delete_file":
        return [Delete(path)]
    wrapped = re.match(r"\s*<(content|contents|document_contents?|body|code|text|diff)>", body, re.IGNORECASE)
    if wrapped:
        name = wrapped.group(1)
        end = re.search(rf"</{name}>\s*(?:<[\w]+>[^<>\n]{{0,40}}</[\w]+>\s*)?$", body[-400:], re.IGNORECASE)
        if end is None:
            raise refusal("truncated", f"The <{name}> tag of {path} is not closed.", path=path)
        body = body[wrapped.end() : max(0, len(body) - 400) + end.start()]
    edits = _edits_in(body, path)
    if edits is not None:
        return edits
    stripped = body.strip()
    if stripped.startswith("<![CDATA[") and stripped.endswith("]]>"):
        body = stripped[9:-3].replace("]]]]><![CDATA[>", "]]>")
        if "]]>" in body:
            raise refusal("ambiguous", f"The CDATA section of {path} ends more than once.", path=path)
    elif _escaped(path, body):
        raise refusal(
            "ambiguous",
            f"The content of {path} is escaped (&lt;, &amp;); it is not certain that the file shall hold that.",
            "Send the text as it shall stand in the file, without XML escapes.",
            path=path,
        )
    _refuse_run_on(path, tag, body)
    if body.startswith("\n"):
        body = body[1:]
    body = (
        re.sub(r"\n[ \t]+\Z", "\n", body[-400:])
        if len(body) <= 400
        else body[:-400] + re.sub(r"\n[ \t]+\Z", "\n", body[-400:])
    )
    return [Whole(path, body_text(path, body, data=False))]


def _refuse_run_on(path: str, tag: str, body: str) -> None:
    """Raise ReplyError where the text of one file seems to hold another, or fences with words around them."""
    if not is_source(path):
        return
    lines = body.split("\n")
    opened = [
        found for line in lines if (found := TAG_OPEN.match(line)) and found.group(1).lower() == tag.lower()
    ]
    if any(tag_path(found) is not None for found in opened):
        raise refusal("truncated", f"Another <{tag}> begins before that of {path} ends.", path=path)
    filled = [line for line in lines if line.strip()]
    fences = [number for number, line in enumerate(filled) if line.startswith(("```", "~~~"))]
    if len(fences) > 1 and 0 < fences[0] < 4 and fences[-1] == len(filled) - 1:
        raise refusal("ambiguous", f"The content of {path} holds fences together with other text.", path=path)


def _escaped(path: str, body: str) -> bool:
    if family_of_path(path) in {"markdown", "prose"}:
        return False
    if family_of_path(path) == "markup":
        # Text of a page may hold escapes; without one tag they are what was done to its tags.
        return "<" not in body and "&lt;" in body and "&gt;" in body
    raw = re.search(r"[<>]|&(?!(?:lt|gt|amp|quot|apos|#39);)", body)
    return raw is None and bool(re.search(r"&(?:lt|gt|amp|quot|apos|#39);", body))


_OLD_TAG = re.compile(r"\s*<(search|old_string|old_str|old_text|old|find)>\n?", re.IGNORECASE)
_NEW_TAG = re.compile(r"\s*<(replace|new_string|new_str|new_text|new|replacement)>\n?", re.IGNORECASE)


def _edits_in(body: str, path: str) -> list[Operation] | None:
    """SEARCH blocks or <search>/<replace> pairs as a tag's only content."""
    lines = body.strip("\n").split("\n")
    index = EditIndex(lines)
    if index.opens_at(0):
        gathered: list[Operation] = []
        number = 0
        while number < len(lines):
            if not lines[number].strip():
                number += 1
                continue
            end = index.end_of(number) if index.opens_at(number) else None
            if end is None:
                raise refusal("truncated", f"An edit block of {path} is not closed.", path=path, edit=True)
            gathered.append(Change(path, read_edit(lines[number : end + 1])))
            number = end + 1
        return gathered
    position = 0
    pairs: list[Operation] = []
    while (old := _OLD_TAG.match(body, position)) is not None:
        end = body.find(f"</{old.group(1)}>", old.end())
        new = _NEW_TAG.match(body, end + len(old.group(1)) + 3) if end >= 0 else None
        stop = body.find(f"</{new.group(1)}>", new.end()) if new else -1
        if new is None or stop < 0:
            raise refusal("truncated", f"An edit of {path} is not complete.", path=path, edit=True)
        search, replace = body[old.end() : end], body[new.end() : stop]
        pairs.append(Change(path, Edit(_side(search), _side(replace))))
        position = stop + len(new.group(1)) + 3
    if not pairs:
        return None
    if body[position:].strip():
        raise refusal(
            "ambiguous", f"Text follows the edits of {path} inside their tag.", path=path, edit=True
        )
    return pairs


def _side(text: str) -> tuple[str, ...]:
    text = text.removesuffix("\n")
    return tuple(text.split("\n")) if text else ()
