"""A workspace in a local folder."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Sequence, Set
from pathlib import Path

from windlass.errors import WorkspaceError
from windlass.workspace.base import Applied, Change, FileVersion
from windlass.workspace.changes import TEMPORARY, checked, folder_of, name_of, parents, refuse_twin, sort_out
from windlass.workspace.copying import Allowance, copy_tree
from windlass.workspace.handles import ResolverName, Tree, explained
from windlass.workspace.names import check_path
from windlass.workspace.plain_files import Found, look, regular_files
from windlass.workspace.shielded import to_the_end
from windlass.workspace.transaction import NOTHING_WRITTEN, write_all


class LocalWorkspace:
    """Files below one local folder; see :class:`windlass.workspace.base.Workspace` for what it does.

    ``resolver`` forces one of the two safe ways to reach a folder; left out, the better one that works
    here is used. Only regular files with a single name are read or written: a symlink, FIFO, device or
    hard link in the way is a WorkspaceError. Nothing is touched before the first call.
    """

    def __init__(self, root: str | Path, *, resolver: ResolverName | None = None) -> None:
        self._root = Path(root).absolute()
        self._resolver = resolver

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
        return await to_the_end(asyncio.to_thread(self._apply, changes, force))

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
        try:
            tree = Tree(self._root, self._resolver)
        except FileNotFoundError:
            raise WorkspaceError(
                f"Workspace folder {self._root} does not exist; create it or name another."
            ) from None
        except NotADirectoryError:
            raise WorkspaceError(f"Workspace {self._root} is a file, not a folder; name a folder.") from None
        except PermissionError:
            raise WorkspaceError(
                f"Workspace {self._root} may not be read by this user; check its permissions."
            ) from None
        except OSError as error:
            raise WorkspaceError(f"Workspace {self._root} cannot be opened: {error.strerror}.") from error
        return tree

    # ------------------------------------------------------------------ reading

    def _read(self, path: str) -> FileVersion | None:
        with self._tree() as tree, explained(path):
            found = look(tree, path)
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
        plan = checked(changes)
        with self._tree() as tree, tree.lock():
            siblings = _Siblings(tree)
            for change in plan:
                siblings.sweep(folder_of(change.path))
            found: dict[str, Found | None] = {}
            for change in plan:
                with explained(change.path, NOTHING_WRITTEN):
                    found[change.path] = look(tree, change.path)
            present = {path: None if one is None else one.data for path, one in found.items()}
            todo, already = sort_out(plan, present, force=force)
            for change in todo:
                siblings.refuse_twins(change.path)
            write_all(tree, todo, found)
        return Applied(
            written=tuple(change.path for change in todo), already=tuple(change.path for change in already)
        )


class _Siblings:
    """What the folders of one apply hold, listed once each."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._names: dict[str, Set[str]] = {}

    def names(self, folder: str) -> Set[str]:
        if folder not in self._names:
            try:
                with self._tree.folder(folder) as fd:
                    self._names[folder] = frozenset(os.listdir(fd))  # noqa: PTH208 (a handle has no Path)
            except OSError:
                self._names[folder] = (
                    frozenset()
                )  # absent, or refused with its reason when it is opened to write
        return self._names[folder]

    def sweep(self, folder: str) -> None:
        """Remove half-written files of a crashed process. We hold the root's lock, so no live one owns them."""
        for name in self.names(folder):
            if TEMPORARY.fullmatch(name):
                with contextlib.suppress(OSError), self._tree.folder(folder) as fd:
                    os.unlink(name, dir_fd=fd)

    def refuse_twins(self, path: str) -> None:
        for spot in (*parents(path), path):
            refuse_twin(path, name_of(spot), self.names(folder_of(spot)))
