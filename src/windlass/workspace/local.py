"""A workspace in a local folder."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from windlass.errors import WorkspaceError
from windlass.workspace.base import (
    MAX_FILE_BYTES,
    Applied,
    Change,
    FileVersion,
)
from windlass.workspace.changes import (
    IGNORED_FOLDERS,
    TEMPORARY,
    checked,
    conflict,
    is_listable,
    parents,
    refuse_twin,
    sort_out,
)
from windlass.workspace.copying import Allowance, copy_tree
from windlass.workspace.handles import ResolverName, Tree, explained
from windlass.workspace.names import MAX_DEPTH, check_path
from windlass.workspace.shielded import to_the_end

_NOTHING = "; nothing was written"


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
            found = _look(tree, path)
        if found is None:
            return None
        sha256 = hashlib.sha256(found.data).hexdigest()
        return FileVersion(path, found.data, sha256, token=sha256, mode=found.mode)

    def _list(self, limit: int) -> Sequence[str]:
        found: list[str] = []
        with self._tree() as tree:
            for path in _regular_files(tree, ""):
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
                siblings.sweep(_folder_of(change.path))
            found: dict[str, _Found | None] = {}
            for change in plan:
                with explained(change.path, _NOTHING):
                    found[change.path] = _look(tree, change.path)
            present = {path: None if one is None else one.data for path, one in found.items()}
            todo, already = sort_out(plan, present, force=force)
            for change in todo:
                if found[change.path] is None:
                    siblings.refuse_twins(change.path)
            _write_all(tree, todo, found)
        return Applied(
            written=tuple(change.path for change in todo), already=tuple(change.path for change in already)
        )


@dataclass(frozen=True)
class _Found:
    data: bytes
    mode: int
    owner: tuple[int, int]
    mark: tuple[int, int, int]


def _mark_of(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def _name_of(path: str) -> str:
    return path.rpartition("/")[2]


def _look(tree: Tree, path: str) -> _Found | None:
    try:
        with tree.folder(_folder_of(path)) as folder:
            # Asked before opening, since opening a device can already do something.
            _refuse_odd(path, os.stat(_name_of(path), dir_fd=folder, follow_symlinks=False))
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            with open(os.open(_name_of(path), flags, dir_fd=folder), "rb") as file:
                status = os.fstat(file.fileno())
                _refuse_odd(path, status)
                data = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if len(data) > MAX_FILE_BYTES:
        raise _too_large(path, max(len(data), status.st_size))
    return _Found(
        data, stat.S_IMODE(status.st_mode) & 0o777, (status.st_uid, status.st_gid), _mark_of(status)
    )


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


def _regular_files(tree: Tree, folder: str, depth: int = 1) -> Iterator[str]:
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
            yield from _regular_files(tree, prefix + name[:-1], depth + 1)
        elif is_listable(prefix + name) and not TEMPORARY.fullmatch(name):
            yield prefix + name


class _Siblings:
    """What the folders of one apply hold, listed once each."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._names: dict[str, Sequence[str]] = {}

    def names(self, folder: str) -> Sequence[str]:
        if folder not in self._names:
            try:
                with self._tree.folder(folder) as fd:
                    self._names[folder] = os.listdir(fd)  # noqa: PTH208 (a handle has no Path)
            except OSError:
                self._names[folder] = ()  # absent, or refused with its reason when it is opened to write
        return self._names[folder]

    def sweep(self, folder: str) -> None:
        """Remove half-written files of a crashed process. We hold the root's lock, so no live one owns them."""
        for name in self.names(folder):
            if TEMPORARY.fullmatch(name):
                with contextlib.suppress(OSError), self._tree.folder(folder) as fd:
                    os.unlink(name, dir_fd=fd)

    def refuse_twins(self, path: str) -> None:
        for spot in (*parents(path), path):
            refuse_twin(path, _name_of(spot), self.names(_folder_of(spot)))


# ---------------------------------------------------------------------- the transaction


def _write_all(tree: Tree, todo: Sequence[Change], found: dict[str, _Found | None]) -> None:
    """Write every change to a temporary file first, then put all in place; on any failure take all back."""
    with contextlib.ExitStack() as take_back:
        touched: set[str] = set()
        temporaries: dict[str, str] = {}
        for change in todo:
            with explained(change.path, _NOTHING):
                touched |= _make_parents(tree, change, take_back)
                if change.after is not None:
                    temporaries[change.path] = _stage(tree, change, found[change.path], take_back)
        for change in todo:
            with explained(change.path, _NOTHING):
                _put_in_place(tree, change, found[change.path], temporaries.get(change.path))
                take_back.callback(_restore, tree, change, found[change.path])
        for folder in sorted(touched):
            with explained(folder or "The workspace folder", _NOTHING), tree.folder(folder) as fd:
                os.fsync(fd)
        take_back.pop_all()


def _make_parents(tree: Tree, change: Change, take_back: contextlib.ExitStack) -> set[str]:
    touched = {_folder_of(change.path)}
    if change.after is not None:
        for folder in parents(change.path):
            if tree.make_folder(folder):
                touched.add(_folder_of(folder))
                take_back.callback(_remove_folder, tree, folder)
    return touched


def _remove_folder(tree: Tree, folder: str) -> None:
    with contextlib.suppress(OSError), tree.folder(_folder_of(folder)) as fd:
        os.rmdir(_name_of(folder), dir_fd=fd)


def _stage(tree: Tree, change: Change, old: _Found | None, take_back: contextlib.ExitStack) -> str:
    temporary = f".windlass-{secrets.token_hex(8)}.tmp"
    folder = _folder_of(change.path)
    take_back.callback(_remove_temporary, tree, folder, temporary)
    mode = old.mode if old else (0o666 & ~_umask() if change.mode is None else change.mode & 0o777)
    assert change.after is not None
    with tree.folder(folder) as fd:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(temporary, flags, 0o600, dir_fd=fd), "wb") as file:
            file.write(change.after)
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


def _put_in_place(tree: Tree, change: Change, old: _Found | None, temporary: str | None) -> None:
    name = _name_of(change.path)
    with tree.folder(_folder_of(change.path)) as fd:
        # Another program may have saved the file while we wrote the temporary ones.
        try:
            mark = _mark_of(os.stat(name, dir_fd=fd, follow_symlinks=False))
        except FileNotFoundError:
            mark = None
        if mark != (old.mark if old else None):
            raise conflict([change.path])
        if temporary is None:
            os.unlink(name, dir_fd=fd)
        else:
            os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)


def _restore(tree: Tree, change: Change, old: _Found | None) -> None:
    """Put back what was there before; a file that cannot be restored is named in the error."""
    name = _name_of(change.path)
    with explained(change.path, ", and it could not be restored: run again to finish the changes"):
        with tree.folder(_folder_of(change.path)) as fd:
            if old is None:
                os.unlink(name, dir_fd=fd)
                return
        with contextlib.ExitStack() as leftovers:
            back = Change(change.path, before=change.after, after=old.data)
            temporary = _stage(tree, back, old, leftovers)
            with tree.folder(_folder_of(change.path)) as fd:
                os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)


@functools.cache
def _umask() -> int:
    """The process's file mode mask, where it can be read without changing it; else the usual 022."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0o022
    return next((int(line.split()[1], 8) for line in lines if line.startswith("Umask:")), 0o022)
