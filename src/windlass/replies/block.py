"""A fence of a reply, and what is known about it before its content is read."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from windlass.replies.items import Item
from windlass.replies.sentences import Clash, Label


class Verdict(enum.Enum):
    """What a reading did with a block."""

    #: The block is dealt with; a label above it was its own.
    TAKEN = enum.auto()
    #: The block is no file (a command, an output); a label above it belongs to the next one.
    PASSED = enum.auto()


@dataclass(frozen=True)
class Block:
    """A fence, and what is known about it before its content is read."""

    item: Item
    lines: list[str]
    #: The lines above it, nearest last.
    gap: list[str]
    label: Label | Clash | None
    #: A path that stood in a block of its own just before.
    pending: str | None
    #: The first line that is not blank.
    first: str
    #: The language family that the info string names.
    word: str | None

    @property
    def strict(self) -> Label | None:
        return self.label if isinstance(self.label, Label) and self.label.strict else None

    def trimmed(self) -> Sequence[str]:
        """The lines without the blank ones at the end, which are layout where a diff is meant."""
        end = len(self.lines)
        while end and not self.lines[end - 1].strip():
            end -= 1
        return self.lines[:end]

    def opens_diff(self) -> bool:
        """True where the lines are a diff, whatever the info string says."""
        first, lines = self.first, self.lines
        if not first.startswith(("diff --git ", "@@ ", "--- ")):
            return False
        if not any(line.startswith("@@") for line in lines):
            return False
        return first.startswith(("diff --git ", "@@ -")) or any(
            line.startswith("--- ") and number + 1 < len(lines) and lines[number + 1].startswith("+++ ")
            for number, line in enumerate(lines)
        )

    def without_path_comment(self, label: Label, known: str) -> Sequence[str]:
        """The lines without a first comment that is there for its path only (``// filepath: …``)."""
        if not label.drop_first_line or known.startswith(self.first):
            return self.lines
        number = self.lines.index(self.first)
        return self.lines[:number] + self.lines[number + 1 :]
