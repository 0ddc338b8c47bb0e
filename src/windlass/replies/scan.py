"""Cut a reply into its outermost structures: fences, edit blocks, patches, tags. One pass, no backtracking."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

_FENCE = re.compile(r"^((?:[ \t]*>[ \t]?)*)([ \t]*)(`{3,}|~{3,})(.*)$")
SEARCH_OPEN = re.compile(
    r"^ {0,3}(?:(<{4,10})[ \t]?(?:SEARCH|ORIGINAL)\b[ \t]*[:>]*[ \t]*(\S.*)?|(-{5,9})[ \t]?SEARCH[ \t]*>?)[ \t]*$",
    re.IGNORECASE,
)
REPLACE_CLOSE = re.compile(
    r"^ {0,3}(?:>{4,10}[ \t]?(?:REPLACE|UPDATED)?\b.{0,40}|>{7}|\+{5,9}[ \t]?REPLACE[ \t]*>?)[ \t]*$",
    re.IGNORECASE,
)
PATCH_OPEN = "*** Begin Patch"
PATCH_CLOSE = "*** End Patch"
TAG_OPEN = re.compile(
    r"^[ \t]*<(file|write_file|write_to_file|create_file|new_file|file_content|source_file|code_file|document|"
    r"boltAction|replace_in_file|edit_file|delete_file)\b([^<>\n]{0,600})>",
    re.IGNORECASE,
)
_PATH_ATTRIBUTE = re.compile(
    r"(?:^|\s)(?:path|file_?path|file_?name|name|file|src)\s*=\s*(\"[^\"]*\"|'[^']*')", re.IGNORECASE
)
_CONTAINER = re.compile(
    r"^[ \t]*</?(?:files|output|answer|response|documents|boltArtifact|result|changes)\b[^<>\n]{0,300}>[ \t]*$",
    re.IGNORECASE,
)

Kind = Literal["fence", "edit", "patch", "tag", "diff"]


@dataclass(frozen=True)
class Item:
    """One outermost structure. ``start``/``end`` are line numbers of its first and last line."""

    kind: Kind
    start: int
    end: int
    lines: Sequence[str]
    closed: bool = True
    info: str = ""
    size: int = 3
    nested: bool = False
    suspicious: bool = False


@dataclass(frozen=True)
class Edit:
    """The lines between the markers of one SEARCH/REPLACE block."""

    search: tuple[str, ...]
    replace: tuple[str, ...]
    path: str | None = None


@dataclass
class Scan:
    lines: list[str]
    items: list[Item] = field(default_factory=list)

    @property
    def open_item(self) -> Item | None:
        return self.items[-1] if self.items and not self.items[-1].closed else None

    def gap(self, index: int, since: int) -> list[str]:
        """The lines between the end of item ``since`` and the start of item ``index`` (``since`` -1: the top)."""
        first = self.items[since].end + 1 if since >= 0 else 0
        return self.lines[first : self.items[index].start]

    def outside(self) -> list[str]:
        """The lines that belong to no structure."""
        kept: list[str] = []
        position = 0
        for item in self.items:
            kept.extend(self.lines[position : item.start])
            position = item.end + 1
        kept.extend(self.lines[position:])
        return [line for line in kept if not _CONTAINER.match(line)]


class EditIndex:
    """Where edit blocks open and close among some lines."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._total = len(lines)
        self._opens = [
            number
            for number, line in enumerate(lines)
            if ("<<<<" in line or "-----" in line) and len(line) <= 400 and SEARCH_OPEN.match(line)
        ]
        self._opening = frozenset(self._opens)
        self._closes: list[int] = []
        if self._opens:
            self._closes = [
                number
                for number, line in enumerate(lines)
                if (">>>>" in line or "+++++" in line) and len(line) <= 400 and REPLACE_CLOSE.match(line)
            ]

    @property
    def first(self) -> int | None:
        """The line where the first block opens."""
        return self._opens[0] if self._opens else None

    def opens_at(self, number: int) -> bool:
        return number in self._opening

    def end_of(self, number: int) -> int | None:
        """The closing line of the block that opens at ``number``; None when it is never closed."""
        close = bisect.bisect_right(self._closes, number)
        following = bisect.bisect_right(self._opens, number)
        if close == len(self._closes):
            return None
        if following < len(self._opens) and self._opens[following] < self._closes[close]:
            return None
        return self._closes[close]


def scan(text: str) -> Scan:
    """Every outermost structure of a text, in order; the last one may be open."""
    lines = text.split("\n")
    edits = EditIndex(lines)
    result = Scan(lines)
    number, total = 0, len(lines)
    while number < total:
        item = _item_at(lines, number, edits)
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
        opener = _FENCE.match(line)
        if opener and not (opener.group(3)[0] == "`" and "`" in opener.group(4)):
            return _fence(lines, number, opener, edits)
        return None
    if line.startswith("*** "):
        return _patch(lines, number)
    if head[:1] == "<" and len(line) < 2_000_000:
        opened = TAG_OPEN.match(line)
        if opened and _names_a_file(opened, lines, number):
            return _tag(lines, number, opened)
    if _diff_starts(lines, number):
        return _diff(lines, number)
    return None


def _unquote(line: str, spaced: bool) -> str | None:
    """A line of a block quote without its mark (and the space behind it); None for a line outside one."""
    stripped = line.lstrip(" \t")
    if not stripped.startswith(">"):
        return None
    rest = stripped[1:]
    return rest[1:] if spaced and rest.startswith(" ") else rest


def _fence(lines: list[str], number: int, opener: re.Match[str], edits: EditIndex) -> Item:
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
        elif edits.opens_at(index) and (in_edit or _only_a_path(content)):
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


def _patch(lines: list[str], number: int) -> Item | None:
    line = lines[number].rstrip()
    if line != PATCH_OPEN:
        return None
    for index in range(number + 1, len(lines)):
        if lines[index].rstrip() == PATCH_CLOSE:
            return Item("patch", number, index, lines[number : index + 1])
    return Item("patch", number, len(lines) - 1, lines[number:], closed=False)


def _names_a_file(opened: re.Match[str], lines: list[str], number: int) -> bool:
    if _PATH_ATTRIBUTE.search(opened.group(2)):
        return True
    if opened.group(2).strip().rstrip("/"):
        return False
    rest = lines[number][opened.end() : opened.end() + 600]
    following = (
        rest if rest.strip() else next((line for line in lines[number + 1 : number + 4] if line.strip()), "")
    )
    return bool(re.match(r"\s*<(?:path|file_?path|file_?name|name|source)>", following[:600], re.IGNORECASE))


def tag_path(opened: re.Match[str]) -> str | None:
    """The path attribute of an opening tag."""
    found = _PATH_ATTRIBUTE.search(opened.group(2))
    return found.group(1)[1:-1] if found else None


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

    That is so where text follows directly below it and a later fence without an info string is left over.
    """
    bare_later = False
    for position in range(len(result.items) - 1, -1, -1):
        item = result.items[position]
        if item.kind != "fence":
            continue
        if item.closed and bare_later:
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
        if not item.info:
            bare_later = True
