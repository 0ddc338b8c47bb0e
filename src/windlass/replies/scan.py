"""Cut a reply into its outermost structures: fences, edit blocks, patches, tags. One pass, no backtracking."""

from __future__ import annotations

import re

from windlass.replies.fences import read_fence
from windlass.replies.items import Item, Scan
from windlass.replies.markers import PATCH_CLOSE, PATCH_OPEN, TAG_OPEN, EditIndex, names_a_file

#: What a line that opens a structure can start with; most lines are done after this look.
_STARTS = frozenset(" \t>`~<*-d")


def scan(text: str) -> Scan:
    """Every outermost structure of a text, in order; the last one may be open."""
    lines = text.split("\n")
    edits = EditIndex(lines)
    result = Scan(lines)
    number, total = 0, len(lines)
    while number < total:
        line = lines[number]
        item = _item_at(lines, number, edits) if line and line[0] in _STARTS else None
        if item is None:
            number += 1
            continue
        result.items.append(item)
        if not item.closed:
            break
        number = item.end + 1
    _mark_suspicious(result)
    return result


def _item_at(lines: list[str], number: int, edits: EditIndex) -> Item | None:
    line = lines[number]
    if edits.opens_at(number):
        end = edits.end_of(number)
        if end is None:
            return Item("edit", number, len(lines) - 1, lines[number:], closed=False)
        return Item("edit", number, end, lines[number : end + 1])
    head = line[:4000].lstrip(" \t>")[:3]
    if head in ("```", "~~~"):
        return read_fence(lines, number, edits)
    if line.startswith("*** "):
        return _patch(lines, number)
    if head[:1] == "<" and len(line) < 2_000_000:
        opened = TAG_OPEN.match(line)
        if opened and names_a_file(opened, lines, number):
            return _tag(lines, number, opened)
    if _diff_starts(lines, number):
        return _diff(lines, number)
    return None


def _patch(lines: list[str], number: int) -> Item | None:
    line = lines[number].rstrip()
    if line != PATCH_OPEN:
        return None
    for index in range(number + 1, len(lines)):
        if lines[index].rstrip() == PATCH_CLOSE:
            return Item("patch", number, index, lines[number : index + 1])
    return Item("patch", number, len(lines) - 1, lines[number:], closed=False)


def _tag(lines: list[str], number: int, opened: re.Match[str]) -> Item:
    if opened.group(2).rstrip().endswith("/"):
        return Item("tag", number, number, [lines[number]])
    close = f"</{opened.group(1)}>".lower()
    cdata = False
    for index in range(number, len(lines)):
        line = lines[index]
        cdata = ("<![CDATA[" in line or cdata) and "]]>" not in line[line.rfind("<![CDATA[") + 1 :]
        if not cdata and line.rstrip().lower().endswith(close):
            return Item("tag", number, index, lines[number : index + 1])
    return Item("tag", number, len(lines) - 1, lines[number:], closed=False)


def _diff_starts(lines: list[str], number: int) -> bool:
    line = lines[number]
    if line.startswith("diff --git "):
        return True
    if not line.startswith("--- ") or number + 2 >= len(lines):
        return False
    return lines[number + 1].startswith("+++ ") and lines[number + 2].startswith("@@")


def _diff(lines: list[str], number: int) -> Item:
    """An unfenced unified diff: up to the first line that can belong to no hunk."""
    index = number
    last = number
    while index < len(lines):
        line = lines[index]
        if line == "":
            following = lines[index + 1] if index + 1 < len(lines) else ""
            if following[:1] not in (" ", "+", "-", "@") and not following.startswith("diff --git "):
                break
        elif line[0] not in " +-@\\" and not re.match(
            r"(?:diff --git |index |new file mode|deleted file mode|old mode|new mode|similarity |rename |copy |Binary )",
            line,
        ):
            break
        else:
            last = index
        index += 1
    return Item("diff", number, last, lines[number : last + 1])


def _mark_suspicious(result: Scan) -> None:
    """A fence whose closing line may have been the opening of an inner one.

    That is so where text follows directly below it and a later fence without an info string is left over, which could have
    closed it: of the same mark, and no shorter.
    """
    bare_later = {"`": 0, "~": 0}
    for position in range(len(result.items) - 1, -1, -1):
        item = result.items[position]
        if item.kind != "fence":
            continue
        mark = result.lines[item.start].lstrip(" \t>")[:1]
        if item.closed and bare_later.get(mark, 0) >= item.size:
            following = result.lines[item.end + 1] if item.end + 1 < len(result.lines) else ""
            markdown = item.info.lower().startswith(("markdown", "md"))
            if markdown or following.strip():
                result.items[position] = Item(
                    item.kind,
                    item.start,
                    item.end,
                    item.lines,
                    item.closed,
                    item.info,
                    item.size,
                    item.nested,
                    suspicious=True,
                )
        if not item.info and mark in bare_later:
            bare_later[mark] = max(bare_later[mark], item.size)
