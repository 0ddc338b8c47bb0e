"""SEARCH/REPLACE blocks: read them, and put them into a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from windlass.replies.document import Document
from windlass.replies.kinds import refusal
from windlass.replies.markers import SEARCH_OPEN
from windlass.replies.nearest import nearest_region, places

_DIVIDER = re.compile(r"^ {0,3}(={4,10})[ \t]*$")
_ROO_HEADER = re.compile(r"^:(?:start|end)_line:\s*\d+\s*$")


@dataclass(frozen=True, slots=True)
class Edit:
    """The lines between the markers of one SEARCH/REPLACE block."""

    search: tuple[str, ...]
    replace: tuple[str, ...]
    path: str | None = None


def read_edit(lines: Sequence[str], *, page: bool = False) -> Edit:
    """The two sides of one block, markers included in ``lines``. Raises ReplyError when the middle is unclear.

    ``page`` = the file is prose, where ======= may underline a title.
    """
    opened = SEARCH_OPEN.match(lines[0])
    size = len(opened.group(1)) if opened and opened.group(1) else 7
    body = lines[1:-1]
    dividers = [
        number
        for number, line in enumerate(body)
        if (found := _DIVIDER.match(line)) and len(found.group(1)) in {size, 7 if size != 7 else size}
    ]
    exact = [number for number in dividers if body[number].strip() == "=" * size]
    dividers = exact or dividers
    if len(dividers) == 2 and dividers[1] == len(body) - 1 and not page:
        # Some models repeat the divider right before the closing marker.
        body, dividers = body[:-1], dividers[:1]
    if not dividers:
        raise refusal("truncated", "A SEARCH block has no ======= line between its two sides.", edit=True)
    if len(dividers) > 1:
        raise refusal(
            "ambiguous",
            "A SEARCH block has more than one ======= line, so its two sides cannot be told apart.",
            "Choose lines that do not hold ======= themselves, or send the whole file.",
            edit=True,
        )
    search, replace = list(body[: dividers[0]]), list(body[dividers[0] + 1 :])
    while search and _ROO_HEADER.match(search[0]):
        search.pop(0)
    if len(search) != dividers[0] and search and set(search[0].strip()) == {"-"}:
        search.pop(0)
    path = opened.group(2) if opened else None
    return Edit(tuple(search), tuple(replace), path.strip().strip("`*:") if path else None)


def apply_edit(document: Document, path: str, edit: Edit) -> None:
    """Replace the one place where the SEARCH lines stand. Raises ReplyError where there is none, or several."""
    search, replace = list(edit.search), list(edit.replace)
    found = document.find(search)
    if len(found) == 1:
        document.replace(found[0], len(search), replace)
        return
    if found:
        raise _several(document, path, found, len(search))
    # A blank line at the same edge of both sides comes from the block's layout.
    while search and replace and not search[0].strip() and not replace[0].strip():
        search, replace = search[1:], replace[1:]
    while search and replace and not search[-1].strip() and not replace[-1].strip():
        search, replace = search[:-1], replace[:-1]
    if not any(line.strip() for line in search):
        raise _absent(document, path, edit.search)
    for key in (None, str.rstrip):
        found = document.find(search, key)
        if len(found) == 1:
            document.replace(found[0], len(search), replace)
            return
        if found:
            raise _several(document, path, found, len(search))
    if _apply_shifted(document, path, search, replace):
        return
    raise _absent(document, path, edit.search)


def _apply_shifted(document: Document, path: str, search: list[str], replace: list[str]) -> bool:
    """Where the whole block is indented by the same amount too little or too much, correct both sides."""
    found = [
        (start, shift)
        for start in document.find(search, str.strip)
        if (shift := _shift(search, document.lines[start : start + len(search)])) is not None
    ]
    if not found:
        return False
    if len(found) > 1:
        raise _several(document, path, [start for start, _ in found], len(search))
    start, (missing, extra) = found[0]
    if extra and not all(line.startswith(extra) for line in replace if line.strip()):
        return False
    # Text that is not indented with the rest (the inside of a long string) cannot be told from a slip.
    shifted = [missing + line[len(extra) :] if line.strip() else line for line in replace]
    document.replace(start, len(search), shifted)
    return True


def _shift(search: Sequence[str], lines: Sequence[str]) -> tuple[str, str] | None:
    """(indentation to add, indentation to take away), the same for every line, or None."""
    shifts: set[tuple[str, str]] = set()
    for wanted, actual in zip(search, lines, strict=True):
        if not wanted.strip():
            continue
        if wanted.strip() != actual.strip():
            return None
        lead = wanted[: len(wanted) - len(wanted.lstrip())]
        true_lead = actual[: len(actual) - len(actual.lstrip())]
        if true_lead.endswith(lead):
            shifts.add((true_lead[: len(true_lead) - len(lead)], ""))
        elif lead.endswith(true_lead):
            shifts.add(("", lead[: len(lead) - len(true_lead)]))
        else:
            return None
        if len(shifts) > 1:
            return None
    return shifts.pop() if shifts else None


def replace_once(path: str, text: str, old: str, new: str) -> str:
    """The text with its one occurrence of ``old`` replaced (the form of string-replace tools)."""
    at = text.find(old) if old else -1
    if at < 0:
        document = Document(text)
        raise _absent(document, path, old.split("\n"))
    second = text.find(old, at + 1)
    if second >= 0:
        document = Document(text)
        starts = [text.count("\n", 0, at), text.count("\n", 0, second)]
        raise _several(document, path, starts, old.count("\n") + 1)
    return text[:at] + new + text[at + len(old) :]


def _several(document: Document, path: str, starts: Sequence[int], count: int) -> Exception:
    return refusal(
        "search_ambiguous",
        f"The text to replace is in {path} more than once (lines {', '.join(str(start + 1) for start in starts[:8])}).",
        places(document.lines, starts, count),
        "Add lines above or below to SEARCH until it fits one place only.",
        path=path,
        edit=True,
    )


def _absent(document: Document, path: str, wanted: Sequence[str]) -> Exception:
    near = nearest_region(document.lines, wanted)
    return refusal(
        "search_not_found",
        f"The SEARCH text is not in {path}.",
        f"The closest lines of {path} are:\n{near}"
        if near
        else f"Nothing in {path} is like it ({len(document)} lines).",
        "Copy the lines to replace exactly as they are, with their indentation.",
        path=path,
        edit=True,
    )
