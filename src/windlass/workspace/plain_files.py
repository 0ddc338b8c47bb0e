"""Looking at the plain files below an opened root: no links, pipes, devices or second names."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from windlass.errors import WorkspaceError
from windlass.workspace.base import MAX_FILE_BYTES
from windlass.workspace.changes import IGNORED_FOLDERS, TEMPORARY, folder_of, listed_name, name_of, parents
from windlass.workspace.handles import Tree
from windlass.workspace.names import MAX_DEPTH, has_other_spelling, spelling_among


@dataclass(frozen=True)
class Found:
    data: bytes
    mode: int
    owner: tuple[int, int]
    mark: tuple[int, int, int]


def mark_of(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def on_disk(tree: Tree, path: str) -> str:
    """A checked path as its parts are spelled on the disk, as far as they are there. UnsafePath where that is not certain."""
    if not has_other_spelling(path):
        return path
    found = ""
    for spot in (*parents(path), path):
        component = name_of(spot)
        if has_other_spelling(component):
            try:
                with tree.folder(found) as folder:
                    component = spelling_among(path, component, os.listdir(folder))  # noqa: PTH208 (a handle)
            except OSError:
                pass  # not there, or said when it is opened
        found = f"{found}/{component}" if found else component
    return found


def look(tree: Tree, path: str) -> Found | None:
    try:
        with tree.folder(folder_of(path)) as folder:
            # Asked before opening, since opening a device can already do something.
            _refuse_odd(path, os.stat(name_of(path), dir_fd=folder, follow_symlinks=False))
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            with open(os.open(name_of(path), flags, dir_fd=folder), "rb") as file:
                status = os.fstat(file.fileno())
                _refuse_odd(path, status)
                data = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if len(data) > MAX_FILE_BYTES:
        raise _too_large(path, max(len(data), status.st_size))
    return Found(data, stat.S_IMODE(status.st_mode) & 0o777, (status.st_uid, status.st_gid), mark_of(status))


def _refuse_odd(path: str, status: os.stat_result) -> None:
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        raise WorkspaceError(f"{path} is a folder, not a file.")
    if stat.S_ISLNK(mode):
        raise WorkspaceError(f"{path} is a symbolic link, and links are never followed.")
    if not stat.S_ISREG(mode):
        raise WorkspaceError(f"{path} is a pipe, socket or device, not a regular file.")
    if status.st_nlink > 1:
        raise WorkspaceError(
            f"{path} has {status.st_nlink} names (hard links), so changing it could change a file elsewhere."
        )
    if status.st_size > MAX_FILE_BYTES:
        raise _too_large(path, status.st_size)


def _too_large(path: str, size: int) -> WorkspaceError:
    return WorkspaceError(f"{path} has {size:,} bytes; at most {MAX_FILE_BYTES:,} are read.")


def regular_files(tree: Tree, folder: str, name: str = "", depth: int = 1) -> Iterator[str]:
    """Paths in the order of their text, so that a listing can stop early and still be the first ones.

    ``name`` is the folder's composed name; one of two entries that only composition tells apart is not offered.
    """
    below: list[tuple[str, str, bool]] = []
    try:
        with tree.folder(folder) as fd, os.scandir(fd) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in IGNORED_FOLDERS and depth < MAX_DEPTH:
                        below.append((_composed(entry.name) + "/", entry.name, True))
                elif entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_nlink == 1:
                    below.append((_composed(entry.name), entry.name, False))
    except OSError:
        return  # gone, swapped for a link, or not ours to enter: there is nothing to offer
    spellings = Counter(shown.rstrip("/") for shown, _, _ in below)
    for shown, spelled, is_folder in sorted(below):
        if spellings[shown.rstrip("/")] > 1:
            continue
        path = f"{name}/{shown}" if name else shown
        if is_folder:
            yield from regular_files(tree, f"{folder}/{spelled}" if folder else spelled, path[:-1], depth + 1)
        elif listed_name(path) == path and not TEMPORARY.fullmatch(spelled):
            yield path


def _composed(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)
