"""A hand on a run from outside: end it, let it go on, answer it, start another one from the middle of it."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from windlass.errors import JournalError, NotFound, RunOwnedElsewhere, WorkspaceConflict
from windlass.events import SEND_WORKFLOW, Event, WorkflowStatus
from windlass.history import undone
from windlass.ids import generate_id
from windlass.journal import Entry, EntryState, Journal, RunJournal, RunRecord, step_of
from windlass.owners import is_owned, owner_name, take
from windlass.people import CANCELLED, Answer, check_answer
from windlass.plan import EventLog
from windlass.report import in_tree_order, owners_of, waiting_for
from windlass.workspace import Change, Workspace

_ENDED = (WorkflowStatus.Success, WorkflowStatus.Failure, WorkflowStatus.Cancelled)

#: Kinds of entries that a fork never takes along: they are about the files of the other run.
_NOT_KEPT = ("undo", "redo")


async def cancel(journal: Journal, run_id: str, *, now: bool = False) -> RunRecord:
    """End a run as Cancelled; its record then.

    A run that a living process works on is asked to end: replies under way are waited for and kept, and the
    record still says Started. ``now`` takes it away from that process: replies under way are lost, and count as
    calls that may have been paid. Raises NotFound, and JournalError for a run that has ended.
    """
    record = await journal.get_run(run_id)
    _check_not_ended(record)
    if now and record.owner is not None:
        # In its owner's name: that makes the owner's own lease void, and with it all it would still write.
        await journal.acquire(record.run_id, record.owner, ttl=0.0)
    elif is_owned(record):
        return await _ask_to_end(journal, record.run_id)
    try:
        lease = await take(journal, record.run_id, owner_name())
    except RunOwnedElsewhere:
        if now:
            raise
        # Somebody took it up just now, or the database's clock is behind ours.
        return await _ask_to_end(journal, record.run_id)
    try:
        # It may have ended between the look at it and now; how it ended is never written over.
        _check_not_ended(await journal.get_run(record.run_id))
        log = EventLog(
            record.run_id,
            journal,
            lease,
            workflow_name="",
            earlier=await journal.events(record.run_id),
        )
        await RunJournal.open(journal, lease)
        log.close_run(CANCELLED, workflow=record.workflow, title=record.title)
        await log.flush()
        await journal.update_run(
            lease, status=WorkflowStatus.Cancelled, finished_at=time.time(), cancel_requested=False
        )
        log.run_status(WorkflowStatus.Cancelled)
        await log.close()
    finally:
        await journal.release(lease)
    return await journal.get_run(record.run_id)


async def _ask_to_end(journal: Journal, run_id: str) -> RunRecord:
    await journal.request_cancel(run_id)
    return await journal.get_run(run_id)


def _check_not_ended(record: RunRecord) -> None:
    if record.status in _ENDED:
        raise JournalError(
            f"Run {record.run_id} has ended in {record.status.value}; there is nothing to cancel."
        )


async def prepare_resume(
    journal: Journal, run_id: str, *, assume_yes: bool = False, changes: Mapping[str, Any] | None = None
) -> str:
    """The whole id of a run that can go on. Raises NotFound, or JournalError for one that has succeeded or was undone.

    ``assume_yes`` approves what the run waits for. ``changes`` are options that bound the run without being part
    of any request it made: ``budget``, ``allow_unknown_price``, ``max_repairs``.
    """
    record = await journal.get_run(run_id)
    if record.status is WorkflowStatus.Success:
        raise JournalError(f"Run {record.run_id} has ended in Success; there is nothing to go on with.")
    entries = await journal.entries(record.run_id)
    _check_not_undone(record, entries)
    if record.status is WorkflowStatus.Waiting and assume_yes:
        asked = waiting_for(record, await journal.events(record.run_id))
        # It may have its answer already, given from another terminal for later.
        if asked is None or asked["path"] not in {entry.path for entry in entries}:
            await answer(journal, record.run_id, Answer("approve"))
    if changes:
        lease = await take(journal, record.run_id, owner_name())
        try:
            await journal.update_run(lease, options={**record.options, **changes})
        finally:
            await journal.release(lease)
    return record.run_id


async def answer(journal: Journal, run_id: str, given: Answer) -> None:
    """Keep a person's answer to what a run waits for. Raises JournalError when it waits for nothing, InputError for
    what is no answer to that question; then nothing is kept."""
    record = await journal.get_run(run_id)
    asked = waiting_for(record, await journal.events(record.run_id))
    if asked is None:
        raise JournalError(f"Run {record.run_id} waits for no answer (it is {record.status.value}).")
    check_answer(asked["kind"], asked["text"], given)
    now = time.time()
    await journal.answer(
        record.run_id,
        Entry(
            run_id=record.run_id,
            path=asked["path"],
            kind="answer",
            digest=asked["digest"],
            state=EntryState.DONE,
            request=asked["detail"],
            result={"action": given.action, "text": given.text},
            started_at=now,
            finished_at=now,
        ),
    )


async def fork(
    journal: Journal,
    run_id: str,
    step: str,
    *,
    workspace: str | None = None,
    files: Workspace | None = None,
    changes: Mapping[str, Any] | None = None,
) -> RunRecord:
    """A new run that has done what ``run_id`` did before ``step``, and nothing else; not begun.

    ``changes`` are options that differ. ``workspace`` None: the same one, as its files are now; else ``files`` is that
    workspace, which gets what the kept part read or wrote. Raises NotFound, listing the known paths, for a step the run
    has not; JournalError where the run's changes were undone; WorkspaceConflict as :func:`bring_files`.
    """
    record = await journal.get_run(run_id)
    entries = await journal.entries(record.run_id)
    _check_not_undone(record, entries)
    begun: Mapping[str, Any] = record.pins.get("settings", {})
    keep = entries_before(entries, await journal.events(record.run_id), step)
    new = RunRecord(
        run_id=generate_id(),
        workflow=record.workflow,
        title=record.title,
        workspace=record.workspace if workspace is None else workspace,
        options={**record.options, **(changes or {})},
        # The tests that the kept part ran were run so; the models are those that are set when the fork begins.
        pins={"settings": {name: kept for name, kept in begun.items() if name == "test_command"}},
        parent_run=record.run_id,
    )
    if files is not None:
        # Before there is a run: killed in between, it would be resumed without the files that it believes to have written.
        kept = set(keep)
        await bring_files(journal, record.run_id, [e for e in entries if e.path in kept], files)
    await journal.fork(record.run_id, new, keep=keep)
    return await journal.get_run(new.run_id)


def _check_not_undone(record: RunRecord, entries: Sequence[Entry]) -> None:
    if undone(entries):
        raise JournalError(
            f"The changes of run {record.run_id} were undone; take that back first with: windlass redo {record.run_id}"
        )


async def bring_files(
    journal: Journal, run_id: str, entries: Sequence[Entry], workspace: Workspace
) -> list[str]:
    """Make the files that these entries of a run read or wrote be in a fork's own workspace, as they left them; their names.

    Raises WorkspaceConflict, having written nothing, where such a file is there with content the run never saw.
    """
    wanted = []
    for name, versions in _versions(entries).items():
        there = await workspace.read(name)
        if there is not None and there.sha256 not in versions:
            raise WorkspaceConflict(
                f"{name} is in the new workspace with other content than run {run_id} knows; nothing was written. Name "
                "an empty folder with --workspace."
            )
        last = versions[-1]
        after = None if last is None else await journal.get_blob(last)
        before = None if there is None else there.data
        wanted.append(Change(name, before, after, None if there is None else there.mode))
    await workspace.apply(wanted)
    return [change.path for change in wanted]


async def forked_writes(journal: Journal, record: RunRecord) -> dict[str, set[str | None]]:
    """Every content (SHA-256, None = deleted) that the runs which this one was forked from made of each file."""
    made: dict[str, set[str | None]] = {}
    while record.parent_run is not None:
        try:
            record = await journal.get_run(record.parent_run, whole=True)
        except NotFound:
            break  # it was forgotten
        for entry in await journal.entries(record.run_id):
            if entry.kind == "write" and entry.state is EntryState.DONE:
                for row in entry.result:
                    made.setdefault(row["path"], set()).add(row["after"])
    return made


def _versions(entries: Sequence[Entry]) -> dict[str, list[str | None]]:
    """Every content (SHA-256, None = no such file) that the run saw or made of each file, oldest first."""
    found: dict[str, list[str | None]] = {}
    for entry in entries:
        if entry.state is not EntryState.DONE:
            continue
        if entry.kind == "read" and isinstance(entry.request, str):
            found.setdefault(entry.request, []).append(entry.result)
        elif entry.kind == "write":
            for row in entry.result:
                found.setdefault(row["path"], []).extend([row["before"], row["after"]])
    return found


def entries_before(entries: Sequence[Entry], events: Sequence[Event], step: str) -> list[str]:
    """The paths of the finished effects that belong before ``step`` in the order of the plan.

    ``step`` may be a part of a step that the plan does not show, such as one of several answers: all of that step is done
    anew then.
    """
    order = plan_order(events)
    declared = set(order)
    if step not in declared:
        shown = _shown(step, declared) if any(_within(e, step) for e in entries) else None
        if shown is None:
            known = ", ".join(order) or "none yet"
            raise NotFound(f"The run has no step {step!r}; known paths: {known}.")
        step = shown
    earlier = set(order[: order.index(step)])
    above = {path for path in earlier if step.startswith((f"{path}.", f"{path}["))}
    began = next((n for n, e in enumerate(entries) if _within(e, step)), len(entries))
    kept = []
    for number, entry in enumerate(entries):
        owner = _shown(step_of(entry.path), declared)
        if entry.state is not EntryState.DONE or entry.kind in _NOT_KEPT:
            continue
        # What comes before the plan (files brought in) has no step; a parent's own effects may come after the step.
        before = owner is None or owner in earlier
        if before and not (owner in above and number > began):
            kept.append(entry.path)
    return kept


def _shown(path: str, declared: Collection[str]) -> str | None:
    """The step of the plan that this step, or part of one, belongs to; None where the plan has none for it."""
    return next((above for above in reversed(owners_of(path)) if above in declared), None)


def _within(entry: Entry, step: str) -> bool:
    owner = step_of(entry.path)
    return owner == step or owner.startswith((f"{step}.", f"{step}["))


def plan_order(events: Sequence[Event]) -> list[str]:
    """Every declared step's path, parents before what belongs to them, else as declared."""
    rows: dict[str, int] = {}
    for event in events:
        if event.name == SEND_WORKFLOW:
            rows.update((row["path"], row["step_id"]) for row in event.payload["workflow"]["steps"])
    steps = [{"path": path} for path, _ in sorted(rows.items(), key=lambda item: item[1])]
    return [step["path"] for step in in_tree_order(steps)]
