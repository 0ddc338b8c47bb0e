"""Unified diffs and V4A patches: read them, and put them into files."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from windlass.replies.document import Document
from windlass.replies.kinds import refusal
from windlass.replies.nearest import nearest_region, places

_HUNK = re.compile(r"^@@+\s*-(\d{1,9})(?:,(\d{1,9}))?\s+\+(\d{1,9})(?:,(\d{1,9}))?\s*@@")
_EXTENDED = re.compile(
    r"^(?:index |new file mode|deleted file mode|old mode|new mode|similarity index|dissimilarity index|"
    r"rename from |rename to |copy from |copy to |Index: |={60,}|Only in )"
)


@dataclass
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


@dataclass
class FilePatch:
    """What a patch does to one file. ``old``/``new`` are None for /dev/null."""

    old: str | None
    new: str | None
    hunks: list[Hunk] = field(default_factory=list)
    rename: bool = False
    named: bool = True


def _bad(sentence: str, path: str | None = None) -> Exception:
    return refusal("patch_not_found", sentence, path=path, edit=True)


def _header_name(line: str) -> str | None:
    name = line[4:].split("\t")[0].strip()
    name = re.sub(r"\s+\d{4}-\d\d-\d\d[ T]\d\d:\d\d.*$", "", name)
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1]
    return None if name == "/dev/null" else name


def _is_header(lines: Sequence[str], index: int, left: tuple[int, int]) -> bool:
    """True where ``---``/``+++`` lines start another file, not remove and add lines that look so."""
    if (
        not lines[index].startswith("--- ")
        or index + 1 >= len(lines)
        or not lines[index + 1].startswith("+++ ")
    ):
        return False
    if left[0] > 0 and left[1] > 0:
        return index + 2 < len(lines) and lines[index + 2].startswith("@@")
    return True


def read_unified(lines: Sequence[str]) -> list[FilePatch]:
    """Every file of a unified diff. Raises ReplyError where a line has no mark."""
    patches: list[FilePatch] = []
    current: FilePatch | None = None
    hunk: Hunk | None = None
    git: dict[str, str] = {}
    left = (0, 0)

    def close_git() -> None:
        nonlocal current
        if git and current is None:
            if "rename from" in git and "rename to" in git:
                patches.append(FilePatch(git["rename from"], git["rename to"], rename=True))
            elif "deleted" in git and "old" in git:
                patches.append(FilePatch(git["old"], None))
            elif "added" in git and "new" in git:
                patches.append(FilePatch(None, git["new"], [Hunk()]))
        git.clear()

    for index, line in enumerate(lines):
        if line.startswith("diff --git ") and not (hunk and left[0] > 0):
            close_git()
            current = hunk = None
            names = re.match(r"diff --git (?:a/)?(\S+) (?:b/)?(\S+)\s*$", line)
            if names:
                git.update(old=names.group(1), new=names.group(2))
            else:
                git.update(seen="")
            continue
        if hunk is None and current is None:
            renamed = re.match(r"(rename from|rename to) (.+)$", line)
            if renamed:
                git[renamed.group(1)] = renamed.group(2).strip()
                continue
            if line.startswith("deleted file mode"):
                git["deleted"] = ""
            if line.startswith("new file mode"):
                git["added"] = ""
            if line.startswith(("copy from ", "GIT binary patch", "Binary files ")):
                raise _bad("The patch copies or holds binary data, which cannot be applied.")
        if _is_header(lines, index, left):
            old, new = _header_name(line), _header_name(lines[index + 1])
            current = FilePatch(old, new, rename="rename from" in git)
            patches.append(current)
            git.clear()
            hunk, left = None, (0, 0)
            continue
        if line.startswith("+++ ") and current is not None and hunk is None and not current.hunks:
            continue
        if line.startswith("@@"):
            if current is None:
                current = FilePatch(None, None, named=False)
                patches.append(current)
            stated = _HUNK.match(line)
            hunk = Hunk(line=int(stated.group(1)) if stated else None)
            left = (int(stated.group(2) or 1), int(stated.group(4) or 1)) if stated else (0, 0)
            current.hunks.append(hunk)
            continue
        if hunk is None:
            if _EXTENDED.match(line) or not line.strip() or line.startswith(("--- ", "+++ ")):
                continue
            if current is None and not patches and line[:1] in "+- " and _all_marked(lines):
                current = FilePatch(None, None, named=False)
                patches.append(current)
                hunk = Hunk()
                current.hunks.append(hunk)
            elif current is not None and line[:1] in "+- " and not current.hunks:
                hunk = Hunk()
                current.hunks.append(hunk)
            elif current is None:
                continue
            else:
                raise _bad(
                    f"The patch has a line that belongs to no hunk: {line[:80]!r}.",
                    current.new or current.old,
                )
        left = _take(hunk, line, left, current)
    close_git()
    return patches


def _all_marked(lines: Sequence[str]) -> bool:
    return all(not line or line[0] in "+- " for line in lines) and any(
        line[:1] in ("+", "-") for line in lines
    )


def _take(hunk: Hunk, line: str, left: tuple[int, int], current: FilePatch | None) -> tuple[int, int]:
    mark = line[:1]
    if line.startswith("\\"):
        last = hunk.rows[-1][0] if hunk.rows else " "
        hunk.old_without_newline |= last in "- "
        hunk.new_without_newline |= last in "+ "
        return left
    if mark in ("", "\t") and not line.strip():
        mark, line = " ", " "
    if mark not in (" ", "+", "-"):
        name = (current.new or current.old) if current else None
        raise _bad(f"The patch has a line without ' ', '+' or '-' in front: {line[:80]!r}.", name)
    hunk.rows.append((mark, line[1:]))
    return left[0] - (mark != "+"), left[1] - (mark != "-")


@dataclass
class Operation:
    """One file operation of a V4A patch."""

    verb: str
    path: str
    hunks: list[Hunk] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    move_to: str | None = None


_VERB = re.compile(r"^\*\*\* (Add|Update|Delete) File:\s*(.+?)\s*$")


def read_v4a(lines: Sequence[str]) -> list[Operation]:
    """The operations of ``*** Begin Patch`` … ``*** End Patch`` (markers included or not)."""
    operations: list[Operation] = []
    hunk: Hunk | None = None
    for line in lines:
        verb = _VERB.match(line)
        if verb:
            operations.append(Operation(verb.group(1), verb.group(2)))
            hunk = None
            continue
        if line.rstrip() in ("*** Begin Patch", "*** End Patch"):
            continue
        if not operations:
            if line.strip():
                raise _bad(f"The patch starts with a line that names no file: {line[:80]!r}.")
            continue
        operation = operations[-1]
        if line.startswith("*** Move to:"):
            operation.move_to = line[12:].strip()
        elif line.startswith("*** End of File"):
            if hunk is not None:
                hunk.at_end = True
        elif line.startswith("*** "):
            raise _bad(f"The patch has an unknown line: {line[:80]!r}.", operation.path)
        elif operation.verb == "Add":
            if line and line[0] != "+":
                raise _bad(
                    f"A line of the new file {operation.path} has no '+' in front: {line[:80]!r}.",
                    operation.path,
                )
            operation.lines.append(line[1:])
        elif operation.verb == "Delete":
            if line.strip():
                raise _bad(
                    f"Deleting {operation.path} takes no further lines: {line[:80]!r}.", operation.path
                )
        elif line.startswith("@@"):
            anchor = re.sub(r"\s*@@\s*$", "", line[2:]).strip()
            stated = _HUNK.match(line)
            if hunk is None or hunk.rows:
                hunk = Hunk(line=int(stated.group(1)) if stated else None)
                operation.hunks.append(hunk)
            if anchor and not stated:
                hunk.anchors.append(anchor)
        else:
            if hunk is None:
                if not line.strip():
                    continue
                hunk = Hunk()
                operation.hunks.append(hunk)
            _take(hunk, line, (0, 0), FilePatch(operation.path, operation.path))
    for operation in operations:
        # Blank lines before the next "***" line are layout, unless something follows them.
        while (
            operation.lines
            and operation.verb == "Add"
            and operation.lines[-1] == ""
            and lines
            and "" in lines[-2:]
        ):
            operation.lines.pop()
    return operations


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
        raise _bad(f"A hunk for {path} has no line of context, so its place is not certain.", path)
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
