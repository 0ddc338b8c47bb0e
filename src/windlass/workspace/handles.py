"""Folders below a root, reached without ever following a symlink.

A path that was checked a moment ago may lead elsewhere now: another process swaps a folder for a
symlink. So nothing here trusts a path twice. A folder is opened once, beneath the root, and all work
in it goes through that handle. The kernel does the walk in one call where it can (``openat2``, Linux
5.6); elsewhere we walk one component at a time with ``O_NOFOLLOW``, which is as safe and slower.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from windlass.errors import WorkspaceError
from windlass.ids import sha256_hex

ResolverName = Literal["openat2", "walk"]

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# linux/openat2.h; the number is the same on every architecture that Python has wheels for.
_SYS_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08

#: How long to wait, in seconds, while another process writes to the same workspace.
LOCK_SECONDS = 60.0
#: Seconds between two attempts to get the lock.
LOCK_POLL_SECONDS = 0.005


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _openat2(root: int, path: str) -> int:
    # Without O_NOFOLLOW, which would turn the ELOOP of a symlink in last place into ENOTDIR.
    flags = _FOLDER_FLAGS & ~os.O_NOFOLLOW
    how = _OpenHow(flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS)
    while True:
        fd: int = _libc().syscall(
            _SYS_OPENAT2, root, os.fsencode(path), ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))
        )
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        # EAGAIN: something was renamed during the walk, so the kernel could not vouch for it.
        if number not in (errno.EAGAIN, errno.EINTR):
            raise OSError(number, os.strerror(number), path)


def _walk(root: int, path: str) -> int:
    fd = os.dup(root)
    try:
        for part in path.split("/"):
            below = _open_child(fd, part)
            os.close(fd)
            fd = below
    except OSError:
        os.close(fd)
        raise
    return fd


def _open_child(folder: int, name: str) -> int:
    while True:
        try:
            return os.open(name, _FOLDER_FLAGS, dir_fd=folder)
        except NotADirectoryError:
            # Linux says "not a directory" for a symlink too; callers must tell it from a plain file.
            kind = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISLNK(kind):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name) from None
            if not stat.S_ISDIR(kind):
                raise
            # It was a link and is a folder now: somebody swaps them, so look again.


@functools.cache
def has_openat2() -> bool:
    """True when the kernel (and the container's seccomp filter) lets us use ``openat2``."""
    if not sys.platform.startswith("linux"):
        return False
    root = os.open("/", _FOLDER_FLAGS)
    try:
        os.close(_openat2(root, "."))
    except OSError:
        return False
    finally:
        os.close(root)
    return True


class Tree:
    """An opened root. Use as a context manager; ``folder`` gives handles of what lies beneath."""

    def __init__(self, root: Path, resolver: ResolverName | None = None) -> None:
        chosen = resolver or ("openat2" if has_openat2() else "walk")
        self._open = _openat2 if chosen == "openat2" else _walk
        self._root = root
        self.fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    @functools.cached_property
    def mark(self) -> str:
        """Eight hex digits that tell the root, and with it the lock, from others: workspaces may lie in one another."""
        status = os.fstat(self.fd)
        return sha256_hex(f"{status.st_dev} {status.st_ino}")[:8]

    @contextlib.contextmanager
    def folder(self, path: str) -> Iterator[int]:
        """A handle of the folder ``path`` (``""`` is the root). OSError: ENOENT, ENOTDIR, ELOOP for a symlink."""
        fd = self._open(self.fd, path) if path else os.open(".", _FOLDER_FLAGS, dir_fd=self.fd)
        try:
            yield fd
        finally:
            os.close(fd)

    def make_folder(self, path: str) -> bool:
        """Make one folder whose parent exists; False when it was there already."""
        parent, _, name = path.rpartition("/")
        with self.folder(parent) as fd:
            try:
                os.mkdir(name, dir_fd=fd)
            except FileExistsError:
                return False
        return True

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the root against other Windlass processes. Raises WorkspaceError after LOCK_SECONDS.

        The lock goes with the handle, so a killed process leaves none behind.
        """
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise WorkspaceError(
                        f"Another process has been writing to {self._root} for {LOCK_SECONDS:.0f} seconds;"
                        " end it or wait, then run again."
                    ) from None
                time.sleep(LOCK_POLL_SECONDS)
            else:
                break
        try:
            yield
        finally:
            fcntl.flock(self.fd, fcntl.LOCK_UN)


_SENTENCES = {
    errno.ELOOP: "is a symbolic link or lies behind one, and links are never followed",
    errno.EXDEV: "lies outside the workspace",
    errno.ENOENT: "cannot be used: its folder disappeared meanwhile",
    errno.ENOTDIR: "cannot be there, because a part of its path is a file",
    errno.EISDIR: "is a folder, not a file",
    errno.EACCES: "cannot be used: permission denied",
    errno.EPERM: "cannot be used: permission denied",
    errno.EROFS: "cannot be written: the file system is read-only",
    errno.ENOSPC: "cannot be written: the disk is full",
    errno.EDQUOT: "cannot be written: the disk quota is used up",
    errno.ENAMETOOLONG: "has a name that is too long for this file system",
    errno.EMFILE: "cannot be opened: this process has too many open files",
}


@contextlib.contextmanager
def explained(path: str, ending: str = "") -> Iterator[None]:
    """Turn an OSError about ``path`` into a WorkspaceError with one sentence."""
    try:
        yield
    except OSError as error:
        what = _SENTENCES.get(error.errno or 0) or f"cannot be used: {error.strerror or error}"
        raise WorkspaceError(f"{path} {what}{ending}.") from error
