"""Which file each SEARCH/REPLACE block of a reply belongs to."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.replies.edits import read_edit
from windlass.replies.kinds import refusal
from windlass.replies.labels import strict_label
from windlass.replies.languages import is_page
from windlass.replies.markers import EditIndex
from windlass.replies.operations import Change
from windlass.replies.sentences import Clash, Label
from windlass.replies.targets import Targets


class EditBlocks:
    """Reads edits in the order of the reply: one without a path belongs to the file of the one before it."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._path: str | None = None

    def about(self, label: Label | Clash | None, pending: str | None) -> None:
        """Take in what stands above a block: its label, or the path that a block of its own gave before."""
        if isinstance(label, Label):
            self._path = label.raw
        elif pending is not None:
            self._path = pending
        elif isinstance(label, Clash):
            self._path = None

    def read(self, lines: Sequence[str]) -> Change:
        """One block, markers included. Raises ReplyError where its middle or its file is unclear."""
        only = self._targets.only
        edit = read_edit(lines, page=is_page(self._path or only or "x.md"))
        written = edit.path or self._path
        if written is not None:
            return Change(self._targets.resolve(written, existing=bool(edit.search)), edit)
        path = only
        if path is None and len(self._targets.known) == 1 and edit.search:
            path = next(iter(self._targets.known))
        if path is None:
            raise refusal("no_path", "An edit block does not say which file it is for.", edit=True)
        return Change(path, edit)

    def read_fenced(self, lines: list[str], index: EditIndex, start: int) -> list[Change]:
        """Every block of a fence, from line ``start`` on; lines between blocks may only be paths."""
        changes: list[Change] = []
        number = start
        while number < len(lines):
            line = lines[number]
            if index.opens_at(number):
                end = index.end_of(number)
                if end is None:
                    raise refusal("truncated", "An edit block is not closed.", edit=True)
                changes.append(self.read(lines[number : end + 1]))
                number = end
            elif line.strip():
                label = strict_label(line, self._targets.names)
                if label is None:
                    raise refusal(
                        "ambiguous",
                        f"A line between edits belongs to none: {line.strip()[:80]!r}.",
                        edit=True,
                    )
                self._path = label.raw
            number += 1
        return changes
