"""The path that a block gives itself: in a comment on its first line, or alone there."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from windlass.replies.bare import is_talk_only
from windlass.replies.labels import DESCRIBED, PARTIAL, SUFFIX, strict_label, unruled
from windlass.replies.languages import family_of_path, fits, is_source
from windlass.replies.pathlike import LONGEST, looks_like_path, undecorate
from windlass.replies.sentences import Label
from windlass.replies.targets import Targets
from windlass.replies.wording import speaks_of_a_part

_COMMENT = re.compile(r"\s*(?:#+|//|--|;+|%|/\*+|<!--|\"{3}|'{3}|REM)\s*(.+?)\s*(?:\*/|-->|\"{3}|'{3})?\s*$")
_CELL = re.compile(r"%%(?:writefile|file)\s+(\S+)\s*")
_MARKER = re.compile(
    r"(?:file\s*path|file\s*name|filepath|filename|file|path|datei(?:name)?|fichier|archivo|arquivo|файл|文件名?|ファイル名?|파일)"
    r"\s*[:：=]\s*(.+)$",
    re.IGNORECASE,
)
#: What may stand above the comment that names the file.
_FIRST_OF_ALL = re.compile(r"#!|#.{0,10}\bcoding[:=]|<\?php\s*$|<!DOCTYPE\b", re.IGNORECASE)


def own_label(lines: Sequence[str], word: str | None, targets: Targets) -> Label | None:
    """The path that a block gives itself; ``word`` is the language family of its info string."""
    label = _first_comment(lines, targets.names, loose=True)
    if label is not None and targets.only is not None and label.differs_from(targets.only):
        label = _first_comment(lines, targets.names, loose=False)
    return label or _first_line(lines, word, targets)


def _first_comment(lines: Sequence[str], names: Collection[str], *, loose: bool) -> Label | None:
    """The path that a block gives itself: in a comment on its first line, or on the one below ``#!`` and the like."""
    filled = [line for line in itertools.islice(lines, 40) if line.strip()][:2]
    if len(filled) == 2 and _FIRST_OF_ALL.match(filled[0]):
        label = comment_label(filled[1], names, loose=loose)
        return replace(label, drop_first_line=False) if label is not None else None
    return comment_label(filled[0], names, loose=loose) if filled else None


def comment_label(first_line: str, names: Collection[str], *, loose: bool = False) -> Label | None:
    """The path in a comment on one line (``# src/x.py``, ``// filepath: src/x.js``); ``loose`` with words about it, too."""
    if len(first_line) > LONGEST or first_line.startswith("#!"):
        return None
    cell = _CELL.fullmatch(first_line)
    if cell and looks_like_path(cell.group(1), names):
        return Label(cell.group(1), strict=True, drop_first_line=True, comment=True)
    comment = _COMMENT.match(first_line)
    if comment is None:
        return None
    marker = _MARKER.match(comment.group(1))
    text = marker.group(1) if marker else comment.group(1)
    note = SUFFIX.search(text) if loose else None
    described = None if marker or not loose else DESCRIBED.fullmatch(text)
    name = undecorate(described.group(1) if described else unruled(text[: note.start()] if note else text))
    if not looks_like_path(name, names) or (family_of_path(name) is None and name not in names):
        return None
    said = described.group(2) if described else note.group(1) if note else ""
    partial = bool(PARTIAL.search(said)) or speaks_of_a_part([said])
    filepath = bool(marker) and comment.group(1).lower().replace(" ", "").startswith("filepath")
    return Label(name, strict=True, partial=partial, drop_first_line=filepath, comment=True)


def _first_line(lines: Sequence[str], word: str | None, targets: Targets) -> Label | None:
    """The path on a line of its own above source, inside the block; it is no part of the file."""
    number = next((number for number, line in enumerate(lines) if line.strip()), 0)
    first = lines[number].strip() if lines else ""
    label = None if first.startswith(("#", "/", "-", "<", "*")) else strict_label(first, targets.names)
    if label is None or not is_source(label.raw) or not fits(word, label.raw):
        return None
    rest = lines[number + 1 :]
    elsewhere = targets.only is not None and label.differs_from(targets.only)
    if elsewhere or not any(line.strip() for line in rest) or is_talk_only("\n".join(rest)):
        return None
    return Label(label.raw, strict=True, drop_first_line=True, comment=True)
