"""Diff, undo and redo from a run's journal, in process: real files, a journal in memory."""

from __future__ import annotations

import shutil
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.errors import JournalError, NotFound, RunOwnedElsewhere, WorkspaceConflict, WorkspaceError
from windlass.history import counts, diff_of, net_changes, redo, undo, undone, unified
from windlass.ids import sha256_hex
from windlass.journal import EntryState, Lease, MemoryJournal, RunJournal, RunRecord, digest_of
from windlass.workspace import Change
from windlass.workspace.base import Applied
from windlass.workspace.local import LocalWorkspace


class Died(BaseException):
    """In place of SIGKILL: nothing after it is done, nothing is tidied up by the code under test."""


@dataclass
class Past:
    """A finished run over a folder; its writes are made as the engine makes them."""

    folder: Path
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    record: RunRecord = field(default_factory=lambda: RunRecord("r1", "test", "test"))
    writes: int = 0

    async def begin(self, **files: bytes) -> Past:
        self.put(files)
        await self.journal.create_run(self.record)
        return self

    def put(self, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def files(self) -> dict[str, bytes]:
        return {
            str(p.relative_to(self.folder)): p.read_bytes() for p in self.folder.rglob("*") if p.is_file()
        }

    async def write(self, texts: dict[str, bytes | None], *, die: str = "", path: str = "") -> None:
        """``die``: "before" or "after" the files are written, leaving the claim open."""
        lease = await self.journal.acquire("r1", "engine", ttl=30)
        mine = await RunJournal.open(self.journal, lease)
        space = LocalWorkspace(self.folder)
        changes = []
        for name, after in sorted(texts.items()):
            version = await space.read(name)
            before = None if version is None else version.data
            changes.append(Change(name, before, after, None if version is None else version.mode))
        rows = [
            {
                "path": c.path, "change": c.kind, "bytes": len(c.after or b""), "mode": c.mode,
                "before": None if c.before is None else sha256_hex(c.before),
                "after": None if c.after is None else sha256_hex(c.after),
            }
            for c in changes
        ]  # fmt: skip
        await self.journal.put_blobs(
            lease, [d for c in changes for d in (c.before, c.after) if d is not None]
        )
        claim = await mine.claim(path or f"s/write[{self.writes}]", "write", digest_of(rows), rows)
        self.writes += 1
        if die != "before":
            await space.apply(changes)
        if not die:
            await mine.finish(claim, rows)
        await self.journal.release(lease)

    async def undo(self, *paths: str, force: bool = False, space: LocalWorkspace | None = None) -> list[str]:
        space = space or LocalWorkspace(self.folder)
        done = await undo(self.journal, self.record, space, "me", paths=paths, force=force)
        return [f"{c.kind} {c.path}" for c in done]

    async def redo(self, *, force: bool = False, space: LocalWorkspace | None = None) -> list[str]:
        space = space or LocalWorkspace(self.folder)
        return [f"{c.kind} {c.path}" for c in await redo(self.journal, self.record, space, "me", force=force)]

    async def changed(self, *paths: str) -> list[str]:
        return [f"{c.kind} {c.path}" for c in net_changes(await self.journal.entries("r1"), paths)]

    async def is_undone(self) -> bool:
        return bool(undone(await self.journal.entries("r1")))


@pytest.fixture
def past(tmp_path: Path) -> Past:
    folder = tmp_path / "work"
    folder.mkdir()
    return Past(folder)


BEFORE = {"a.py": b"a = 1\n", "b.txt": b"\xef\xbb\xbfx\r\ny\r\nno end", "sub/c.md": b"", "gone.py": b"old\n"}
AFTER = {
    "a.py": b"a = 2\n",
    "b.txt": b"\xef\xbb\xbfx\r\nz\r\nno end",
    "sub/c.md": b"text\n",
    "new/n.py": b"n\n",
}


async def ran(past: Past) -> Past:
    past.put(BEFORE)
    (past.folder / "a.py").chmod(0o750)
    (past.folder / "gone.py").chmod(0o640)
    await past.begin()
    await past.write({"a.py": b"a = 0\n", "b.txt": AFTER["b.txt"]})
    await past.write({"a.py": AFTER["a.py"], "gone.py": None, "sub/c.md": b"text\n", "new/n.py": b"n\n"})
    assert past.files() == AFTER
    return past


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_everything_goes_back_byte_for_byte_and_forth_again(past: Past) -> None:
    await ran(past)
    assert await past.changed() == [
        "modified a.py", "modified b.txt", "deleted gone.py", "created new/n.py", "modified sub/c.md"
    ]  # fmt: skip
    assert await past.undo() == [
        "modified a.py", "modified b.txt", "created gone.py", "deleted new/n.py", "modified sub/c.md"
    ]  # fmt: skip
    assert past.files() == BEFORE
    assert mode(past.folder / "a.py") == 0o750
    assert mode(past.folder / "gone.py") == 0o640
    assert await past.changed() == []
    assert await past.is_undone()
    assert len(await past.redo()) == 5
    assert past.files() == AFTER
    assert mode(past.folder / "a.py") == 0o750
    assert not await past.is_undone()
    assert len(await past.undo()) == 5
    assert past.files() == BEFORE


async def test_one_path_and_then_the_rest(past: Past) -> None:
    await ran(past)
    assert await past.undo("a.py") == ["modified a.py"]
    assert past.files() == AFTER | {"a.py": BEFORE["a.py"]}
    assert len(await past.changed()) == 4
    assert len(await past.undo()) == 4
    assert past.files() == BEFORE
    # Each undo is taken back by a redo of its own, the last one first.
    assert len(await past.redo()) == 4
    assert past.files() == AFTER | {"a.py": BEFORE["a.py"]}
    assert await past.redo() == ["modified a.py"]
    assert past.files() == AFTER


async def test_nothing_to_undo_or_redo(past: Past) -> None:
    await ran(past)
    with pytest.raises(JournalError, match="no undo to take back"):
        await past.redo()
    with pytest.raises(NotFound, match=r"did not change 'nope.py'; it changed a.py, b.txt"):
        await past.undo("nope.py")
    await past.undo()
    with pytest.raises(JournalError, match="no change to undo"):
        await past.undo()
    assert past.files() == BEFORE


async def test_a_file_changed_since_keeps_all_as_they_are(past: Past) -> None:
    await ran(past)
    past.put({"b.txt": b"mine\n"})
    with pytest.raises(
        WorkspaceConflict, match=r"^b\.txt: changed after the run; nothing was written.*--force"
    ):
        await past.undo()
    assert past.files() == AFTER | {"b.txt": b"mine\n"}
    assert not await past.is_undone()
    await past.undo("a.py")
    assert past.files() == AFTER | {"b.txt": b"mine\n", "a.py": BEFORE["a.py"]}
    await past.undo(force=True)
    assert past.files() == BEFORE


async def test_a_file_deleted_or_made_since_is_a_change_too(past: Past) -> None:
    await ran(past)
    (past.folder / "a.py").unlink()
    past.put({"gone.py": b"another\n"})
    with pytest.raises(WorkspaceConflict, match=r"^a\.py, gone\.py: changed after"):
        await past.undo()
    await past.undo(force=True)
    assert past.files() == BEFORE
    past.put({"new/n.py": b"mine\n"})
    with pytest.raises(WorkspaceConflict, match=r"^new/n\.py: changed"):
        await past.redo()
    assert past.files() == BEFORE | {"new/n.py": b"mine\n"}
    await past.redo(force=True)
    assert past.files() == AFTER


async def test_while_another_process_works_on_the_run(past: Past) -> None:
    await ran(past)
    lease: Lease = await past.journal.acquire("r1", "elsewhere:1:x:y:z", ttl=30)
    with pytest.raises(RunOwnedElsewhere):
        await past.undo()
    assert past.files() == AFTER
    await past.journal.release(lease)
    await past.undo()
    assert past.files() == BEFORE


class Dying(LocalWorkspace):
    """Dies before or after the files are changed: what SIGKILL leaves of a change of several files."""

    when = "before"
    only = 0

    async def apply(self, changes: list[Change], *, force: bool = False) -> Applied:  # type: ignore[override]
        if self.when == "between":
            await super().apply(changes[: self.only], force=force)
        elif self.when == "after":
            await super().apply(changes, force=force)
        raise Died


def dying(past: Past, when: str, only: int = 2) -> Dying:
    space = Dying(past.folder)
    space.when, space.only = when, only
    return space


@pytest.mark.parametrize("when", ["before", "between", "after"])
@pytest.mark.parametrize("then", ["undo", "redo"])
async def test_a_broken_off_undo_is_finished_or_taken_back(past: Past, when: str, then: str) -> None:
    await ran(past)
    with pytest.raises(Died):
        await past.undo(space=dying(past, when))
    # Whoever looks, or wants to go on with the run, is told.
    assert await past.is_undone()
    if then == "undo":
        await past.undo()
        assert past.files() == BEFORE
        await past.redo()
        assert past.files() == AFTER
    else:
        await past.redo()
        assert past.files() == AFTER
        await past.undo()
        assert past.files() == BEFORE
        await past.redo()
        assert past.files() == AFTER
    assert not await past.is_undone()


@pytest.mark.parametrize("when", ["before", "between", "after"])
@pytest.mark.parametrize("then", ["undo", "redo"])
async def test_a_broken_off_redo_is_finished_or_taken_back(past: Past, when: str, then: str) -> None:
    await ran(past)
    await past.undo()
    with pytest.raises(Died):
        await past.redo(space=dying(past, when))
    if then == "redo":
        await past.redo()
        assert past.files() == AFTER
        assert not await past.is_undone()
    else:
        await past.undo()
        assert past.files() == BEFORE
        await past.redo()
        assert past.files() == AFTER
        assert not await past.is_undone()


@pytest.mark.parametrize("die", ["before", "after"])
async def test_a_write_that_a_killed_run_may_have_made_is_undone_too(past: Past, die: str) -> None:
    await past.begin(**{"a.py": b"1\n", "b.py": b"1\n"})
    await past.write({"a.py": b"2\n"})
    await past.write({"b.py": b"2\n", "c.py": b"2\n"}, die=die)
    undone_paths = await past.undo()
    assert undone_paths == (
        ["modified a.py", "modified b.py", "deleted c.py"] if die == "after" else ["modified a.py"]
    )
    assert past.files() == {"a.py": b"1\n", "b.py": b"1\n"}
    await past.redo()
    written = {"a.py": b"2\n", "b.py": b"2\n", "c.py": b"2\n"}
    assert past.files() == (written if die == "after" else {"a.py": b"2\n", "b.py": b"1\n"})


@pytest.mark.parametrize("die", ["before", "after"])
async def test_a_second_write_to_a_file_may_have_been_made(past: Past, die: str) -> None:
    await past.begin(**{"a.py": b"1\n"})
    await past.write({"a.py": b"2\n", "b.py": b"2\n"})
    await past.write({"a.py": b"3\n", "b.py": b"3\n"}, die=die)
    left = past.files()
    assert await past.undo() == ["modified a.py", "deleted b.py"]
    assert past.files() == {"a.py": b"1\n"}
    await past.redo()
    assert past.files() == left


async def test_a_refused_undo_does_not_count(past: Past) -> None:
    await ran(past)
    (past.folder / "a.py").unlink()
    (past.folder / "a.py").mkdir()
    with pytest.raises(WorkspaceError, match=r"a\.py"):
        await past.undo()
    assert not await past.is_undone()
    states = [e.state for e in await past.journal.entries("r1") if e.kind == "undo"]
    assert states == [EntryState.FAILED]


async def test_contents_are_kept_once(past: Past) -> None:
    await ran(past)
    kept = len(past.journal._blobs)
    for _ in range(3):
        await past.undo()
        await past.redo()
    assert len(past.journal._blobs) == kept
    # Five befores, six afters; the empty file counts, twice the same would not.
    assert kept == len({*BEFORE.values(), *AFTER.values(), b"a = 0\n"})


async def test_a_diff_says_what_is_no_text(past: Past) -> None:
    await past.begin(**{"x.bin": b"\xff\xfe\0"})
    await past.write({"x.bin": b"\xff\xfe\1", "empty.py": b""})
    changes = net_changes(await past.journal.entries("r1"))
    told = {c.path: await diff_of(past.journal, c) for c in changes}
    assert told == {"x.bin": "Binary file x.bin differs\n", "empty.py": "Empty file empty.py created\n"}
    assert [counts(text) for text in told.values()] == [(0, 0), (0, 0)]


def test_counts_of_lines_that_look_like_headings() -> None:
    diff = unified("q.sql", b"-- old\nselect 1\n++ x\n", b"select 1\n++ y\n--- z\n")
    assert counts(diff) == (2, 2)
    assert counts(unified("f", None, b"a\nb")) == (2, 0)
    assert counts(unified("f", b"a\nb", None)) == (0, 2)


PIECES = st.sampled_from(["a", "b", "-- x", "++ y", "", "\x0c", "\u2028", "\x1c", "ü", " ", "@@", "\\ No"])
TEXTS = st.lists(st.tuples(PIECES, st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"])), max_size=9).map(
    lambda lines: "".join(text + end for text, end in lines)
)


@given(TEXTS, TEXTS)
def test_a_diff_holds_every_byte(old: str, new: str) -> None:
    """Applied by hand to the old text it gives the new one, whatever ends the lines."""
    if old == new:
        assert unified("f", b"x" + old.encode(), b"x" + new.encode()) == ""
        return
    diff = unified("f", old.encode(), new.encode())
    was, becomes = [], []
    lines = diff.split("\n")[:-1]
    for number, line in enumerate(lines[2:], 2):
        if line.startswith(("@@", "\\ No newline")):
            continue
        end = "" if number + 1 < len(lines) and lines[number + 1].startswith("\\ No newline") else "\n"
        if line[0] in " -":
            was.append(line[1:] + end)
        if line[0] in " +":
            becomes.append(line[1:] + end)
    # With at most nine lines and three of context on each side, a hunk may leave out a middle or an end.
    assert all(part in old for part in was)
    assert all(part in new for part in becomes)
    assert counts(diff) == (diff.count("\n+") - 1, diff.count("\n-"))


@pytest.mark.parametrize("old", [b"a\r\nb\r\n", b"a\nb", b"\x0ca\n-- b\n", None])
@pytest.mark.parametrize("new", [b"a\r\nc\r\n", b"a\nb\n", b"\x0ca\x0cb\n++ c", None])
def test_git_applies_a_diff(tmp_path: Path, old: bytes | None, new: bytes | None) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    if old == new:
        return
    file = tmp_path / "f.txt"
    if old is not None:
        file.write_bytes(old)
    (tmp_path / "p").write_bytes(unified("f.txt", old, new).encode())
    done = subprocess.run(["git", "apply", "p"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (file.read_bytes() if file.exists() else None) == new
