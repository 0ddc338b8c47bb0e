"""What a run changed, and taking it back: diff, undo, redo. From the journal alone; no version control needed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from windlass.errors import JournalError, NotFound, WindlassError, WorkspaceConflict
from windlass.journal import Entry, EntryState, Journal, RunJournal, RunRecord, digest_of
from windlass.owners import take
from windlass.workspace import Change, Workspace

#: What takes the other back.
_OPPOSITE = {"undo": "redo", "redo": "undo"}
#: Claimed and not settled: its process ended while it was under way, or it is under way.
_BROKEN_OFF = (EntryState.CLAIMED, EntryState.UNKNOWN)


@dataclass(frozen=True)
class NetChange:
    """One file's change over a whole run, contents by SHA-256 (None = no such file)."""

    path: str
    before: str | None
    after: str | None
    mode: int | None

    @property
    def kind(self) -> str:
        """``created``, ``modified`` or ``deleted``."""
        if self.before is None:
            return "created"
        return "deleted" if self.after is None else "modified"


def net_changes(entries: Sequence[Entry], paths: Sequence[str] = ()) -> list[NetChange]:
    """The files that differ from what they were before the run, by path. NotFound for a path it never touched."""
    return _net(_done(entries), paths)


def undone(entries: Sequence[Entry]) -> list[Entry]:
    """The undos of a run that were not redone, oldest first; one that was broken off counts."""
    return _undone(_done(entries, "redo"))


def _done(entries: Sequence[Entry], coming: str | None = None) -> list[Entry]:
    """The writes, undos and redos that count as done when ``coming`` is the next one.

    An undo that was broken off counts once a redo follows it, and the other way round: the second one puts back
    whatever the first had come to. Followed by its own kind, it is simply done again.
    """
    kept: list[Entry] = []
    following = coming
    for entry in reversed(entries):
        reversible = entry.kind in _OPPOSITE
        put_back = reversible and entry.state in _BROKEN_OFF and following == _OPPOSITE[entry.kind]
        if (entry.kind == "write" or reversible) and (entry.state is EntryState.DONE or put_back):
            kept.append(entry)
            following = entry.kind if reversible else following
    return kept[::-1]


def _net(done: Sequence[Entry], paths: Sequence[str]) -> list[NetChange]:
    found: dict[str, NetChange] = {}
    for entry in done:
        for row in _rows(entry):
            known = found.get(row["path"])
            before = row["before"] if known is None else known.before
            mode = row.get("mode") if known is None else known.mode
            found[row["path"]] = NetChange(row["path"], before, row["after"], mode)
    for path in paths:
        if path not in found:
            touched = ", ".join(sorted(found)) or "no file"
            raise NotFound(f"The run did not change {path!r}; it changed {touched}.")
    chosen = [found[path] for path in sorted(set(paths) or found)]
    return [change for change in chosen if change.before != change.after]


def _rows(entry: Entry) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = entry.result if entry.state is EntryState.DONE else entry.request
    return rows


def _undone(done: Sequence[Entry]) -> list[Entry]:
    stack: list[Entry] = []
    for entry in done:
        if entry.kind == "undo":
            stack.append(entry)
        elif entry.kind == "redo" and stack:
            stack.pop()
    return stack


async def _bytes(journal: Journal, sha256: str | None) -> bytes | None:
    return None if sha256 is None else await journal.get_blob(sha256)


async def diff_of(journal: Journal, change: NetChange) -> str:
    """A unified diff of one file; a sentence in its place for content that is no text."""
    before, after = await _bytes(journal, change.before), await _bytes(journal, change.after)
    return unified(change.path, before, after)


