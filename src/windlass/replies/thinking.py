"""Remove what a model thought aloud; it is never output."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable

from windlass.replies.markers import opens_a_structure
from windlass.replies.scan import scan

_OPEN = re.compile(r"[ \t]*(?:<(think|thinking|thought|reasoning)>|(\[THINK\])|(◁think▷))", re.IGNORECASE)
_ANY_CLOSE = re.compile(r"</(?:think|thinking|thought|reasoning)>|\[/THINK\]|◁/think▷", re.IGNORECASE)
_ANY_OPEN = re.compile(r"<(?:think|thinking|thought|reasoning)>|\[THINK\]|◁think▷", re.IGNORECASE)
_ANY = re.compile(rf"(?P<close>{_ANY_CLOSE.pattern})|{_ANY_OPEN.pattern}", re.IGNORECASE)
_BLANK = re.compile(r"\s*$")
#: Characters of a line that can hold a closing tag alone, with its indentation.
_LONGEST_ALONE = 400
#: Characters of a line whose quotes are counted for each tag in it; more could take too long.
_LONGEST_COUNTED = 20_000
_CLOSE_ALONE = re.compile(rf"^[ \t]*(?:{_ANY_CLOSE.pattern})[ \t]*$", re.IGNORECASE | re.MULTILINE)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^\n`]*)$")
_QUOTES = "\"'`(/[|\\"


#: Marks of a model's own format that a server let through: where the answer starts, and where it ends.
_TURN_START = re.compile(
    r"\s*(?:<\|im_start\|>assistant|<start_of_turn>model|<\|start_header_id\|>assistant<\|end_header_id\|>)\s*"
)
_TURN_END = re.compile(
    r"(?:\s*(?:<\|(?:im_end|end|eot_id|eom_id|endoftext|end_of_text|return|end_of_turn)\|>|<end_of_turn>|<｜end▁of▁sentence｜>|<eos>|</s>))+\s*\Z"
)
_CHANNELS = re.compile(r"\s*<\|(?:start|channel)\|>")
_FINAL = re.compile(r"<\|channel\|>final[^<\n]{0,40}(?:<\|constrain\|>\w+)?<\|message\|>")


def strip_turn_marks(text: str, known: Iterable[str]) -> tuple[str, bool]:
    """The text without the marks around an answer, and whether it has channels of thinking and no answer.

    A file that holds such marks already may end with one.
    """
    if _CHANNELS.match(text):
        final = [found.end() for found in _FINAL.finditer(text)]
        if not final:
            return text, True
        text = text[final[-1] :]
    started = _TURN_START.match(text)
    text = text[started.end() :] if started else text
    ended = _TURN_END.search(text[-400:])
    if ended is None or ("</s>" in ended.group() and "<s>" in text):
        return text, False
    if any(mark in present for mark in ended.group().split() for present in known):
        return text, False
    return text[: len(text) - len(ended.group())] + "\n", False


def strip_thinking(text: str) -> tuple[str, bool]:
    """The text without thinking, and whether thinking was opened and never closed.

    A tag counts where it starts a line outside a fence, so source code that *mentions* the tags stays
    as it is. A closing tag without an opening one ends thinking that began before the reply did.
    """
    if _ANY_CLOSE.search(text) is None and _ANY_OPEN.search(text) is None:
        return text, False
    text = _drop_before_orphan(text)
    lines = text.split("\n")
    kept: list[str] = []
    fence: tuple[str, int] | None = None
    # What follows thinking on the same line may itself open a block or another thought: ``start`` is there.
    index = start = 0
    while index < len(lines):
        line = lines[index]
        mark = _FENCE.match(line, start)
        if mark:
            fence = _step(fence, mark)
        opened = None if fence else _OPEN.match(line, start)
        if opened is None:
            kept.append(line[start:])
            index, start = index + 1, 0
            continue
        close = re.compile(re.escape(_closing(opened)), re.IGNORECASE)
        start = opened.end()
        while (found := close.search(lines[index], start)) is None:
            index, start = index + 1, 0
            if index == len(lines):
                return "\n".join(kept), True
        start = found.end()
        if _BLANK.match(lines[index], start):
            index, start = index + 1, 0
    return "\n".join(kept), False


def _closing(opened: re.Match[str]) -> str:
    if opened.group(2):
        return "[/THINK]"
    return "◁/think▷" if opened.group(3) else f"</{opened.group(1)}>"


def _step(fence: tuple[str, int] | None, mark: re.Match[str]) -> tuple[str, int] | None:
    char, size, info = mark.group(1)[0], len(mark.group(1)), mark.group(2).strip()
    if fence is None:
        return char, size
    return None if char == fence[0] and size >= fence[1] and not info else fence


def _drop_before_orphan(text: str) -> str:
    """Cut everything up to a closing tag that nothing opened."""
    depth = 0
    fence: tuple[str, int] | None = None
    lines = text.split("\n")
    cut: tuple[int, int] | None = None
    framed: _Framed | None = None
    for number, line in enumerate(lines):
        mark = _FENCE.match(line)
        if mark:
            fence = _step(fence, mark)
            continue
        for tag in _ANY.finditer(line):
            if not tag["close"]:
                depth += 1
            elif depth:
                depth -= 1
            elif _is_orphan(lines, number, tag, fence):
                framed = framed or _Framed(text)
                if not framed.holds(number):
                    cut = (number, tag.end())
                    fence = None
    if cut is None:
        return text
    number, end = cut
    return "\n".join([lines[number][end:], *lines[number + 1 :]])


class _Framed:
    """Which lines of a text lie inside an edit, a patch or a tag that is closed before another one opens."""

    def __init__(self, text: str) -> None:
        found = scan(text)
        self._items = found.items
        self._starts = [item.start for item in found.items]
        self._openings = [number for number, line in enumerate(found.lines) if opens_a_structure(line)]

    def holds(self, number: int) -> bool:
        at = bisect.bisect_right(self._starts, number) - 1
        if at < 0:
            return False
        item = self._items[at]
        if item.kind == "fence" or not item.closed or item.end < number:
            return False
        following = bisect.bisect_right(self._openings, number)
        return following == len(self._openings) or self._openings[following] > item.end


def _in_a_string(line: str, tag: re.Match[str]) -> bool:
    """True for a tag between double quotes on one line, as source and JSON have it."""
    if len(line) > _LONGEST_COUNTED or line.find('"', tag.end()) < 0:
        return False
    return (line.count('"', 0, tag.start()) - line.count('\\"', 0, tag.start())) % 2 == 1


def _is_orphan(lines: list[str], number: int, closed: re.Match[str], fence: tuple[str, int] | None) -> bool:
    line = lines[number]
    alone = len(line) <= _LONGEST_ALONE and line.strip() == closed.group()
    if not alone and _in_a_string(line, closed):
        return False
    if fence is None:
        before, after = (
            line[max(0, closed.start() - 1) : closed.start()],
            line[closed.end() : closed.end() + 1],
        )
        return alone or not ((before and before in _QUOTES) or (after and after in _QUOTES))
    # Inside a fence it is file content, unless the fence was part of the thinking and never closed:
    # then another block opens right behind the tag.
    if not alone:
        return False
    for line in lines[number + 1 : number + 30]:
        mark = _FENCE.match(line)
        if mark:
            return bool(mark.group(2).strip())
    return False


def ends_a_thought(text: str) -> bool:
    """Whether a file's text has a closing thinking tag alone on a line, and no opening one before it."""
    found = _CLOSE_ALONE.search(text)
    return found is not None and _ANY_OPEN.search(text, 0, found.start()) is None
