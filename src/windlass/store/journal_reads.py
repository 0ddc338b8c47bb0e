"""What can be asked of the tables of runs, given a connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import RowMapping, Select, bindparam, or_, select
from sqlalchemy.engine import Connection

from windlass.errors import NotFound
from windlass.events import Event, WorkflowStatus
from windlass.journal.base import Entry, RunRecord, the_only
from windlass.store.journal_rows import entry_record, event_record, run_record
from windlass.store.runs import blobs, run_entries, run_events, runs
from windlass.store.values import expand, pointers

#: Characters of an id from which a beginning or an end of it will do.
_SHORTEST_ID = 4
#: Values in one statement; every database takes more.
_CHUNK = 500

# Made once: making a statement takes longer than running it.
_RUN = select(runs).where(runs.c.run_id == bindparam("of_run"))
_ENTRIES = select(run_entries).where(run_entries.c.run_id == bindparam("of_run")).order_by(run_entries.c.id)
_EVENTS = (
    select(run_events)
    .where(run_events.c.run_id == bindparam("of_run"), run_events.c.seq > bindparam("since"))
    .order_by(run_events.c.seq)
    .limit(bindparam("limit"))
)

_NEWEST_FIRST = (runs.c.created_at.desc(), runs.c.run_id.desc())


def find_run(connection: Connection, run_id: str) -> RunRecord | None:
    """The run with exactly this id."""
    row = connection.execute(_RUN, {"of_run": run_id}).mappings().one_or_none()
    return None if row is None else run_record(row)


def get_run(connection: Connection, run_id: str, *, whole: bool = False) -> RunRecord:
    """The run by id, and unless ``whole`` by an unambiguous beginning or end of it, or ``last``. Raises NotFound."""
    run = find_run(connection, run_id)
    if run is not None:
        return run
    if whole:
        raise NotFound(f"No run is called {run_id!r}.")
    if run_id == "last":
        found = _runs(connection, select(runs).order_by(*_NEWEST_FIRST).limit(1))
        if found:
            return found[0]
    found = []
    if len(run_id) >= _SHORTEST_ID:
        id_ = runs.c.run_id
        fits = or_(id_.startswith(run_id, autoescape=True), id_.endswith(run_id, autoescape=True))
        # LIKE of SQLite does not tell capitals apart.
        found = [
            run
            for run in _runs(connection, select(runs).where(fits).order_by(*_NEWEST_FIRST).limit(100))
            if run.run_id.startswith(run_id) or run.run_id.endswith(run_id)
        ]
    return the_only(run_id, found)


def _runs(connection: Connection, query: Select[Any]) -> list[RunRecord]:
    return [run_record(row) for row in connection.execute(query).mappings()]


def list_runs(
    connection: Connection,
    limit: int,
    status: Sequence[WorkflowStatus] | None,
    search: str | None,
    workflow: str | None,
    from_id: str | None,
) -> list[RunRecord]:
    """Runs, newest first."""
    query = select(runs).order_by(*_NEWEST_FIRST)
    if workflow is not None:
        query = query.where(runs.c.workflow == workflow)
    if from_id is not None:
        query = query.where(runs.c.run_id >= from_id)
    if status is not None:
        query = query.where(runs.c.status.in_([one.value for one in status]))
    if not search:
        return _runs(connection, query.limit(limit))
    # Not in SQL: lower() of SQLite knows only ASCII.
    wanted = search.lower()
    names = query.with_only_columns(runs.c.run_id, runs.c.title, runs.c.workflow)
    hits = (
        run_id
        for run_id, title, workflow in connection.execute(names)
        if wanted in f"{run_id} {title} {workflow}".lower()
    )
    found: list[RunRecord] = []
    for chunk in _chunks(islice(hits, limit)):
        found += _runs(connection, select(runs).where(runs.c.run_id.in_(chunk)).order_by(*_NEWEST_FIRST))
    return found


def entries(connection: Connection, run_id: str) -> list[Entry]:
    """All attempts of a run in the order they were claimed."""
    rows = connection.execute(_ENTRIES, {"of_run": run_id}).mappings().all()
    texts = _texts(connection, rows, ("request", "result"))
    return [entry_record(row, texts) for row in rows]


def events(connection: Connection, run_id: str, since: int, limit: int) -> list[Event]:
    """A run's events after ``since``, in order."""
    rows = connection.execute(_EVENTS, {"of_run": run_id, "since": since, "limit": limit}).mappings().all()
    texts = _texts(connection, rows, ("payload",))
    return [event_record(row, texts) for row in rows]


def blob(connection: Connection, sha256: str) -> bytes:
    """Stored bytes. Raises NotFound."""
    try:
        key = bytes.fromhex(sha256)
    except ValueError:
        key = b""
    row = connection.execute(
        select(blobs.c.encoding, blobs.c.content).where(blobs.c.sha256 == key)
    ).one_or_none()
    if row is None:
        raise NotFound(f"No stored content has the hash {sha256[:12]}….")
    return expand(row.encoding, row.content)


def _texts(connection: Connection, rows: Sequence[RowMapping], columns: Sequence[str]) -> dict[str, str]:
    """Every text that the columns point to, also from inside a value that is itself kept as a blob."""
    texts: dict[str, str] = {}
    wanted = dict(pointer for row in rows for column in columns for pointer in pointers(row[column]))
    while wanted:
        for chunk in _chunks(wanted):
            keys = [bytes.fromhex(key) for key in chunk]
            query = select(blobs.c.sha256, blobs.c.encoding, blobs.c.content).where(blobs.c.sha256.in_(keys))
            for sha256, encoding, content in connection.execute(query):
                texts[bytes(sha256).hex()] = expand(encoding, content).decode()
        inside = (pointers(texts[key]) for key, is_value in wanted.items() if is_value)
        wanted = {key: is_value for found in inside for key, is_value in found if key not in texts}
    return texts


def _chunks(values: Iterable[str]) -> Iterable[list[str]]:
    rest = iter(values)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
