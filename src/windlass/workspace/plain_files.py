"""Looking at the plain files below an opened root: no links, pipes, devices or second names."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from windlass.errors import WorkspaceError
from windlass.workspace.base import MAX_FILE_BYTES
from windlass.workspace.changes import IGNORED_FOLDERS, TEMPORARY, folder_of, is_listable, name_of
from windlass.workspace.handles import Tree
from windlass.workspace.names import MAX_DEPTH


@dataclass(frozen=True)
class Found:
    data: bytes
    mode: int
    owner: tuple[int, int]
    mark: tuple[int, int, int]


def mark_of(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


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


def regular_files(tree: Tree, folder: str, depth: int = 1) -> Iterator[str]:
    """Paths in the order of their text, so that a listing can stop early and still be the first ones."""
    prefix = f"{folder}/" if folder else ""
    below: list[tuple[str, bool]] = []
    try:
        with tree.folder(folder) as fd, os.scandir(fd) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in IGNORED_FOLDERS and depth < MAX_DEPTH:
                        below.append((entry.name + "/", True))
                elif entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_nlink == 1:
                    below.append((entry.name, False))
    except OSError:
        return  # gone, swapped for a link, or not ours to enter: there is nothing to offer
    for name, is_folder in sorted(below):
        if is_folder:
            yield from regular_files(tree, prefix + name[:-1], depth + 1)
        elif is_listable(prefix + name) and not TEMPORARY.fullmatch(name):
            yield prefix + name
