"""Small questions about messages, files, people and models, under the names that other code knows them by."""

from __future__ import annotations

import getpass
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from windlass.errors import ArgumentError
from windlass.replies import parse_list
from windlass.replies.languages import ENDINGS, family_of_path, is_prose_file, is_well_known_name
from windlass.replies.thinking import strip_thinking
from windlass.typed import find_json

EnumT = TypeVar("EnumT", bound=Enum)

_NAME = re.compile(r"(?<![\w/.@-])(?:[\w.-]+/)*[\w-][\w.-]*\.[A-Za-z][A-Za-z0-9]{0,9}\b(?![/@(])")
_ITEM = re.compile(r"^[`*_\"']*([^\s`*\"':]+?)[`*_\"']*(?:\s*(?::|--|[-–—=]>?)\s+(.*)|\s*:)?$", re.DOTALL)


@dataclass(frozen=True)
class FilePurpose:
    """A file that is wanted, what for, and the given files that must be read for it."""

    path: str
    purpose: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class UserContext:
    """The person on whose behalf a run works."""

    name: str


def determine_files(text: str) -> list[FilePurpose]:
    """The files that a message or a model's reply names, each once, in order.

    Understands JSON (a list, or an object with one), Markdown lists (``- docs/a.md: what for``), and file names in
    running text. A name without an ending gets ``.txt``. Nothing is checked against a disk.
    """
    found = _from_json(text) or _from_list(text) or _from_prose(text)
    unique: dict[str, FilePurpose] = {}
    for file in found:
        path = with_ending(file.path)
        unique.setdefault(path, FilePurpose(path, file.purpose, file.needs))
    return list(unique.values())


def listed_files(text: str, existing: Collection[str] = ()) -> list[FilePurpose]:
    """The files that a model's reply lists, each once, in order: as JSON, as a Markdown list, or one path a line.

    Running text lists nothing, whatever files it names. A name without an ending gets ``.txt`` unless it is ``existing``.
    """
    found = [file for file in _from_json(text) if _can_be_path(file.path)]
    found = found or _from_list(text) or _from_lines(text)
    unique: dict[str, FilePurpose] = {}
    for file in found:
        path = file.path if file.path in existing else with_ending(file.path)
        unique.setdefault(path, FilePurpose(path, file.purpose, file.needs))
    return list(unique.values())


def _can_be_path(name: str) -> bool:
    """False for "none" and for sentences."""
    if re.sub(r"\W", "", name).lower() in {"", "na", "none", "null", "nil", "nothing", "nofile", "nofiles"}:
        return False
    return len(name.split()) < 4 or _looks_like_file(name)


def _from_lines(text: str) -> list[FilePurpose]:
    """One path a line, with or without a purpose, under at most one line that announces them; else nothing."""
    text, _ = strip_thinking(text)
    lines = [line.strip() for line in text.split("\n") if line.strip() and not line.strip().startswith("```")]
    if len(lines) > 1 and lines[0].endswith(":"):
        lines = lines[1:]
    matches = [_ITEM.match(line) for line in lines]
    files = [FilePurpose(m[1], (m[2] or "").strip()) for m in matches if m and _looks_like_file(m[1])]
    return files if len(files) == len(lines) else []


def _from_json(text: str) -> list[FilePurpose]:
    try:
        value = find_json(text)
    except ValueError:
        return []
    if isinstance(value, dict):
        lists = [v for v in value.values() if isinstance(v, list)]
        if _path_of(value):
            rows: list[Any] = [value]
        elif lists:
            rows = lists[0]
        else:
            rows = [
                {"path": key, "purpose": v}
                for key, v in value.items()
                if isinstance(v, str) and _looks_like_file(key)
            ]
    else:
        rows = value
    files = []
    for row in rows:
        if isinstance(row, str) and row.strip():
            files.append(FilePurpose(row.strip()))
        elif isinstance(row, dict) and _path_of(row):
            needs = row.get("needs") or ()
            purpose = row.get("purpose") or row.get("description") or ""
            files.append(
                FilePurpose(
                    _path_of(row),
                    str(purpose).strip(),
                    tuple(n for n in needs if isinstance(n, str)) if isinstance(needs, list) else (),
                )
            )
    return files


def _path_of(row: Mapping[str, Any]) -> str:
    for key in ("path", "file", "file_name", "filename", "name"):
        value = row.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def _from_list(text: str) -> list[FilePurpose]:
    files = []
    for item in parse_list(text):
        match = _ITEM.match(item.strip())
        if match is None or not _looks_like_file(match[1]):
            continue
        files.append(FilePurpose(match[1], (match[2] or "").strip()))
    return files


def _from_prose(text: str) -> list[FilePurpose]:
    return [FilePurpose(name) for name in _NAME.findall(text) if _looks_like_file(name)]


def _looks_like_file(name: str) -> bool:
    base = name.rsplit("/", 1)[-1]
    ending = base.rpartition(".")[2].lower()
    return ending in ENDINGS or is_well_known_name(base) or family_of_path(name) is not None


def with_ending(name: str) -> str:
    """The name; ``.txt`` is added where it has no ending and is none of the names that need none (Makefile)."""
    base = name.rsplit("/", 1)[-1]
    if not base or "." in base or is_well_known_name(base):
        return name
    return f"{name}.txt"


def is_coding_file(name: str) -> bool:
    """Whether a file is written with code instructions: by its ending or well-known name. Unknown ones are prose."""
    _not_empty("file name", name)
    return not is_prose_file(extract_file_name(name))


def extract_file_name(reference: str) -> str:
    """The base name of a path or address of any system: ``C:\\notes\\a.md`` and ``/notes/a.md`` give ``a.md``.

    Raises ArgumentError (a ValueError) for what names no file, such as ``/``.
    """
    _not_empty("file name", reference)
    if "://" in reference:
        reference = reference.partition("://")[2].partition("?")[0].partition("#")[0]
    base = re.split(r"[\\/]", reference.strip().rstrip("\\/"))[-1]
    # A drive letter may stand directly before the name.
    base = re.sub(r"^[A-Za-z]:", "", base)
    if base in ("", ".", ".."):
        raise ArgumentError(f"{reference!r} names no file.")
    return base


def get_user_context() -> UserContext:
    """Who runs this process; ``user`` where the system has no name for them."""
    try:
        return UserContext(getpass.getuser())
    except (OSError, KeyError):
        return UserContext("user")


def find_enum_value(name: str, values: type[EnumT] | Iterable[str]) -> EnumT | str:
    """The member (of an Enum) or text (of a list) that is called ``name``, whatever its case and separators.

    Raises ArgumentError (a ValueError), which lists the known names.
    """
    _not_empty("name", name)
    wanted = plain(name)
    known: list[EnumT | str] = list(values)
    for candidate in known:
        spellings = (candidate.name, candidate.value) if isinstance(candidate, Enum) else (candidate,)
        if any(plain(str(spelling)) == wanted for spelling in spellings):
            return candidate
    told = ", ".join(str(c.value) if isinstance(c, Enum) else str(c) for c in known) or "none"
    raise ArgumentError(f"Nothing is called {name!r}; known: {told}.")


def plain(name: str) -> str:
    """A name without case and separators, to compare spellings: ``Best of`` and ``best-of`` are one."""
    return re.sub(r"[\s_-]+", "-", name.strip().lower())


def _not_empty(what: str, text: Any) -> None:
    if not isinstance(text, str) or not text.strip():
        raise ArgumentError(f"The {what} is empty.")
