"""What every workspace asks of a set of changes before it touches a file. Pure, no I/O."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from windlass.errors import UnsafePath, WorkspaceConflict, WorkspaceError
from windlass.workspace.base import MAX_FILE_BYTES, Change
from windlass.workspace.names import VCS_FOLDERS, check_path, collision_key

#: Folders that hold nothing a person wrote; neither listed nor copied.
IGNORED_FOLDERS = VCS_FOLDERS | {
    "__pycache__",
    "node_modules",
    ".venv",
    "venv",
    ".cache",
    ".eggs",
    ".gradle",
    ".hypothesis",
    ".ipynb_checkpoints",
    ".mypy_cache",
    ".nox",
    ".parcel-cache",
    ".pytest_cache",
    ".ruff_cache",
    ".tox",
    ".turbo",
}

#: Names of our own half-written files; one that survives a crash is removed by a later apply.
TEMPORARY = re.compile(r"\.windlass-([0-9a-f]{8})[0-9a-f]{8}\.tmp")


def temporary_name(mark: str) -> str:
    """A new name of that form, for a file written under the lock of the root that has this mark (8 hex digits)."""
    return f".windlass-{mark}{secrets.token_hex(4)}.tmp"


def is_ignored(path: str) -> bool:
    """True when the file lies in a folder that is neither listed nor copied, or is our own leftover."""
    *folders, name = path.split("/")
    return any(folder in IGNORED_FOLDERS for folder in folders) or TEMPORARY.fullmatch(name) is not None


def listed_name(path: str) -> str | None:
    """The name under which ``read`` gives a file that is spelled like this; None when it does not."""
    try:
        return check_path(path)
    except UnsafePath:
        return None


def folder_of(path: str) -> str:
    """The folder a file lies in, ``""`` for the root."""
    return path.rpartition("/")[0]


def name_of(path: str) -> str:
    """The last component."""
    return path.rpartition("/")[2]


def parents(path: str) -> list[str]:
    """The folders above a file, outermost first: ``a/b/c.py`` gives ``a`` and ``a/b``."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def checked(changes: Sequence[Change]) -> list[Change]:
    """The changes with checked names. Raises UnsafePath for the second of two names that collide.

    Raises WorkspaceError for content over MAX_FILE_BYTES.
    """
    result = []
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for change in changes:
        path = check_path(change.path)
        if TEMPORARY.fullmatch(name_of(path)):
            raise UnsafePath(path, "names of this form are kept for half-written files")
        if change.after is not None and len(change.after) > MAX_FILE_BYTES:
            raise WorkspaceError(
                f"{path} would be {len(change.after):,} bytes; at most {MAX_FILE_BYTES:,} are written."
            )
        key = collision_key(path)
        if key in files:
            raise UnsafePath(path, f"the same changes already name {files[key]!r}")
        if key in folders:
            raise UnsafePath(path, f"the same changes use {folders[key]!r} as a folder")
        files[key] = path
        for folder in parents(path):
            folder_key = collision_key(folder)
            if folder_key in files:
                raise UnsafePath(path, f"the same changes use {files[folder_key]!r} as a file")
            if folders.setdefault(folder_key, folder) != folder:
                raise UnsafePath(path, f"the same changes already name the folder {folders[folder_key]!r}")
        result.append(replace(change, path=path))
    return result


def sort_out(
    changes: Sequence[Change], present: Mapping[str, bytes | None], *, force: bool
) -> tuple[list[Change], list[Change]]:
    """What is left to do and what is done already. Raises WorkspaceConflict naming what does not fit."""
    todo: list[Change] = []
    already: list[Change] = []
    conflicts: list[str] = []
    for change in changes:
        now = present[change.path]
        if now == change.after:
            already.append(change)
        elif force or now == change.before:
            todo.append(change)
        else:
            conflicts.append(change.path)
    if conflicts:
        raise conflict(conflicts)
    return todo, already


def conflict(paths: Sequence[str]) -> WorkspaceConflict:
    """The error for files that are neither what they were nor what they should become."""
    shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    verb = "is not what it was" if len(paths) == 1 else "are not what they were"
    return WorkspaceConflict(
        f"{shown} {verb} when it was read; nothing was written.", "Look at it, then run again."
    )


def refuse_twin(path: str, component: str, siblings: Set[str]) -> None:
    """Raise UnsafePath when a folder holds another spelling of ``component``, and not this one.

    On a file system that does not tell the two apart, writing one would change the other.
    """
    if component in siblings:
        return
    key = collision_key(component)
    for sibling in siblings:
        if collision_key(sibling) == key:
            raise UnsafePath(path, f"it differs only in case or Unicode form from {sibling!r}, which exists")
