"""Writing several files so that all are in place or none."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from windlass.workspace.base import Change
from windlass.workspace.changes import conflict, folder_of, name_of, parents, temporary_name
from windlass.workspace.handles import Tree, explained
from windlass.workspace.plain_files import Found, mark_of

NOTHING_WRITTEN = "; nothing was written"


def put_in_place(
    tree: Tree, todo: Sequence[Change], found: Mapping[str, Found | None], take_back: contextlib.ExitStack
) -> set[str]:
    """Write every change to a temporary file first, then put all in place; the folders that are still to be flushed.

    ``take_back`` undoes it all: when this raises, or whenever the caller wants.
    """
    touched: set[str] = set()
    temporaries: dict[str, str] = {}
    for change in todo:
        with explained(change.path, NOTHING_WRITTEN):
            touched |= _make_parents(tree, change, take_back)
            if change.after is not None:
                old = found[change.path]
                mode = old.mode if old else _new_mode(change)
                temporaries[change.path] = _stage(tree, change.path, change.after, mode, old, take_back)
    for change in todo:
        with explained(change.path, NOTHING_WRITTEN):
            _move(tree, change, found[change.path], temporaries.get(change.path))
            take_back.callback(_restore, tree, change, found[change.path])
    return touched


def _make_parents(tree: Tree, change: Change, take_back: contextlib.ExitStack) -> set[str]:
    touched = {folder_of(change.path)}
    if change.after is not None:
        for folder in parents(change.path):
            if tree.make_folder(folder):
                touched.add(folder_of(folder))
                take_back.callback(_remove_folder, tree, folder)
    return touched


def _remove_folder(tree: Tree, folder: str) -> None:
    with contextlib.suppress(OSError), tree.folder(folder_of(folder)) as fd:
        os.rmdir(name_of(folder), dir_fd=fd)


def _stage(
    tree: Tree, path: str, data: bytes, mode: int, old: Found | None, take_back: contextlib.ExitStack
) -> str:
    """The name of a new temporary file beside ``path``, complete and on the disk."""
    temporary = temporary_name(tree.mark)
    folder = folder_of(path)
    take_back.callback(_remove_temporary, tree, folder, temporary)
    with tree.folder(folder) as fd:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(temporary, flags, 0o600, dir_fd=fd), "wb") as file:
            file.write(data)
            file.flush()
            if old and old.owner != (os.geteuid(), os.getegid()):
                # Root working in a person's folder: the file stays theirs. Others may not give files away.
                with contextlib.suppress(PermissionError):
                    os.fchown(file.fileno(), *old.owner)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    return temporary


def _remove_temporary(tree: Tree, folder: str, temporary: str) -> None:
    with contextlib.suppress(OSError), tree.folder(folder) as fd:
        os.unlink(temporary, dir_fd=fd)


def _move(tree: Tree, change: Change, old: Found | None, temporary: str | None) -> None:
    name = name_of(change.path)
    with tree.folder(folder_of(change.path)) as fd:
        # Another program may have saved the file while we wrote the temporary ones.
        try:
            mark = mark_of(os.stat(name, dir_fd=fd, follow_symlinks=False))
        except FileNotFoundError:
            mark = None
        if mark != (old.mark if old else None):
            raise conflict([change.path])
        if temporary is None:
            os.unlink(name, dir_fd=fd)
        else:
            os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)


def _restore(tree: Tree, change: Change, old: Found | None) -> None:
    """Put back what was there before; a file that cannot be restored is named in the error."""
    name = name_of(change.path)
    with explained(change.path, ", and it could not be restored: run again to finish the changes"):
        with tree.folder(folder_of(change.path)) as fd:
            if old is None:
                os.unlink(name, dir_fd=fd)
                return
        with contextlib.ExitStack() as leftovers:
            temporary = _stage(tree, change.path, old.data, old.mode, old, leftovers)
            with tree.folder(folder_of(change.path)) as fd:
                os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)


def _new_mode(change: Change) -> int:
    return 0o666 & ~_umask() if change.mode is None else change.mode & 0o777


@functools.cache
def _umask() -> int:
    """The process's file mode mask, where it can be read without changing it; else the usual 022."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0o022
    return next((int(line.split()[1], 8) for line in lines if line.startswith("Umask:")), 0o022)
