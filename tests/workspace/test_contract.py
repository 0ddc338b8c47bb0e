"""What every workspace promises, run over all of them."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from tests.workspace.places import Place
from windlass.errors import UnsafePath, WorkspaceConflict, WorkspaceError
from windlass.ids import sha256_hex
from windlass.workspace import MAX_FILE_BYTES, Change

AWKWARD = [
    "a b/c d.txt",
    "café.txt",
    "emoji-😀.py",
    "a%00b.txt",
    "%2e%2e/x",
    "{{7+7}}.txt",
    "`id`.txt",
    "it's.txt",
    "..x/y",
]


async def test_what_was_written_is_read_back(place: Place) -> None:
    data = bytes(range(256)) * 50
    await place.workspace.apply([Change("a/b/c.bin", None, data)])
    version = await place.workspace.read("a/b/c.bin")
    assert version is not None
    assert (version.path, version.data, version.sha256) == ("a/b/c.bin", data, sha256_hex(data))
    assert version.token
    assert place.everything() == {"a/b/c.bin": data}


@pytest.mark.parametrize("name", AWKWARD)
async def test_awkward_names_stay_as_they_are(place: Place, name: str) -> None:
    await place.workspace.apply([Change(name, None, b"x")])
    assert place.everything() == {name: b"x"}
    assert list(await place.workspace.list()) == [name]
    assert (await place.workspace.read(name)).data == b"x"  # type: ignore[union-attr]


async def test_a_name_in_decomposed_form_means_the_composed_one(place: Place) -> None:
    await place.workspace.apply([Change("cafe\u0301.txt", None, b"x")])
    assert list(place.everything()) == ["caf\u00e9.txt"]
    assert (await place.workspace.read("cafe\u0301.txt")).path == "caf\u00e9.txt"  # type: ignore[union-attr]


NFD, NFC = "cafe\u0301", "caf\u00e9"


async def test_a_file_that_was_named_in_decomposed_form_is_found_and_stays_named_so(place: Place) -> None:
    place.put(f"{NFD}/{NFD}.txt", b"x")
    place.put(f"{NFD}/other", b"y")
    wanted = f"{NFC}/{NFC}.txt"
    assert list(await place.workspace.list()) == [wanted, f"{NFC}/other"]
    assert list(await place.workspace.list(limit=1)) == [wanted]
    for name in (f"{NFD}/{NFD}.txt", wanted):
        version = await place.workspace.read(name)
        assert version is not None and (version.path, version.data) == (wanted, b"x")
    done = await place.workspace.apply([Change(wanted, b"x", b"z"), Change(f"{NFC}/new", None, b"n")])
    assert done.written == (wanted, f"{NFC}/new")
    assert place.everything() == {f"{NFD}/{NFD}.txt": b"z", f"{NFD}/other": b"y", f"{NFD}/new": b"n"}
    await place.workspace.apply([Change(wanted, b"z", None)])
    assert place.everything() == {f"{NFD}/other": b"y", f"{NFD}/new": b"n"}


async def test_two_files_that_only_composition_tells_apart_are_ambiguous(place: Place) -> None:
    place.put(f"{NFD}.txt", b"1")
    place.put(f"{NFC}.txt", b"2")
    place.put("plain.txt", b"3")
    assert list(await place.workspace.list()) == ["plain.txt"]
    with pytest.raises(UnsafePath, match="2 names that look like"):
        await place.workspace.read(f"{NFC}.txt")
    with pytest.raises(UnsafePath, match="2 names that look like"):
        await place.workspace.apply([Change("plain.txt", b"3", b"4"), Change(f"{NFC}.txt", b"2", b"5")])
    assert place.everything() == {f"{NFD}.txt": b"1", f"{NFC}.txt": b"2", "plain.txt": b"3"}


async def test_a_copy_has_the_composed_names(place: Place, tmp_path: Path) -> None:
    place.put(f"{NFD}/{NFD}.py", b"1")
    await place.workspace.materialise(tmp_path / "copy")
    assert (tmp_path / "copy" / NFC / f"{NFC}.py").read_bytes() == b"1"


async def test_a_missing_file_is_none(place: Place) -> None:
    place.put("file", b"x")
    assert await place.workspace.read("no") is None
    assert await place.workspace.read("no/such/file") is None
    assert await place.workspace.read("file/below") is None


async def test_an_empty_file_is_a_file(place: Place) -> None:
    await place.workspace.apply([Change("pkg/__init__.py", None, b"")])
    assert (await place.workspace.read("pkg/__init__.py")).data == b""  # type: ignore[union-attr]
    assert list(await place.workspace.list()) == ["pkg/__init__.py"]


async def test_create_modify_and_delete_at_once(place: Place) -> None:
    place.put("old.txt", b"old")
    place.put("gone/deep.txt", b"gone")
    changes = [
        Change("new.txt", None, b"new"),
        Change("gone/deep.txt", b"gone", None),
        Change("old.txt", b"old", b"newer"),
    ]
    applied = await place.workspace.apply(changes)
    assert applied.written == ("new.txt", "gone/deep.txt", "old.txt")
    assert applied.already == ()
    assert place.everything() == {"new.txt": b"new", "old.txt": b"newer"}


async def test_applying_again_changes_nothing(place: Place) -> None:
    place.put("gone", b"1")
    changes = [Change("a", None, b"1"), Change("b/c", None, b"2"), Change("gone", b"1", None)]
    await place.workspace.apply(changes)
    again = await place.workspace.apply(changes)
    assert again.written == ()
    assert again.already == ("a", "b/c", "gone")
    assert place.everything() == {"a": b"1", "b/c": b"2"}


async def test_a_half_done_set_is_finished(place: Place) -> None:
    place.put("a", b"2")
    place.put("b", b"1")
    applied = await place.workspace.apply([Change("a", b"1", b"2"), Change("b", b"1", b"2")])
    assert applied.written == ("b",)
    assert applied.already == ("a",)


@pytest.mark.parametrize(
    "change",
    [
        Change("c", b"read", b"new"),
        Change("c", b"read", None),
        Change("c", None, b"new"),
        Change("c", b"read", b"read"),
    ],
)
async def test_one_conflict_stops_all(place: Place, change: Change) -> None:
    place.put("c", b"theirs")
    with pytest.raises(
        WorkspaceConflict, match=r"^c is not what it was when it was read; nothing was written"
    ):
        await place.workspace.apply([Change("a", None, b"1"), change, Change("z", None, b"1")])
    assert place.everything() == {"c": b"theirs"}


async def test_a_file_that_was_deleted_meanwhile_is_a_conflict(place: Place) -> None:
    with pytest.raises(WorkspaceConflict):
        await place.workspace.apply([Change("c", b"read", b"new")])
    assert place.everything() == {}


async def test_force_overwrites_what_changed(place: Place) -> None:
    place.put("c", b"theirs")
    place.put("d", b"theirs")
    await place.workspace.apply([Change("c", b"read", b"new"), Change("d", b"read", None)], force=True)
    assert place.everything() == {"c": b"new"}


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../b", ".git/config", "a\\b", "C:x", "", "x/", "con", ".GIT/x"]
)
async def test_unsafe_names_are_refused_everywhere(place: Place, name: str) -> None:
    place.put("keep", b"1")
    with pytest.raises(UnsafePath):
        await place.workspace.read(name)
    with pytest.raises(UnsafePath):
        await place.workspace.apply([Change("ok", None, b"1"), Change(name, None, b"1")])
    assert place.everything() == {"keep": b"1"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Readme.md", "README.md"),
        ("a/x", "A/y"),
        ("fi.txt", "\ufb01.txt"),
        ("same", "same"),
        ("cafe\u0301", "caf\u00e9"),
        ("a", "a/b"),
        ("a/b", "a"),
        ("stra\u00dfe", "STRASSE"),
    ],
)
async def test_two_names_that_collide_in_one_set(place: Place, first: str, second: str) -> None:
    with pytest.raises(UnsafePath):
        await place.workspace.apply([Change(first, None, b"1"), Change(second, None, b"2")])
    assert place.everything() == {}


@pytest.mark.parametrize(
    ("present", "new"),
    [
        ("Readme.md", "README.md"),
        ("Src/a.py", "src/b.py"),
        ("x/Src/a.py", "x/src/a.py"),
        ("\ufb01.txt", "fi.txt"),
    ],
)
async def test_a_new_name_that_collides_with_a_present_one(place: Place, present: str, new: str) -> None:
    place.put(present, b"1")
    with pytest.raises(UnsafePath, match="differs only in case or Unicode form"):
        await place.workspace.apply([Change("other", None, b"1"), Change(new, None, b"2")])
    assert place.everything() == {present: b"1"}


async def test_a_file_where_a_folder_should_be(place: Place) -> None:
    place.put("a", b"1")
    with pytest.raises(WorkspaceError, match="a part of its path is a file"):
        await place.workspace.apply([Change("new/x", None, b"1"), Change("a/b", None, b"2")])
    assert place.everything() == {"a": b"1"}


async def test_a_folder_where_a_file_should_be(place: Place) -> None:
    place.put("a/b", b"1")
    with pytest.raises(WorkspaceError, match="a is a folder"):
        await place.workspace.read("a")
    with pytest.raises(WorkspaceError, match="a is a folder"):
        await place.workspace.apply([Change("new", None, b"1"), Change("a", None, b"2")])
    assert place.everything() == {"a/b": b"1"}


async def test_too_large_a_file(place: Place) -> None:
    with pytest.raises(WorkspaceError, match=r"at most 10,000,000 are written"):
        await place.workspace.apply([Change("a", None, b"1"), Change("big", None, bytes(MAX_FILE_BYTES + 1))])
    assert place.everything() == {}
    place.put("big", bytes(MAX_FILE_BYTES + 1))
    with pytest.raises(WorkspaceError, match=r"big has 10,000,001 bytes; at most 10,000,000 are read"):
        await place.workspace.read("big")


async def test_our_own_temporary_names_are_kept_free(place: Place) -> None:
    with pytest.raises(UnsafePath, match="half-written"):
        await place.workspace.apply([Change("a/.windlass-0123456789abcdef.tmp", None, b"1")])


async def test_list_is_sorted_and_leaves_out_what_nobody_wrote(place: Place) -> None:
    wanted = ["a-b.py", "a.py", "a/b.py", "a/z/q.py", "b.py", ".github/ci.yml", ".gitignore", "Z.py", "é.md"]
    for path in wanted:
        place.put(path, b"x")
    for folder in [
        ".git",
        "a/.hg",
        ".svn",
        ".jj",
        "a/__pycache__",
        ".venv/lib",
        "node_modules/x",
        ".mypy_cache",
    ]:
        place.put(f"{folder}/x.py", b"x")
    place.put("a/.windlass-0123456789abcdef.tmp", b"x")
    assert list(await place.workspace.list()) == sorted(wanted)


async def test_list_stops_at_its_limit_with_the_first_ones(place: Place) -> None:
    names = ["a-b", "a.b", "a/b", "a/c", "aa", "b/a", "c"]
    for name in names:
        place.put(name, b"")
    for limit in range(len(names) + 2):
        assert list(await place.workspace.list(limit=limit)) == sorted(names)[:limit]


async def test_everything_listed_can_be_read(place: Place) -> None:
    for name in ["ok", "bad:name", "cafe\u0301", "-x", "sub/nul"]:
        place.put(name, b"x")
    assert list(await place.workspace.list()) == ["caf\u00e9", "ok"]
    for name in await place.workspace.list():
        assert await place.workspace.read(name)


async def test_materialise_copies_files_and_nothing_else(place: Place, tmp_path: Path) -> None:
    files = {"a/b.py": b"1", "c": b"", "d/e/f.bin": bytes(range(256)) * 10_000}
    for path, data in files.items():
        place.put(path, data)
    place.put(".git/config", b"x")
    place.put("node_modules/m.js", b"x")
    target = tmp_path / "copy"
    await place.workspace.materialise(target)
    found = {
        path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()
    }
    assert found == files


async def test_materialise_needs_an_empty_folder(place: Place, tmp_path: Path) -> None:
    place.put("a", b"1")
    target = tmp_path / "copy"
    target.mkdir()
    (target / "mine").write_bytes(b"1")
    with pytest.raises(WorkspaceError, match="not empty"):
        await place.workspace.materialise(target)
    assert [path.name for path in target.iterdir()] == ["mine"]


async def test_thirty_files_at_once(place: Place) -> None:
    changes = [Change(f"d{number % 5}/f{number}.txt", None, b"%d" % number) for number in range(30)]
    await place.workspace.apply(changes)
    assert place.everything() == {change.path: change.after for change in changes}


async def test_no_changes_are_fine(place: Place) -> None:
    applied = await place.workspace.apply([])
    assert (applied.written, applied.already) == ((), ())


async def test_a_cancelled_apply_is_over_when_it_says_so(place: Place) -> None:
    changes = [Change(f"d/f{number}", None, b"x" * 10_000) for number in range(30)]
    for turns in (0, 1, 3):
        task = asyncio.ensure_future(place.workspace.apply(changes))
        for _ in range(turns):
            await asyncio.sleep(0.001)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert place.everything() in ({}, {change.path: change.after for change in changes})
        await place.workspace.apply([Change(change.path, change.after, None) for change in changes])
