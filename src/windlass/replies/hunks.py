"""Hunks of a patch, and their one place in a file."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from windlass.errors import ReplyError
from windlass.replies.document import Document
from windlass.replies.kinds import refusal
from windlass.replies.nearest import nearest_region, places

HUNK_HEADER = re.compile(r"^@@+\s*-(\d{1,9})(?:,(\d{1,9}))?\s+\+(\d{1,9})(?:,(\d{1,9}))?\s*@@")


@dataclass(slots=True)
class Hunk:
    """Lines with their marks (' ', '-', '+'). ``line`` is the stated first line (from 1), None = unstated."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    line: int | None = None
    anchors: list[str] = field(default_factory=list)
    old_without_newline: bool = False
    new_without_newline: bool = False
    at_end: bool = False

    @property
    def old(self) -> list[str]:
        return [text for mark, text in self.rows if mark != "+"]

    @property
    def added(self) -> list[str]:
        return [text for mark, text in self.rows if mark == "+"]


def unusable(sentence: str, path: str | None = None) -> ReplyError:
    """The error for a patch that cannot be read or put into a file."""
    return refusal("patch_not_found", sentence, path=path, edit=True)


def take_row(hunk: Hunk, line: str, path: str | None) -> str | None:
    """Add a line of a patch to a hunk; its mark, None for the note on a missing newline.

    Raises ReplyError for a line without a mark; ``path`` is for its sentence.
    """
    if line.startswith("\\"):
        last = hunk.rows[-1][0] if hunk.rows else " "
        hunk.old_without_newline |= last in "- "
        hunk.new_without_newline |= last in "+ "
        return None
    mark = line[:1]
    if mark in ("", "\t") and not line.strip():
        mark, line = " ", " "
    if mark not in (" ", "+", "-"):
        raise unusable(f"The patch has a line without ' ', '+' or '-' in front: {line[:80]!r}.", path)
    hunk.rows.append((mark, line[1:]))
    return mark


def apply_hunks(document: Document, path: str, hunks: Sequence[Hunk]) -> None:
    """Apply every hunk at its one place. Raises ReplyError where there is none, or several."""
    placed: list[tuple[int, int, Hunk, list[tuple[str, str]]]] = []
    for hunk in hunks:
        start, rows = _place(document, path, hunk)
        placed.append((start, start + sum(mark != "+" for mark, _ in rows), hunk, rows))
    placed.sort(key=lambda entry: (entry[0], entry[1]))
    for one, two in itertools.pairwise(placed):
        if two[0] < one[1] or (two[0] == one[0] and two[1] == one[1]):
            raise refusal(
                "conflict", f"Two hunks of the patch change the same lines of {path}.", path=path, edit=True
            )
    for start, stop, hunk, rows in reversed(placed):
        reaches_end = stop == len(document)
        document.rewrite(start, rows)
        if reaches_end and (hunk.old_without_newline or hunk.new_without_newline):
            document.final_newline = not hunk.new_without_newline


def _place(document: Document, path: str, hunk: Hunk) -> tuple[int, list[tuple[str, str]]]:
    rows = list(hunk.rows)
    variants = [rows]
    # Blank lines at the end of a hunk are usually the layout of the reply.
    trimmed = list(rows)
    while trimmed and trimmed[-1][0] == " " and not trimmed[-1][1].strip():
        trimmed.pop()
    if len(trimmed) != len(rows):
        variants.append(trimmed)
    for key in (None, str.rstrip):
        for variant in variants:
            old = [text for mark, text in variant if mark != "+"]
            if not any(line.strip() for line in old) and len(document):
                continue
            if not old and not len(document):
                return 0, variant
            found = document.find(old, key)
            chosen = _choose(document, hunk, found, len(old))
            if chosen is not None:
                return chosen, variant
            if found:
                raise refusal(
                    "search_ambiguous",
                    f"A hunk of the patch fits {path} in more than one place (lines {', '.join(str(at + 1) for at in found[:8])}).",
                    places(document.lines, found, len(old)),
                    "Give more lines of context.",
                    path=path,
                    edit=True,
                )
    old = hunk.old
    if not any(line.strip() for line in old):
        raise unusable(f"A hunk for {path} has no line of context, so its place is not certain.", path)
    near = nearest_region(document.lines, old)
    raise refusal(
        "patch_not_found",
        f"The lines that the patch expects are not in {path}: {old[0].strip()[:80]!r} …",
        f"The closest lines of {path} are:\n{near}"
        if near
        else f"Nothing in {path} is like it ({len(document)} lines).",
        path=path,
        edit=True,
    )


def _choose(document: Document, hunk: Hunk, found: Sequence[int], count: int) -> int | None:
    if len(found) == 1:
        return found[0]
    if hunk.line is not None and hunk.line - 1 in found:
        return hunk.line - 1
    if hunk.at_end and len(document) - count in found:
        return len(document) - count
    if hunk.anchors and found:
        at = -1
        for anchor in hunk.anchors:
            matching = [
                number for number, line in enumerate(document.lines) if line.strip() == anchor and number > at
            ]
            if len(matching) != 1:
                return None
            at = matching[0]
        behind = [start for start in found if start >= at]
        return behind[0] if behind else None
    return None
