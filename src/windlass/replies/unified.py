"""Read unified diffs, with or without git's headers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from windlass.replies.hunks import HUNK_HEADER, Hunk, take_row, unusable

_EXTENDED = re.compile(
    r"^(?:index |new file mode|deleted file mode|old mode|new mode|similarity index|dissimilarity index|"
    r"rename from |rename to |copy from |copy to |Index: |={60,}|Only in )"
)
_GIT_NAMES = re.compile(r"diff --git (?:a/)?(\S+) (?:b/)?(\S+)\s*$")
_RENAMED = re.compile(r"(rename from|rename to) (.+)$")


@dataclass(slots=True)
class FilePatch:
    """What a patch does to one file. ``old``/``new`` are None for /dev/null."""

    old: str | None
    new: str | None
    hunks: list[Hunk] = field(default_factory=list)
    rename: bool = False
    named: bool = True


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
    reader = _Reader(lines)
    for index, line in enumerate(lines):
        reader.read(index, line)
    reader.close_git()
    return reader.patches


class _Reader:
    """Where in a diff the reading is: in git's headers, at a file, in a hunk with so many lines left."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.patches: list[FilePatch] = []
        self._lines = lines
        self._current: FilePatch | None = None
        self._hunk: Hunk | None = None
        #: What git's extended headers say of a file that no ``---`` line has named yet.
        self._git: dict[str, str] = {}
        #: Old and new lines that the stated counts of the hunk still promise.
        self._left = (0, 0)
        self._marked: bool | None = None

    def read(self, index: int, line: str) -> None:
        if line.startswith("diff --git ") and not (self._hunk and self._left[0] > 0):
            self._git_file(line)
        elif self._hunk is None and self._current is None and self._git_says(line):
            return
        elif _is_header(self._lines, index, self._left):
            old, new = _header_name(line), _header_name(self._lines[index + 1])
            self._start(FilePatch(old, new, rename="rename from" in self._git))
            self._git.clear()
        elif line.startswith("+++ ") and self._awaits_hunk():
            return
        elif line.startswith("@@"):
            self._hunk_header(line)
        elif self._hunk is not None or self._hunk_without_header(line):
            self._row(line)

    def close_git(self) -> None:
        """Record a file that only git's headers name: renamed as it is, deleted empty or added empty."""
        git = self._git
        if self._current is None:
            if "rename from" in git and "rename to" in git:
                self.patches.append(FilePatch(git["rename from"], git["rename to"], rename=True))
            elif "deleted" in git and "old" in git:
                self.patches.append(FilePatch(git["old"], None))
            elif "added" in git and "new" in git:
                self.patches.append(FilePatch(None, git["new"], [Hunk()]))
        git.clear()

    def _start(self, patch: FilePatch) -> None:
        self.patches.append(patch)
        self._current, self._hunk, self._left = patch, None, (0, 0)

    def _awaits_hunk(self) -> bool:
        return self._current is not None and self._hunk is None and not self._current.hunks

    def _git_file(self, line: str) -> None:
        self.close_git()
        self._current = self._hunk = None
        names = _GIT_NAMES.match(line)
        if names:
            self._git.update(old=names.group(1), new=names.group(2))
        else:
            self._git["seen"] = ""

    def _git_says(self, line: str) -> bool:
        """Take in one of git's extended headers. True where nothing else is to be done with the line."""
        renamed = _RENAMED.match(line)
        if renamed:
            self._git[renamed.group(1)] = renamed.group(2).strip()
            return True
        if line.startswith("deleted file mode"):
            self._git["deleted"] = ""
        if line.startswith("new file mode"):
            self._git["added"] = ""
        if line.startswith(("copy from ", "GIT binary patch", "Binary files ")):
            raise unusable("The patch copies or holds binary data, which cannot be applied.")
        return False

    def _hunk_header(self, line: str) -> None:
        stated = HUNK_HEADER.match(line)
        self._new_hunk(int(stated.group(1)) if stated else None)
        if stated:
            self._left = (int(stated.group(2) or 1), int(stated.group(4) or 1))

    def _new_hunk(self, line: int | None = None) -> None:
        if self._current is None:
            self._start(FilePatch(None, None, named=False))
        assert self._current is not None
        self._hunk, self._left = Hunk(line=line), (0, 0)
        self._current.hunks.append(self._hunk)

    def _hunk_without_header(self, line: str) -> bool:
        """Open a hunk for a marked line where none was announced. False for a line to pass over."""
        if _EXTENDED.match(line) or not line.strip() or line.startswith(("--- ", "+++ ")):
            return False
        marked = line[:1] in "+- "
        if self._current is None:
            if self.patches or not marked or not self._all_marked():
                return False
        elif not marked or self._current.hunks:
            raise unusable(
                f"The patch has a line that belongs to no hunk: {line[:80]!r}.",
                self._current.new or self._current.old,
            )
        self._new_hunk()
        return True

    def _row(self, line: str) -> None:
        assert self._hunk is not None
        name = (self._current.new or self._current.old) if self._current else None
        mark = take_row(self._hunk, line, name)
        if mark is not None:
            self._left = (self._left[0] - (mark != "+"), self._left[1] - (mark != "-"))

    def _all_marked(self) -> bool:
        """True where every line of the diff has a mark, and one is added or removed."""
        if self._marked is None:
            self._marked = all(not line or line[0] in "+- " for line in self._lines) and any(
                line[:1] in ("+", "-") for line in self._lines
            )
        return self._marked