def unified(path: str, before: bytes | None, after: bytes | None) -> str:
    """A unified diff from ``before`` to ``after`` (None = no such file), in git's form."""
    try:
        old = "" if before is None else before.decode()
        new = "" if after is None else after.decode()
    except UnicodeDecodeError:
        return f"Binary file {path} differs\n"
    if not old and not new:
        return f"Empty file {path} {'created' if before is None else 'deleted'}\n"
    lines = difflib.unified_diff(
        _lines(old),
        _lines(new),
        "/dev/null" if before is None else f"a/{path}",
        "/dev/null" if after is None else f"b/{path}",
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _lines(text: str) -> list[str]:
    # Only these end a line in a diff; str.splitlines also splits at form feeds and Unicode separators.
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def counts(diff: str) -> tuple[int, int]:
    """Lines added and removed in a unified diff of one file."""
    # The two heading lines look like changes; a removed line "-- x" looks like a heading.
    body = diff.split("\n")[2:]
    return sum(line.startswith("+") for line in body), sum(line.startswith("-") for line in body)


async def undo(
    journal: Journal,
    record: RunRecord,
    workspace: Workspace,
    owner: str,
    *,
    paths: Sequence[str] = (),
    force: bool = False,
) -> list[NetChange]:
    """Put files back to what they were before the run, all or none; what was changed back.

    Raises WorkspaceConflict, having written nothing, when a file is no longer what the run left
    (unless ``force``), RunOwnedElsewhere while the run is under way, JournalError when there is nothing to undo.
    """
    entries = await journal.entries(record.run_id)
    changes = await _still_there(workspace, entries, paths)
    if not changes:
        already = f": it was undone; windlass redo {record.run_id} takes that back" if undone(entries) else ""
        raise JournalError(f"Run {record.run_id} has no change to undo{already}.")
    back = [NetChange(c.path, c.after, c.before, c.mode) for c in changes]
    await _apply(journal, record, workspace, owner, "undo", back, force)
    return back


async def _still_there(
    workspace: Workspace, entries: Sequence[Entry], paths: Sequence[str]
) -> list[NetChange]:
    """What there is to take back, with the writes that a killed run may have made without keeping that it did."""
    done = _done(entries, "undo")
    open_writes = [e for e in entries if e.kind == "write" and e.state in _BROKEN_OFF]
    if not open_writes:
        return _net(done, paths)
    settled = {change.path: change for change in _net(done, ())}
    chosen = []
    for change in _net([e for e in entries if e in open_writes or e in done], paths):
        if any(row["path"] == change.path for entry in open_writes for row in _rows(entry)):
            version = await workspace.read(change.path)
            now = None if version is None else version.sha256
            earlier = settled.get(change.path)
            if now == change.before:
                continue
            if earlier is not None and now == earlier.after:
                change = earlier
        chosen.append(change)
    return chosen


async def redo(
    journal: Journal, record: RunRecord, workspace: Workspace, owner: str, *, force: bool = False
) -> list[NetChange]:
    """Take the last undo back; what was changed. Raises like :func:`undo`."""
    stack = undone(await journal.entries(record.run_id))
    if not stack:
        raise JournalError(f"Run {record.run_id} has no undo to take back.")
    rows = _rows(stack[-1])
    changes = [NetChange(r["path"], r["after"], r["before"], r.get("mode")) for r in rows]
    await _apply(journal, record, workspace, owner, "redo", changes, force)
    return changes


async def _apply(
    journal: Journal,
    record: RunRecord,
    workspace: Workspace,
    owner: str,
    kind: str,
    changes: Sequence[NetChange],
    force: bool,
) -> None:
    rows: list[dict[str, Any]] = []
    wanted: list[Change] = []
    for change in changes:
        before, after = await _bytes(journal, change.before), await _bytes(journal, change.after)
        wanted.append(Change(change.path, before, after, change.mode))
        rows.append(
            {
                "path": change.path,
                "change": change.kind,
                "before": change.before,
                "after": change.after,
                "bytes": len(after or b""),
                "mode": change.mode,
            }
        )
    lease = await take(journal, record.run_id, owner)
    try:
        mine = await RunJournal.open(journal, lease)
        number = sum(e.kind == kind for e in mine.all.values())
        claim = await mine.claim(f"{kind}[{number}]", kind, digest_of(rows), rows)
        try:
            await workspace.apply(wanted, force=force)
        except WorkspaceConflict as error:
            await mine.fail(claim, str(error))
            raise WorkspaceConflict(
                f"{re.split(r' (?:is|are) not what', str(error))[0]}: changed after the run; nothing was written. What the run did "
                f"shows windlass diff {record.run_id}; add --force to overwrite the change made since."
            ) from None
        except WindlassError as error:
            await mine.fail(claim, str(error))
            raise
        await mine.finish(claim, rows)
    finally:
        await journal.release(lease)
