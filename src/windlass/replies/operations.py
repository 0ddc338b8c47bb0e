"""What a reply asks for, before it is checked and applied."""

from __future__ import annotations

from dataclasses import dataclass, field

from windlass.replies.edits import Edit
from windlass.replies.hunks import Hunk


@dataclass(frozen=True, slots=True)
class Whole:
    """Write the file whole. ``labelled`` = the reply named the path itself."""

    path: str
    text: str
    labelled: bool = True
    weak: bool = False
    #: True for text given as data (a JSON string): its end is exact, no LF is added or implied.
    exact: bool = False
    #: The words around the block say that it is a part of the file.
    part: bool = False
    #: The words above the block offer it as one of several to choose from.
    another: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """Put one SEARCH/REPLACE edit into the file; ``path`` None = the reply did not say."""

    path: str | None
    edit: Edit


@dataclass(frozen=True, slots=True)
class Substitute:
    """Replace the one occurrence of ``old`` (the form of string-replace tools)."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Patch:
    """Apply hunks. ``create`` = the patch says that the file is new."""

    path: str | None
    hunks: list[Hunk] = field(default_factory=list)
    create: bool = False
    move_to: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    path: str
    hunks: list[Hunk] = field(default_factory=list)


Operation = Whole | Change | Substitute | Patch | Delete
