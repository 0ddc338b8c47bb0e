"""Changes to a local folder, done whole or not at all, many callers' under one lock.

Each caller's files are flushed by themselves; a folder's own flush, the lock and the listing that finds twins are
shared by everyone who waits at that moment.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from windlass.errors import WorkspaceError
from windlass.workspace.base import Applied, Change
from windlass.workspace.changes import TEMPORARY, folder_of, name_of, parents, refuse_twin, sort_out
from windlass.workspace.handles import LOCK_POLL_SECONDS, Tree, explained
from windlass.workspace.plain_files import Found, look, on_disk
from windlass.workspace.transaction import NOTHING_WRITTEN, put_in_place

#: Callers served under one lock at most.
_GROUP_LIMIT = 32
#: Seconds of work after which another process gets its chance to take the lock.
_LET_OTHERS_AFTER = 0.5
#: Seconds after which nobody is still writing a file, whatever lock it was begun under.
_ABANDONED_AFTER = 3600.0


@dataclass
class Wish:
    """What one caller wants, its names checked, and what came of it."""

    plan: Sequence[Change]
    force: bool
    outcome: Future[Applied] = field(default_factory=Future)


class Line:
    """The callers of one process who want to change one folder."""

    def __init__(self, open_tree: Callable[[], Tree]) -> None:
        self._open_tree = open_tree
        self._waiting: deque[Wish] = deque()
        self._lock = threading.Lock()
        self._served = False

    def join(self, wish: Wish) -> bool:
        """Stand in the line. True: nobody serves it, so :meth:`serve` has to be called, in a thread."""
        with self._lock:
            self._waiting.append(wish)
            serve, self._served = not self._served, True
            return serve

    def serve(self) -> None:
        """Fulfil wishes until none is left."""
        began = time.monotonic()
        while group := self._next():
            # From here on a wish is done, whoever still waits for it.
            wishes = [wish for wish in group if wish.outcome.set_running_or_notify_cancel()]
            try:
                with self._open_tree() as tree, tree.lock():
                    fulfil(tree, wishes)
            except BaseException as error:
                # Whatever it is, it belongs to those who wait.
                for wish in wishes:
                    if not wish.outcome.done():
                        wish.outcome.set_exception(error)
            if time.monotonic() - began > _LET_OTHERS_AFTER:
                time.sleep(2 * LOCK_POLL_SECONDS)
                began = time.monotonic()

    def _next(self) -> list[Wish]:
        with self._lock:
            group = [self._waiting.popleft() for _ in range(min(_GROUP_LIMIT, len(self._waiting)))]
            self._served = bool(group)
            return group


@dataclass
class _Placed:
    """A wish whose files are in place, but perhaps not yet their names on the disk."""

    wish: Wish
    applied: Applied
    touched: Set[str]
    take_back: contextlib.ExitStack


def fulfil(tree: Tree, wishes: Sequence[Wish]) -> None:
    """Do each wish whole or not at all, in this order. The tree is locked by the caller."""
    siblings = _Siblings(tree)
    placed: list[_Placed] = []
    for wish in wishes:
        try:
            with contextlib.ExitStack() as take_back:
                applied, touched = _place(tree, siblings, wish, take_back)
                placed.append(_Placed(wish, applied, touched, take_back.pop_all()))
        except Exception as error:
            wish.outcome.set_exception(error)
    failed = _flush_folders(tree, {folder for one in placed for folder in one.touched})
    # What came after a failed one may have been built on it.
    good = next((n for n, one in enumerate(placed) if not failed.keys().isdisjoint(one.touched)), len(placed))
    for one in reversed(placed[good:]):
        reason = next(iter(failed.values()))
        try:
            one.take_back.close()
        except WorkspaceError as worse:
            reason = worse
        one.wish.outcome.set_exception(reason)
    for one in placed[:good]:
        one.take_back.pop_all()
        one.wish.outcome.set_result(one.applied)


def _place(
    tree: Tree, siblings: _Siblings, wish: Wish, take_back: contextlib.ExitStack
) -> tuple[Applied, Set[str]]:
    names = {on_disk(tree, change.path): change.path for change in wish.plan}
    plan = [replace(change, path=spelled) for spelled, change in zip(names, wish.plan, strict=True)]
    for change in plan:
        siblings.sweep(folder_of(change.path))
    found: dict[str, Found | None] = {}
    for change in plan:
        with explained(change.path, NOTHING_WRITTEN):
            found[change.path] = look(tree, change.path)
    present = {path: None if one is None else one.data for path, one in found.items()}
    todo, already = sort_out(plan, present, force=wish.force)
    for change in todo:
        siblings.refuse_twins(change.path)
    try:
        touched = put_in_place(tree, todo, found, take_back)
    finally:
        if any(found[change.path] is None or change.after is None for change in todo):
            siblings.forget()
    written = tuple(names[change.path] for change in todo)
    return Applied(written=written, already=tuple(names[change.path] for change in already)), touched


def _flush_folders(tree: Tree, folders: Set[str]) -> dict[str, WorkspaceError]:
    """Put the folders' names on the disk; what went wrong, by folder."""
    failed: dict[str, WorkspaceError] = {}
    for folder in sorted(folders):
        try:
            with explained(folder or "The workspace folder", NOTHING_WRITTEN), tree.folder(folder) as fd:
                os.fsync(fd)
        except WorkspaceError as error:
            failed[folder] = error
    return failed


def _age(folder: int, name: str) -> float:
    """Seconds since the file was changed."""
    return time.time() - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime


class _Siblings:
    """What folders hold, listed once each until something was added or taken away."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._names: dict[str, Set[str]] = {}

    def forget(self) -> None:
        self._names.clear()

    def names(self, folder: str) -> Set[str]:
        if folder not in self._names:
            try:
                with self._tree.folder(folder) as fd:
                    self._names[folder] = frozenset(os.listdir(fd))  # noqa: PTH208 (a handle has no Path)
            except OSError:
                # Absent, or refused with its reason when it is opened to write.
                self._names[folder] = frozenset()
        return self._names[folder]

    def sweep(self, folder: str) -> None:
        """Remove half-written files of a crashed process.

        We hold the root's lock, so no live one owns those that were written under it. Others may be under way just
        now, for a workspace inside this one or around it, until they are too old for that.
        """
        if folder in self._names:
            return
        for name in self.names(folder):
            if (ours := TEMPORARY.fullmatch(name)) is None:
                continue
            with contextlib.suppress(OSError), self._tree.folder(folder) as fd:
                if ours[1] == self._tree.mark or _age(fd, name) > _ABANDONED_AFTER:
                    os.unlink(name, dir_fd=fd)

    def refuse_twins(self, path: str) -> None:
        for spot in (*parents(path), path):
            refuse_twin(path, name_of(spot), self.names(folder_of(spot)))
