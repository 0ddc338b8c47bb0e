"""Runs for workers on any machine: queued in the transaction that makes them, owned by lease alone.

Procrastinate (PostgreSQL) delivers; see :mod:`windlass.queue.jobs` for what decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.errors import InputError, WindlassError
from windlass.events import WorkflowStatus
from windlass.queue.jobs import Place, analyse, enqueue_runs, prepare_queue, require_queue, withdraw_run

if TYPE_CHECKING:
    from windlass.app import App
    from windlass.journal import RunRecord

__all__ = [
    "Place",
    "analyse",
    "enqueue",
    "enqueue_runs",
    "prepare_queue",
    "require_queue",
    "submit",
    "withdraw",
]


async def submit(
    app: App,
    workflow: str,
    title: str,
    workspace: str,
    options: Mapping[str, Any],
    place: Place | None = None,
) -> RunRecord:
    """Make a run and queue it for workers, in one transaction; it is not begun here.

    Its workspace must be where this process and the workers can reach it: a folder that they share, or ``s3://…``. A new
    folder is made now. Which models there are is the workers' matter. Raises InputError or WorkspaceError for what could
    not be done there (see :meth:`windlass.app.App.check`), StoreError, and ConfigError without the extra ``postgres``;
    then nothing is kept.
    """
    require_queue(app.database)
    record = await app.new_record(workflow, title, workspace, options)
    makes = bool(record.options.get("new_folder")) and not Path(workspace).exists()
    record = record.evolve(options=for_workers(record.options, workspace))
    try:
        await app.check(record, here=False)
    except WindlassError:
        if makes:
            Path(workspace).rmdir()
        raise

    def keep(connection: Any) -> None:
        insert_runs(connection, [record])
        enqueue_runs(connection, [record.run_id], place or Place())

    await _write(app, keep)
    return await app.journal.get_run(record.run_id)


async def enqueue(app: App, run_ids: Sequence[str], place: Place | None = None) -> None:
    """Queue runs that exist: new ones, interrupted ones, failed ones to try again. Raises InputError, NotFound."""
    require_queue(app.database)
    found = [await app.journal.get_run(run_id) for run_id in run_ids]
    for record in found:
        if record.status is WorkflowStatus.Success:
            raise InputError(f"Run {record.run_id} has ended in Success; there is nothing to queue.")

    fit = {r.run_id: for_workers(r.options, r.workspace) for r in found if r.options.get("new_folder")}

    def keep(connection: Any) -> None:
        set_options(connection, fit)
        reopen(connection, [record.run_id for record in found])
        enqueue_runs(connection, [record.run_id for record in found], place or Place())

    await _write(app, keep)


async def withdraw(app: App, run_id: str) -> None:
    """Take a run out of the queue; one that a worker has begun goes on (see ``windlass cancel``)."""
    require_queue(app.database)
    await _write(app, lambda connection: withdraw_run(connection, run_id))


def for_workers(options: Mapping[str, Any], workspace: str) -> dict[str, Any]:
    """A run's options as a worker needs them: its new folder is made here, so that a worker on a machine that cannot
    see it refuses the run in place of starting in an empty one."""
    given = dict(options)
    if given.pop("new_folder", False) and "://" not in workspace:
        try:
            Path(workspace).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"The folder {workspace} cannot be made: {error.strerror}.") from None
    return given


def insert_runs(connection: Any, records: Sequence[RunRecord]) -> None:
    """Keep new runs in the caller's transaction."""
    import time

    from sqlalchemy import insert

    from windlass.store.journal_rows import run_row
    from windlass.store.runs import runs

    now = time.time()
    rows = [run_row(record.evolve(created_at=now, updated_at=now)) for record in records]
    connection.execute(insert(runs), rows)


def set_options(connection: Any, options: Mapping[str, Mapping[str, Any]]) -> None:
    """Give runs that nobody works on other options, by run id."""
    from sqlalchemy import update

    from windlass.store.runs import runs
    from windlass.store.values import dump_json

    for run_id, values in options.items():
        mine = (runs.c.run_id == run_id, runs.c.owner.is_(None))
        connection.execute(update(runs).where(*mine).values(options=dump_json(dict(values))))


def reopen(connection: Any, run_ids: Sequence[str]) -> None:
    """Runs that failed or were cancelled are to go on: nobody works on a run that has ended."""
    from sqlalchemy import update

    from windlass.store.runs import runs

    ended = (WorkflowStatus.Failure.value, WorkflowStatus.Cancelled.value, WorkflowStatus.Waiting.value)
    connection.execute(
        update(runs)
        .where(runs.c.run_id.in_(run_ids), runs.c.status.in_(ended))
        .values(status=WorkflowStatus.Started.value, cancel_requested=False, finished_at=None)
    )


async def _write(app: App, action: Any) -> None:
    from windlass.store.writer import writer_of

    await writer_of(app.database).call(action)
