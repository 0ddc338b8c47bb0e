"""Copying a folder's regular files, for a sandbox to run on."""

from __future__ import annotations

import os
import stat
import unicodedata
from pathlib import Path

from windlass.errors import WorkspaceError
from windlass.workspace.changes import IGNORED_FOLDERS, TEMPORARY
from windlass.workspace.handles import explained

#: A copy is refused (not cut short) beyond this many bytes or files; deeper folders are left out.
MAX_COPIED_BYTES = 500 * 1024**2
MAX_COPIED_FILES = 50_000
MAX_COPIED_DEPTH = 64

_CHUNK = 1024**2


class Allowance:
    """What a copy may still use. Raises WorkspaceError when it is used up."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._bytes = 0
        self._files = 0

    def add_file(self) -> None:
        """Count one more file."""
        self._files += 1
        if self._files > MAX_COPIED_FILES:
            raise WorkspaceError(
                f"{self._source} holds more than {MAX_COPIED_FILES:,} files, too many to copy for a test run;"
                " work in a smaller folder."
            )

    def add_bytes(self, count: int) -> None:
        """Count ``count`` more bytes."""
        self._bytes += count
        if self._bytes > MAX_COPIED_BYTES:
            raise WorkspaceError(
                f"{self._source} holds more than {MAX_COPIED_BYTES // 1024**2} MB, too much to copy for a test"
                " run; work in a smaller folder."
            )


def prepare_target(target: Path) -> None:
    """Make ``target`` if it is missing. Raises WorkspaceError when it is not an empty folder."""
    with explained(f"Folder {target}"):
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise WorkspaceError(f"Folder {target} is not empty; a copy needs a folder of its own.")


def copy_tree(source: int, target: Path, allowance: Allowance) -> None:
    """Copy what lies below the open folder ``source`` into the empty folder ``target``.

    Takes regular files with their permission bits; leaves out symlinks, devices, ignored folders and
    whatever this user may not read (the test run could not read it either).
    """
    prepare_target(target)
    with explained(f"The copy in {target}"):
        _copy_folder(source, target, allowance, 1)


def _copy_folder(source: int, target: Path, allowance: Allowance, depth: int) -> None:
    with os.scandir(source) as entries:
        listed = [
            (entry.name, entry.is_dir(follow_symlinks=False))
            for entry in entries
            if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
        ]
    names = {name for name, _ in listed}
    for name, is_folder in listed:
        if name in IGNORED_FOLDERS or TEMPORARY.fullmatch(name):
            continue
        # Under its composed name, the one it is called by here and by which Python imports it.
        composed = unicodedata.normalize("NFC", name)
        copy = target / (name if composed in names else composed)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            fd = os.open(name, flags | (os.O_DIRECTORY if is_folder else 0), dir_fd=source)
        except OSError:
            continue  # gone, swapped for a link, or not ours to read
        try:
            if not is_folder:
                _copy_file(fd, copy, allowance)
            elif depth < MAX_COPIED_DEPTH:
                copy.mkdir()
                _copy_folder(fd, copy, allowance, depth + 1)
        finally:
            os.close(fd)


def _copy_file(source: int, target: Path, allowance: Allowance) -> None:
    status = os.fstat(source)
    if not stat.S_ISREG(status.st_mode):
        return  # it was a file a moment ago
    allowance.add_file()
    allowance.add_bytes(status.st_size)
    left = status.st_size  # a file that grows meanwhile is cut there
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
        while left > 0 and (chunk := os.read(source, min(left, _CHUNK))):
            left -= len(chunk)
            copy.write(chunk)
        os.fchmod(copy.fileno(), stat.S_IMODE(status.st_mode) & 0o777)
