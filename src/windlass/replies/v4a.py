"""Read V4A patches (``*** Begin Patch`` … ``*** End Patch``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from windlass.replies.hunks import HUNK_HEADER, Hunk, take_row, unusable
from windlass.replies.kinds import refusal
from windlass.replies.markers import PATCH_CLOSE, PATCH_OPEN


@dataclass(slots=True)
class Operation:
    """One file operation of a V4A patch."""

    verb: str
    path: str
    hunks: list[Hunk] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    move_to: str | None = None
    #: Blank lines without a mark that may be the new file's own, or layout before the next ``***`` line.
    blank: int = 0

    def add_line(self, line: str) -> None:
        """One line of a new file. Blank lines without '+' count only where a line with one follows."""
        if not line:
            self.blank += 1
            return
        self.lines.extend([""] * self.blank)
        self.blank = 0
        self.lines.append(line[1:])


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
        if line.rstrip() in (PATCH_OPEN, PATCH_CLOSE):
            continue
        if not operations:
            if line.strip():
                raise unusable(f"The patch starts with a line that names no file: {line[:80]!r}.")
            continue
        operation = operations[-1]
        if line.startswith("*** Move to:"):
            operation.move_to = line[12:].strip()
        elif line.startswith("*** End of File"):
            if hunk is not None:
                hunk.at_end = True
        elif line.startswith("*** "):
            raise unusable(f"The patch has an unknown line: {line[:80]!r}.", operation.path)
        elif operation.verb == "Add":
            if line and line[0] != "+":
                raise unusable(
                    f"A line of the new file {operation.path} has no '+' in front: {line[:80]!r}.",
                    operation.path,
                )
            operation.add_line(line)
        elif operation.verb == "Delete":
            if line.strip():
                raise unusable(
                    f"Deleting {operation.path} takes no further lines: {line[:80]!r}.", operation.path
                )
        elif line.startswith("@@"):
            anchor = re.sub(r"\s*@@\s*$", "", line[2:]).strip()
            stated = HUNK_HEADER.match(line)
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
            take_row(hunk, line, operation.path)
    return operations


def until_end(lines: Sequence[str]) -> Sequence[str]:
    """The lines of a patch to its end marker. Raises ReplyError (truncated) where there is none."""
    for number, line in enumerate(lines):
        if line.rstrip() == PATCH_CLOSE:
            return lines[: number + 1]
    raise refusal("truncated", "The patch has no '*** End Patch' line.", edit=True)
