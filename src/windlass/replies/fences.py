"""Read one fence: where it ends, what it holds, and whether a fence of the same kind stands inside."""

from __future__ import annotations

import re

from windlass.replies.items import Item
from windlass.replies.markers import EditIndex

_FENCE = re.compile(r"^((?:[ \t]*>[ \t]?)*)([ \t]*)(`{3,}|~{3,})(.*)$")


def _unquote(line: str, spaced: bool) -> str | None:
    """A line of a block quote without its mark (and the space behind it); None for a line outside one."""
    stripped = line.lstrip(" \t")
    if not stripped.startswith(">"):
        return None
    rest = stripped[1:]
    return rest[1:] if spaced and rest.startswith(" ") else rest


def read_fence(lines: list[str], number: int, edits: EditIndex) -> Item | None:
    """The fence that opens at a line; None where the line opens none."""
    opener = _FENCE.match(lines[number])
    if opener is None or (opener.group(3)[0] == "`" and "`" in opener.group(4)):
        return None
    quoted, indent, mark, info = (
        bool(opener.group(1).strip()),
        len(opener.group(2).expandtabs(4)),
        opener.group(3),
        opener.group(4),
    )
    char, size, triple = mark[0], len(mark), mark[0] * 3
    depth = opener.group(1).count(">")
    # Quoted without a space behind the mark, a line's first space is the file's own.
    spaced = opener.group(1).endswith((" ", "\t")) or opener.group(2) != ""
    sizes = [size]
    content: list[str] = []
    nested = False
    in_edit = False
    closed = False
    end = len(lines) - 1
    opening = edits.opening
    index = number + 1
    while index < len(lines):
        line = lines[index]
        if quoted:
            for level in range(depth):
                unquoted = _unquote(line, spaced or level + 1 < depth)
                if unquoted is None:
                    break
                line = unquoted
            if unquoted is None:
                end = index - 1
                break
        elif index in opening and (in_edit or _only_a_path(content)):
            in_edit = True
            close = edits.end_of(index)
            if close is None:
                return Item("edit", number, len(lines) - 1, lines[number:], closed=False, info=info.strip())
            content.extend(lines[index : close + 1])
            index = close + 1
            continue
        marks = _marks(line, char, indent) if triple in line else None
        if marks is not None:
            length, rest = marks
            if not rest:
                if length >= sizes[-1]:
                    sizes.pop()
                    if not sizes:
                        closed, end = True, index
                        break
            elif length >= size and "`" not in rest and len(rest) < 200:
                sizes.append(length)
                nested = True
        content.append(line)
        index += 1
    if not quoted or not closed:
        end = end if closed else len(lines) - 1
    return Item(
        "fence",
        number,
        end,
        _dedent(content, indent),
        closed=closed,
        info=info.strip(),
        size=size,
        nested=nested,
    )


def _marks(line: str, char: str, indent: int) -> tuple[int, str] | None:
    """(number of marks, text behind them) of a line that looks like a fence line of this kind."""
    bare = line.lstrip(" \t")
    if not bare.startswith(char * 3):
        return None
    inset = len(line[: len(line) - len(bare)].expandtabs(4))
    if inset > indent + 3:
        return None
    marks = len(bare) - len(bare.lstrip(char))
    return marks, bare[marks:].strip()


def _only_a_path(content: list[str]) -> bool:
    """True for a block that so far holds at most one line of text (the path of the edit to come)."""
    filled = 0
    for line in content[:8]:
        filled += bool(line.strip())
    return filled <= 1 and len(content) <= 8


def _dedent(content: list[str], indent: int) -> list[str]:
    if indent == 0:
        return content
    for line in content:
        if line.strip():
            lead = line[: len(line) - len(line.lstrip(" \t"))].expandtabs(4)
            if len(lead) < indent:
                return content
    dedented: list[str] = []
    for line in content:
        column = index = 0
        while index < len(line) and column < indent and line[index] in " \t":
            column += 4 - column % 4 if line[index] == "\t" else 1
            index += 1
        dedented.append(line[index:])
    return dedented
