"""A workspace in a local folder."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

from windlass.errors import WorkspaceError
from windlass.workspace.base import Applied, Change, FileVersion
from windlass.workspace.changes import checked
from windlass.workspace.copying import Allowance, copy_tree
from windlass.workspace.handles import ResolverName, Tree, explained
from windlass.workspace.names import check_path
from windlass.workspace.plain_files import look, on_disk, regular_files
from windlass.workspace.shielded import to_the_end
from windlass.workspace.writing import Line, Wish


class LocalWorkspace:
    """Files below one local folder; see :class:`windlass.workspace.base.Workspace` for what it does.

    ``resolver`` forces one of the two safe ways to reach a folder; left out, the better one that works
    here is used. Only regular files with a single name are read or written: a symlink, FIFO, device or
    hard link in the way is a WorkspaceError. Nothing is touched before the first call.
    """

    def __init__(self, root: str | Path, *, resolver: ResolverName | None = None) -> None:
        self._root = Path(root).absolute()
        self._resolver = resolver
        self._line = _line_of(self._root, resolver)

    @property
    def location(self) -> str:
        """The absolute folder."""
        return str(self._root)

    async def open(self, *, create: bool = False, write: bool = True) -> None:
        """Say early, in one sentence, why this folder cannot be used; WorkspaceError.

        ``create`` makes a missing folder (with its parents); ``write=False`` asks only whether it can be read.
        """
        await asyncio.to_thread(self._check_root, create, write)

    async def read(self, path: str) -> FileVersion | None:
        """The file's exact content, or None. WorkspaceError for anything but a regular file up to MAX_FILE_BYTES."""
        return await asyncio.to_thread(self._read, check_path(path))

    async def list(self, *, limit: int = 5000) -> Sequence[str]:
        """The first ``limit`` paths that :meth:`read` can give, sorted; folders that may not be entered are left out."""
        return await asyncio.to_thread(self._list, limit)

    async def apply(self, changes: Sequence[Change], *, force: bool = False) -> Applied:
        """Make all changes or none; when cancelled, first finishes or takes back what it began."""
        wish = Wish(checked(changes), force)
        if self._line.join(wish):
            try:
                asyncio.get_running_loop().run_in_executor(None, self._line.serve)
            except RuntimeError:  # this loop's threads have ended, and others may stand in the line
                self._line.serve()
        return await to_the_end(asyncio.wrap_future(wish.outcome))

    async def materialise(self, target: Path) -> None:
        """Copy all regular files, permission bits included, into the empty folder ``target``.

        Symlinks, devices and the folders that :meth:`list` leaves out are not copied. WorkspaceError
        when the files add up to more than MAX_COPIED_BYTES.
        """
        await to_the_end(asyncio.to_thread(self._materialise, target))

    # ------------------------------------------------------------------ the root

    def _check_root(self, create: bool, write: bool) -> None:
        if create:
            with explained(f"Workspace folder {self._root}"):
                try:
                    self._root.mkdir(parents=True, exist_ok=True)
                except FileExistsError:
                    pass  # a file: said below
        with self._tree():
            pass
        if not write:
            return
        # The kernel's own answer: unlike the permission bits, it also counts read-only mounts, which
        # stop even root.
        if os.statvfs(self._root).f_flag & os.ST_RDONLY:
            raise WorkspaceError(
                f"Workspace {self._root} is on a read-only file system; choose another folder."
            )
        if not os.access(self._root, os.W_OK | os.X_OK):
            raise WorkspaceError(
                f"Workspace {self._root} may not be written by this user; check its permissions."
            )

    def _tree(self) -> Tree:
        return _open_tree(self._root, self._resolver)

    # ------------------------------------------------------------------ reading

    def _read(self, path: str) -> FileVersion | None:
        with self._tree() as tree, explained(path):
            found = look(tree, on_disk(tree, path))
        if found is None:
            return None
        sha256 = hashlib.sha256(found.data).hexdigest()
        return FileVersion(path, found.data, sha256, token=sha256, mode=found.mode)

    def _list(self, limit: int) -> Sequence[str]:
        found: list[str] = []
        with self._tree() as tree:
            for path in regular_files(tree, ""):
                if len(found) >= limit:
                    break
                found.append(path)
        return found

    def _materialise(self, target: Path) -> None:
        with self._tree() as tree:
            copy_tree(tree.fd, target, Allowance(self.location))

    # ------------------------------------------------------------------ writing

    def _apply(self, changes: Sequence[Change], force: bool) -> Applied:
        """:meth:`apply` for a caller without an event loop."""
        wish = Wish(checked(changes), force)
        if self._line.join(wish):
            self._line.serve()
        return wish.outcome.result()


_lines: weakref.WeakValueDictionary[tuple[Path, ResolverName | None], Line] = weakref.WeakValueDictionary()
_lines_lock = threading.Lock()


def _line_of(root: Path, resolver: ResolverName | None) -> Line:
    """The line in which everybody in this process stands who wants to change this folder."""
    with _lines_lock:
        line = _lines.get((root, resolver))
        if line is None:
            line = _lines[root, resolver] = Line(functools.partial(_open_tree, root, resolver))
        return line


def _open_tree(root: Path, resolver: ResolverName | None) -> Tree:
    try:
        tree = Tree(root, resolver)
    except FileNotFoundError:
        raise WorkspaceError(f"Workspace folder {root} does not exist; create it or name another.") from None
    except NotADirectoryError:
        raise WorkspaceError(f"Workspace {root} is a file, not a folder; name a folder.") from None
    except PermissionError:
        raise WorkspaceError(
            f"Workspace {root} may not be read by this user; check its permissions."
        ) from None
    except OSError as error:
        raise WorkspaceError(f"Workspace {root} cannot be opened: {error.strerror}.") from error
    return tree
