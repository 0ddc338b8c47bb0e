"""The local folder: hostile things in the way, habits of files kept, clear sentences, no leftovers."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workspace.places import LocalPlace
from windlass.errors import ConfigError, UnsafePath, WorkspaceConflict, WorkspaceError
from windlass.workspace import Change, WorkspaceSetting, copying, open_workspace
from windlass.workspace.changes import temporary_name
from windlass.workspace.handles import Tree
from windlass.workspace.local import LocalWorkspace

AS_ROOT = os.geteuid() == 0
NOBODY = 65534


def leftovers(root: Path) -> list[str]:
    return [path.name for path in root.rglob(".windlass-*")]


# ---------------------------------------------------------------- hostile targets


def _symlink_to_file(root: Path, outside: Path) -> None:
    (root / "target").symlink_to(outside / "secret")


def _dangling_symlink(root: Path, outside: Path) -> None:
    (root / "target").symlink_to(outside / "not-there-yet")


def _symlink_inside(root: Path, outside: Path) -> None:
    (root / "other").write_bytes(b"1")
    (root / "target").symlink_to("other")


def _fifo(root: Path, outside: Path) -> None:
    os.mkfifo(root / "target")


def _socket(root: Path, outside: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(root)  # the name of a socket is at most 108 bytes
    try:
        server.bind("target")
    finally:
        os.chdir(here)
        server.close()


def _hard_link(root: Path, outside: Path) -> None:
    (root / "target").hardlink_to(outside / "secret")


def _folder(root: Path, outside: Path) -> None:
    (root / "target").mkdir()


def _device(root: Path, outside: Path) -> None:
    if not AS_ROOT:
        pytest.skip("making a device needs root")
    os.mknod(root / "target", stat.S_IFCHR | 0o666, os.makedev(1, 3))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    return tmp_path / "outside"


@pytest.mark.parametrize(
    "make",
    [_symlink_to_file, _dangling_symlink, _symlink_inside, _fifo, _socket, _hard_link, _folder, _device],
)
@pytest.mark.parametrize("after", [b"evil", None])
async def test_only_plain_files_are_touched(
    local: LocalPlace, outside: Path, make, after: bytes | None
) -> None:
    make(local.root, outside)
    before = os.lstat(local.root / "target")
    with pytest.raises(WorkspaceError, match=r"^target (is|has) "):
        await local.workspace.read("target")
    for force in (False, True):
        with pytest.raises(WorkspaceError, match=r"^target (is|has) "):
            await local.workspace.apply(
                [Change("new", None, b"1"), Change("target", b"secret", after)], force=force
            )
    assert (outside / "secret").read_bytes() == b"secret"
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert os.lstat(local.root / "target").st_ino == before.st_ino
    assert not (local.root / "new").exists()
    assert "target" not in await local.workspace.list()
    assert leftovers(local.root) == []


@pytest.mark.parametrize("link_to", ["outside", "inside"])
@pytest.mark.parametrize("path", ["link/secret", "link/new", "link/sub/new", "real/link/secret"])
async def test_no_way_leads_through_a_symlinked_folder(
    local: LocalPlace, outside: Path, link_to: str, path: str
) -> None:
    (local.root / "real").mkdir()
    (local.root / "real" / "secret").write_bytes(b"secret")
    destination = outside if link_to == "outside" else local.root / "real"
    (local.root / path.split("/secret")[0].split("/new")[0].removesuffix("/sub")).symlink_to(destination)
    with pytest.raises(WorkspaceError, match="symbolic link"):
        await local.workspace.read(path)
    with pytest.raises(WorkspaceError, match="symbolic link"):
        await local.workspace.apply([Change("a", None, b"1"), Change(path, None, b"evil")], force=True)
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"
    assert not (local.root / "a").exists()
    assert list(await local.workspace.list()) == ["real/secret"]


async def test_the_root_itself_may_be_a_symlink(local: LocalPlace, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(local.root)
    await LocalWorkspace(tmp_path / "alias").apply([Change("a", None, b"1")])
    assert local.get("a") == b"1"


async def test_materialise_copies_neither_links_nor_pipes(
    local: LocalPlace, outside: Path, tmp_path: Path
) -> None:
    (local.root / "file").symlink_to(outside / "secret")
    (local.root / "folder").symlink_to(outside)
    os.mkfifo(local.root / "pipe")
    (local.root / "tool.sh").write_bytes(b"#!/bin/sh\n")
    (local.root / "tool.sh").chmod(0o4755)
    (local.root / "odd:name").write_bytes(b"1")
    (local.root / "fixed").write_bytes(b"1")
    (local.root / "fixed").chmod(0o444)
    copy = tmp_path / "copy"
    await local.workspace.materialise(copy)
    assert sorted(path.name for path in copy.rglob("*")) == ["fixed", "odd:name", "tool.sh"]
    assert stat.S_IMODE((copy / "tool.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((copy / "fixed").stat().st_mode) == 0o444


async def test_materialise_is_bounded(local: LocalPlace, tmp_path: Path) -> None:
    with open(local.root / "sparse", "wb") as file:
        file.truncate(copying.MAX_COPIED_BYTES + 1)
    with pytest.raises(WorkspaceError, match="more than 500 MB"):
        await local.workspace.materialise(tmp_path / "copy")


# ---------------------------------------------------------------- habits of files


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o755, 0o640, 0o444])
async def test_an_existing_file_keeps_its_mode(local: LocalPlace, mode: int) -> None:
    local.put("a.sh", b"1")
    (local.root / "a.sh").chmod(mode)
    await local.workspace.apply([Change("a.sh", b"1", b"2", mode=0o777)])
    assert stat.S_IMODE((local.root / "a.sh").stat().st_mode) == mode
    version = await local.workspace.read("a.sh")
    assert version is not None and (version.mode, version.data) == (mode, b"2")


async def test_a_new_file_gets_the_usual_mode_or_the_one_asked_for(local: LocalPlace) -> None:
    (local.root / "reference").touch()
    await local.workspace.apply([Change("usual", None, b"1"), Change("tool", None, b"1", mode=0o755)])
    usual = stat.S_IMODE((local.root / "reference").stat().st_mode)
    assert stat.S_IMODE((local.root / "usual").stat().st_mode) == usual
    assert stat.S_IMODE((local.root / "tool").stat().st_mode) == 0o755


@pytest.mark.skipif(not AS_ROOT, reason="giving a file away needs root")
async def test_root_leaves_a_file_with_its_owner(local: LocalPlace) -> None:
    local.put("a", b"1")
    os.chown(local.root / "a", NOBODY, NOBODY)
    await local.workspace.apply([Change("a", b"1", b"2")])
    status = (local.root / "a").stat()
    assert (status.st_uid, status.st_gid) == (NOBODY, NOBODY)


# ---------------------------------------------------------------- leftovers and rollback


async def test_what_a_crash_left_is_removed_and_nothing_else(local: LocalPlace) -> None:
    with Tree(local.root) as tree, Tree(local.root.parent) as around:
        ours, others, old = (temporary_name(mark) for mark in (tree.mark, around.mark, around.mark))
    for name in (ours, others, old):
        local.put(f"sub/{name}", b"half")
    an_hour_ago = time.time() - 3601
    os.utime(local.root / "sub" / old, (an_hour_ago, an_hour_ago))
    local.put("sub/.windlass-notes.tmp", b"mine")
    local.put("sub/a", b"1")
    await local.workspace.apply([Change("sub/a", b"1", b"2")])
    # The other one may be written just now, for the folder around this one.
    kept = {f"sub/{others}": b"half", "sub/.windlass-notes.tmp": b"mine", "sub/a": b"2"}
    assert local.everything() == kept


async def test_a_failure_while_staging_leaves_nothing(local: LocalPlace) -> None:
    local.put("file", b"1")
    with pytest.raises(WorkspaceError, match=r"a part of its path is a file; nothing was written\.$"):
        await local.workspace.apply([Change("x/y/z", None, b"1"), Change("file/a", None, b"1")])
    assert local.everything() == {"file": b"1"}
    assert not (local.root / "x").exists()


@pytest.mark.skipif(not AS_ROOT, reason="needs files of two owners")
async def test_a_failure_in_the_middle_takes_back_what_was_done(resolver: str) -> None:
    # In a sticky folder a person may read, and make files, but not replace another person's: so all
    # checks and temporary files succeed and the third rename fails.
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "sticky").mkdir()
        for path in ("changed", "deleted", "sticky/theirs"):
            (root / path).write_bytes(b"old")
            os.chown(root / path, NOBODY, NOBODY)
        (root / "changed").chmod(0o640)
        os.chown(root / "sticky/theirs", 0, 0)
        os.chown(root, NOBODY, NOBODY)
        (root / "sticky").chmod(0o1777)
        done = as_nobody(
            f"""
            changes = [Change("changed", b"old", b"new"), Change("deleted", b"old", None),
                       Change("made/new", None, b"new"), Change("sticky/theirs", b"old", b"new")]
            workspace = LocalWorkspace({name!r}, resolver={resolver!r})
            asyncio.run(workspace.apply(changes))
            """
        )
        assert "sticky/theirs cannot be used: permission denied; nothing was written." in done
        found = {
            path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
        }
        assert found == {"changed": b"old", "deleted": b"old", "sticky/theirs": b"old"}
        assert stat.S_IMODE((root / "changed").stat().st_mode) == 0o640
        assert not (root / "made").exists()


async def test_a_save_from_elsewhere_in_the_middle_is_never_lost(local: LocalPlace) -> None:
    """Another program saves one of the files all the while: each apply happens whole or not at all."""
    names = [f"f{number}" for number in range(8)]
    for name in names:
        local.put(name, b"0")
    stop = threading.Event()

    def save_again_and_again() -> None:
        while not stop.is_set():
            os.utime(local.root / "f7")

    editor = threading.Thread(target=save_again_and_again)
    editor.start()
    refused = 0
    try:
        for turn in range(15):
            before, after = b"%d" % (turn - refused), b"%d" % (turn - refused + 1)
            try:
                await local.workspace.apply([Change(name, before, after) for name in names])
            except WorkspaceConflict:
                refused += 1
                after = before
            assert {local.get(name) for name in names} == {after}
    finally:
        stop.set()
        editor.join()
    assert refused > 0
    assert leftovers(local.root) == []


async def test_two_processes_take_turns(local: LocalPlace) -> None:
    """The lock keeps one apply's temporary files safe from the other's sweep: no conflict, no error."""
    script = f"""
        workspace = LocalWorkspace({str(local.root)!r})
        async def main():
            for number in range(15):
                await workspace.apply([Change(f"{{sys.argv[1]}}-{{number}}-{{i}}", None, b"x") for i in range(3)])
        asyncio.run(main())
    """
    children = [start(script, str(number)) for number in range(2)]
    for child in children:
        assert child.wait() == 0
    assert len(local.everything()) == 90


async def test_workspaces_inside_one_another_are_written_side_by_side(local: LocalPlace) -> None:
    (local.root / "sub").mkdir()
    script = """
        workspace = LocalWorkspace(sys.argv[1])
        async def main():
            for number in range(60):
                await workspace.apply([Change(f"{sys.argv[2]}{number}", None, b"x" * 200_000)])
        asyncio.run(main())
    """
    children = [
        start(script, str(local.root), "sub/outer-"),
        start(script, str(local.root / "sub"), "inner-"),
    ]
    assert [child.wait() for child in children] == [0, 0]
    assert len(local.everything()) == 120
    assert leftovers(local.root) == []


# ---------------------------------------------------------------- sentences


async def test_a_missing_root(tmp_path: Path, resolver: str) -> None:
    workspace = LocalWorkspace(tmp_path / "no", resolver=resolver)  # type: ignore[arg-type]
    for work in (workspace.open(), workspace.read("a"), workspace.list(), workspace.apply([])):
        with pytest.raises(
            WorkspaceError, match=r"^Workspace folder .*/no does not exist; create it or name another\.$"
        ):
            await work
    await workspace.open(create=True)
    assert list(await workspace.list()) == []


async def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        for create in (False, True):
            with pytest.raises(WorkspaceError, match="is a file"):
                await LocalWorkspace(root).open(create=create)


async def test_nothing_is_touched_before_the_first_call(tmp_path: Path) -> None:
    assert LocalWorkspace(tmp_path / "x" / "y").location == str(tmp_path / "x" / "y")
    assert list(tmp_path.iterdir()) == []


PREAMBLE = """
import asyncio, os, sys
from windlass.errors import WindlassError
from windlass.workspace import Change
from windlass.workspace.local import LocalWorkspace
"""


def start(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PREAMBLE + textwrap.dedent(script), *arguments])


def as_nobody(script: str) -> str:
    """What a user without rights gets: the sentence of the error that ``script`` ends with, or "ok"."""
    # Rights are dropped after all imports, also the late ones of asyncio: the interpreter itself may lie
    # where nobody may look.
    body = textwrap.indent(textwrap.dedent(script), "    ")
    drop = (
        f"asyncio.run(asyncio.to_thread(int)); os.chdir('/'); os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        if AS_ROOT
        else ""
    )
    source = (
        PREAMBLE
        + drop
        + "try:\n"
        + body
        + "\n    print('ok')\nexcept WindlassError as error:\n    print(error)\n"
    )
    child = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    return child.stdout.strip()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        (Path(name) / "root").mkdir()
        (Path(name) / "root" / "a").write_bytes(b"1")
        yield Path(name) / "root"
        (Path(name) / "root").chmod(0o755)


@pytest.mark.parametrize(
    ("mode", "call", "says"),
    [
        (0o555, "open()", "may not be written by this user"),
        (0o555, "open(write=False)", "ok"),
        (
            0o555,
            "apply([Change('b', None, b'1')])",
            "b cannot be used: permission denied; nothing was written.",
        ),
        (
            0o555,
            "apply([Change('a', b'1', b'2')])",
            "a cannot be used: permission denied; nothing was written.",
        ),
        (
            0o555,
            "apply([Change('a', b'1', None)])",
            "a cannot be used: permission denied; nothing was written.",
        ),
        (0o555, "read('a')", "ok"),
        (0o000, "open()", "may not be read by this user"),
        (0o000, "list()", "may not be read by this user"),
        (0o000, "open(create=True)", "may not be read by this user"),
    ],
)
def test_a_root_without_permission(open_folder: Path, mode: int, call: str, says: str) -> None:
    open_folder.chmod(mode)
    said = as_nobody(f"workspace = LocalWorkspace({str(open_folder)!r})\nasyncio.run(workspace.{call})")
    assert said.endswith(says) or says in said
    assert [path.name for path in open_folder.iterdir()] == ["a"]


def test_a_root_that_cannot_be_made(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    said = as_nobody(f"asyncio.run(LocalWorkspace({str(open_folder / 'x' / 'y')!r}).open(create=True))")
    assert said == f"Workspace folder {open_folder / 'x' / 'y'} cannot be used: permission denied."


@pytest.mark.skipif(not AS_ROOT, reason="a read-only mount needs root")
def test_a_read_only_mount_stops_even_root(open_folder: Path) -> None:
    # In a mount namespace of its own, so that nothing stays mounted.
    script = f"""
        workspace = LocalWorkspace({str(open_folder)!r})
        for work in (workspace.open(), workspace.apply([Change("b", None, b"1")])):
            try:
                asyncio.run(work)
            except WindlassError as error:
                print(error)
        print(asyncio.run(workspace.read("a")).data, asyncio.run(workspace.open(write=False)))
    """
    mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", mount, str(open_folder), sys.executable, "-c"]
    child = subprocess.run([*command, PREAMBLE + textwrap.dedent(script)], capture_output=True, text=True)
    if child.returncode and "unshare" in child.stderr:
        if os.environ.get("CI") == "true":
            pytest.fail(child.stderr)
        pytest.skip("mount namespaces are not allowed here")
    assert child.returncode == 0, child.stderr
    assert child.stdout.splitlines() == [
        f"Workspace {open_folder} is on a read-only file system; choose another folder.",
        "b cannot be written: the file system is read-only; nothing was written.",
        "b'1' None",
    ]


# ---------------------------------------------------------------- choosing by address


async def test_a_folder_is_opened_and_made_on_request(tmp_path: Path) -> None:
    setting = WorkspaceSetting(str(tmp_path / "new"))
    with pytest.raises(WorkspaceError, match="does not exist"):
        await open_workspace(setting)
    workspace = await open_workspace(setting, create=True)
    assert isinstance(workspace, LocalWorkspace)
    assert workspace.location == str(tmp_path / "new")


async def test_an_unknown_kind_of_address() -> None:
    with pytest.raises(ConfigError, match="unknown kind"):
        await open_workspace(WorkspaceSetting("ftp://host/x"))


async def test_a_pattern_of_our_own_names_is_refused(local: LocalPlace) -> None:
    with pytest.raises(UnsafePath):
        await local.workspace.apply([Change(".windlass-0123456789abcdef.tmp", None, b"")])
