"""Read a list out of a plain-text reply."""

from __future__ import annotations

import re

from windlass.replies.thinking import strip_thinking

_BULLET = re.compile(r"^([ \t]*)(?:[-*+•]|\(?\d{1,4}[.)])(?:[ \t]+(.*)|$)")
_BOLD_NUMBER = re.compile(r"^([ \t]*)(\*\*|__)[ \t]*\(?\d{1,4}[.)][ \t]*(.*)$")
_RULE = re.compile(r"^[ \t]*([-*_])(?:[ \t]*\1){2,}[ \t]*$")
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})(.*)$")
_BOX = re.compile(r"^\[[ xX]\][ \t]+")
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]")


def parse_list(text: str) -> list[str]:
    """The items of the first level of a list, in order; empty where there is none.

    Bullets ``-``, ``*``, ``+``, numbers ``1.``, ``1)`` and bold numbers; lines that go on with an item
    are joined to it with a space. Thinking, fenced code, nested bullets, headings and rules are left out.
    """
    text, _ = strip_thinking(text.replace("\r\n", "\n").lstrip("\ufeff"))
    items: list[list[str]] = []
    fence: str | None = None
    margin: int | None = None
    going_on = blank = False
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence is not None:
            if (
                mark
                and mark.group(1)[0] == fence[0]
                and len(mark.group(1)) >= len(fence)
                and not mark.group(2).strip()
            ):
                fence = None
            continue
        if mark and not (mark.group(1)[0] == "`" and "`" in mark.group(2)):
            fence = mark.group(1)
            continue
        if not line.strip():
            blank = True
            continue
        if _RULE.match(line) or _HEADING.match(line):
            going_on, blank = False, True
            continue
        found = _item(line)
        indent = len(line[: len(line) - len(line.lstrip())].expandtabs(4))
        if found is not None:
            if margin is None or indent <= margin + 1:
                margin = indent
                items.append([found] if found else [])
                going_on, blank = True, False
            else:
                # A nested bullet, and everything that goes on with it.
                going_on, blank = False, False
            continue
        if going_on and items and (not blank or indent > (margin or 0)):
            items[-1].append(line.strip())
        elif blank and indent <= (margin or 0):
            going_on = False
        blank = False
    return [joined for item in items if (joined := " ".join(part for part in item if part).strip())]


def _item(line: str) -> str | None:
    bold = _BOLD_NUMBER.match(line)
    if bold:
        mark, rest = bold.group(2), bold.group(3)
        if rest.startswith(mark):
            return rest[len(mark) :].strip()
        head, closed, tail = rest.partition(mark)
        return (
            (f"{mark}{head.strip()}{mark}{tail}" if tail.strip() else head.strip())
            if closed
            else rest.strip()
        )
    bullet = _BULLET.match(line)
    if bullet is None:
        return None
    return _BOX.sub("", (bullet.group(2) or "").strip())
