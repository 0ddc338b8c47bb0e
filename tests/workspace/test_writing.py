"""Many callers' changes under one lock: each stands for itself."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from windlass.errors import UnsafePath, WorkspaceConflict, WorkspaceError
from windlass.workspace import Change
from windlass.workspace.handles import Tree
from windlass.workspace.local import LocalWorkspace
from windlass.workspace.writing import Wish, fulfil


def wish(*changes: Change) -> Wish:
    return Wish(changes, force=False)


def do(root: Path, *wishes: Wish) -> None:
    with Tree(root) as tree, tree.lock():
        fulfil(tree, wishes)


def names(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def test_one_that_is_refused_leaves_the_others_alone(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"somebody else's")
    first, second, third = (
        wish(Change("a", None, b"1")),
        wish(Change("b", b"old", b"2"), Change("b2", None, b"2")),
        wish(Change("c", None, b"3")),
    )
    do(tmp_path, first, second, third)
    assert first.outcome.result().written == ("a",)
    with pytest.raises(WorkspaceConflict):
        second.outcome.result()
    assert third.outcome.result().written == ("c",)
    assert names(tmp_path) == ["a", "b", "c"]
    assert (tmp_path / "b").read_bytes() == b"somebody else's"


def test_a_later_one_finds_what_an_earlier_one_did(tmp_path: Path) -> None:
    created, changed, twin, removed, again = (
        wish(Change("sub/File.txt", None, b"1")),
        wish(Change("sub/File.txt", b"1", b"2")),
        wish(Change("sub/file.TXT", None, b"x")),
        wish(Change("sub/File.txt", b"2", None)),
        wish(Change("sub/file.TXT", None, b"3")),
    )
    do(tmp_path, created, changed, twin, removed, again)
    assert [one.outcome.exception() for one in (created, changed, removed, again)] == [None] * 4
    with pytest.raises(UnsafePath, match="differs only in case"):
        twin.outcome.result()
    assert names(tmp_path) == ["sub/file.TXT"]
    assert (tmp_path / "sub/file.TXT").read_bytes() == b"3"


class FailingTree(Tree):
    """Cannot open the folder ``sub`` once, when ``fails`` was set."""

    fails = False

    @contextmanager
    def folder(self, path: str) -> Iterator[int]:
        if path == "sub" and self.fails:
            self.fails = False
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        with super().folder(path) as fd:
            yield fd


def test_what_may_not_be_on_the_disk_is_taken_back_with_all_that_came_after(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b").write_bytes(b"old")
    first, second, third = (
        wish(Change("a", None, b"1")),
        wish(Change("sub/b", b"old", b"2"), Change("a", b"1", b"2")),
        wish(Change("a", b"2", b"3")),
    )
    refused = wish(Change("a", b"never", b"4"))
    with FailingTree(tmp_path) as tree, tree.lock():
        # The last of the group to be placed; after it the folders are flushed.
        refused.outcome.add_done_callback(lambda _: setattr(tree, "fails", True))
        fulfil(tree, [first, second, third, refused])
    assert first.outcome.result().written == ("a",)
    for one in (second, third):
        with pytest.raises(WorkspaceError, match="sub cannot be used"):
            one.outcome.result()
    with pytest.raises(WorkspaceConflict):
        refused.outcome.result()
    assert (tmp_path / "a").read_bytes() == b"1"
    assert (tmp_path / "sub/b").read_bytes() == b"old"
    assert names(tmp_path) == ["a", "sub/b"]


def test_callers_of_two_event_loops_are_all_served(tmp_path: Path) -> None:
    async def write(prefix: str) -> None:
        workspace = LocalWorkspace(tmp_path)
        await asyncio.gather(
            *(workspace.apply([Change(f"{prefix}{n}", None, prefix.encode())]) for n in range(60))
        )

    threads = [threading.Thread(target=lambda p=p: asyncio.run(write(p))) for p in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(tmp_path) == sorted(f"{prefix}{n}" for prefix in "xyz" for n in range(60))


async def test_a_folder_that_is_gone_is_said_to_everyone_who_waits(tmp_path: Path) -> None:
    root = tmp_path / "gone"
    root.mkdir()
    workspace = LocalWorkspace(root)
    root.rmdir()
    outcomes = await asyncio.gather(
        *(workspace.apply([Change(f"f{n}", None, b"x")]) for n in range(5)), return_exceptions=True
    )
    assert [str(one) for one in outcomes] == [
        f"Workspace folder {root} does not exist; create it or name another."
    ] * 5
    root.mkdir()
    assert (await workspace.apply([Change("f", None, b"x")])).written == ("f",)
