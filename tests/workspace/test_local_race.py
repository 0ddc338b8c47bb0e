"""Against time: folders swapped for symlinks while we write, and processes killed in the middle."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workspace.places import LocalPlace
from windlass.errors import WorkspaceError
from windlass.workspace import Change
from windlass.workspace.local import LocalWorkspace

ROUNDS = 3_000

# RENAME_EXCHANGE is the attacker's best tool: there is no moment at which the name is absent.
SWAPPER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
os.chdir(sys.argv[1])
print("ready", flush=True)
while True:
    if libc.renameat2(-100, b"folder", -100, b"link", 2) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
"""


@pytest.fixture
def swapped(local: LocalPlace, tmp_path: Path) -> Iterator[Path]:
    """``folder`` in the workspace, which another process exchanges all the time with a symlink to the outside."""
    if not hasattr(ctypes.CDLL(None), "renameat2"):
        pytest.skip("this C library has no renameat2")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (local.root / "folder").mkdir()
    (local.root / "folder" / "secret").write_bytes(b"mine")
    (local.root / "link").symlink_to(outside)
    with subprocess.Popen([sys.executable, "-c", SWAPPER, local.root], stdout=subprocess.PIPE) as swapper:
        assert swapper.stdout is not None
        assert swapper.stdout.readline() == b"ready\n"
        yield outside
        assert swapper.poll() is None, "the folder was not swapped to the end"
        swapper.kill()


def test_three_thousand_writes_never_escape(local: LocalPlace, swapped: Path) -> None:
    workspace = local.workspace
    assert isinstance(workspace, LocalWorkspace)
    written = refused = 0
    # Most are refused, each looking at the folder several times; on a slow day we go on until one got through.
    while written + refused < ROUNDS or (written == 0 and refused < 10 * ROUNDS):
        try:
            # Straight, without an event loop between the calls: more of them hit the moment of a swap.
            workspace._apply([Change("folder/new", None, b"%d" % written)], True)
            written += 1
        except WorkspaceError:
            refused += 1
    assert written > 0
    assert refused > 0
    assert {path.name: path.read_bytes() for path in swapped.iterdir()} == {"secret": b"secret"}


def test_reads_and_copies_never_escape(local: LocalPlace, swapped: Path, tmp_path: Path) -> None:
    workspace = local.workspace
    assert isinstance(workspace, LocalWorkspace)
    seen = set()
    for _ in range(ROUNDS):
        try:
            version = workspace._read("folder/secret")
        except WorkspaceError:
            continue
        seen.add(version.data if version else None)
    assert seen == {b"mine"}
    for number in range(50):
        target = tmp_path / f"copy{number}"
        workspace._materialise(target)
        assert {path.read_bytes() for path in target.rglob("secret")} <= {b"mine"}
        assert not any(path.is_symlink() for path in target.rglob("*"))


FILES = 30

WRITER = """
import asyncio, sys
from windlass.workspace import Change
from windlass.workspace.local import LocalWorkspace

root, resolver = sys.argv[1:]
one, two = (bytes([letter]) * 20_000 for letter in b"12")
paths = [f"d{number % 3}/f{number}" for number in range(30)]
workspace = LocalWorkspace(root, resolver=resolver)
print("ready", flush=True)
while True:
    for before, after in ((one, two), (two, one)):
        asyncio.run(workspace.apply([Change(path, before, after) for path in paths]))
        print("done", flush=True)
"""


def test_a_killed_apply_is_finished_or_taken_back_by_the_next(local: LocalPlace, resolver: str) -> None:
    one, two = (bytes([letter]) * 20_000 for letter in b"12")
    paths = [f"d{number % 3}/f{number}" for number in range(FILES)]
    dice = random.Random(20261121)
    mixed = with_temporaries = 0
    for turn in range(200):
        if turn >= 6 and mixed + with_temporaries > 0:
            break
        for path in paths:
            local.put(path, one)
        child = subprocess.Popen([sys.executable, "-c", WRITER, local.root, resolver], stdout=subprocess.PIPE)
        with child:
            assert child.stdout is not None
            for _ in range(2):
                child.stdout.readline()  # "ready", and one whole apply: the next is under way
            try:
                child.wait(dice.uniform(0, 0.15))
            except subprocess.TimeoutExpired:
                pass
            child.send_signal(signal.SIGKILL)
        present = {local.get(path) for path in paths}
        assert present <= {one, two}, "a file is half written"
        mixed += len(present) == 2
        with_temporaries += len(local.everything()) > FILES
        # The journal makes the caller apply the same changes again; or an undo applies their opposite.
        before, after = (one, two) if turn % 2 else (two, one)
        local.workspace._apply([Change(path, before, after) for path in paths], False)  # type: ignore[attr-defined]
        assert local.everything() == dict.fromkeys(paths, after)
    assert mixed + with_temporaries > 0, "no kill hit the middle of an apply"


def test_a_process_killed_while_it_waits_for_the_lock_blocks_nobody(local: LocalPlace) -> None:
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from windlass.workspace.handles import Tree
        with Tree(Path(sys.argv[1])) as tree, tree.lock():
            print("locked", flush=True)
            time.sleep(600)
        """
    )
    with subprocess.Popen([sys.executable, "-c", script, local.root], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        waiter = subprocess.Popen([sys.executable, "-c", script, local.root], stdout=subprocess.DEVNULL)
        waiter.kill()
        waiter.wait()
        os.kill(holder.pid, signal.SIGKILL)
    local.workspace._apply([Change("a", None, b"1")], False)  # type: ignore[attr-defined]
    assert local.get("a") == b"1"
