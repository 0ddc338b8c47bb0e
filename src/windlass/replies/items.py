"""The outermost structures of a reply, as lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

_CONTAINER = re.compile(
    r"^[ \t]*</?(?:files|output|answer|response|documents|boltArtifact|result|changes)\b[^<>\n]{0,300}>[ \t]*$",
    re.IGNORECASE,
)

Kind = Literal["fence", "edit", "patch", "tag", "diff"]


@dataclass(frozen=True, slots=True)
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
