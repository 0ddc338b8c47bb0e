"""Copying a whole database into another one: a SQLite history to PostgreSQL, or back.

Rows go in batches, each in a transaction of its own, and a row that is there already is left alone; so a copy that was
cut off is simply begun again. Whether what was there already is the same is checked before anything is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_, func, or_, select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from windlass.errors import InputError, StoreError, StoreTooNew
from windlass.store import fleet, prompt_models, runs
from windlass.store.base import Base, Database

#: Rows in one transaction, fewer where they are large.
BATCH = 500
#: What belongs to the processes of one database and says nothing about its history.
_LEFT_OUT = {"journal_writers", "workers", "queued_runs", "alembic_version"}
#: A run's lease belongs to a process that writes to the source.
_RUN_RESET = {"owner": None, "lease_until": None, "lease_ttl": None}
#: Columns that a target may have otherwise without being another history: a clean-up time, a lease.
_NOT_COMPARED = {"runs": {"owner", "lease_until", "lease_ttl", "epoch"}, "run_entries": {"id"}}

Say = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Copied:
    """One table: rows in the source, how many of them were added now, and how many were there already."""

    table: str
    rows: int
    added: int

    @property
    def there(self) -> int:
        """Rows that the target had already."""
        return self.rows - self.added


def copy_database(
    source: Database, target: Database, *, say: Say = lambda table, done, total: None
) -> list[Copied]:
    """Copy prompts, runs, entries, events, contents, budgets and batches; what was copied, by table.

    Both schemas are brought up to date first. ``say`` hears of progress: table, rows done, rows in all. Raises InputError
    when both are the same database, when the source is empty, when a process works on a run of the source, or when the target holds a row of
    the same key and other content (nothing is written then); StoreError when the counts do not agree in the end.
    """
    if source.url == target.url:
        raise InputError(f"{source.label} cannot be copied to itself.")
    for database in (source, target):
        try:
            _ = database.engine
        except StoreTooNew as error:
            raise StoreTooNew(f"{database.label}: {error}") from None
    tables = ordered_tables()
    _refuse_empty(source, target, tables)
    _refuse_work_under_way(source)
    with target.reading() as connection:
        filled = {table.name: _count(connection, table) for table in tables}
    for table in tables:
        if filled[table.name]:
            _refuse_conflicts(source, target, table)
    copied = [_copy_table(source, target, table, say) for table in tables]
    _verify(source, target, tables)
    if not target.is_sqlite:
        with target.writing() as connection:
            _renew_sequence(connection)
            for table in tables:
                connection.execute(text(f'ANALYZE "{table.name}"'))
    return copied


def ordered_tables() -> list[Table]:
    """The tables of a history, what others point to first."""
    assert (
        fleet.batches is not None and prompt_models.PromptModel is not None
    )  # they are known to the metadata
    return [table for table in Base.metadata.sorted_tables if table.name not in _LEFT_OUT]


def _refuse_empty(source: Database, target: Database, tables: Sequence[Table]) -> None:
    with source.reading() as connection:
        if any(_count(connection, table) for table in tables):
            return
    raise InputError(
        f"{source.label} holds nothing to copy. The database to copy from comes first: windlass db copy FROM TO (here TO is "
        f"{target.label})."
    )


def _refuse_work_under_way(source: Database) -> None:
    with source.reading() as connection:
        now = func.extract("epoch", func.now()) if not source.is_sqlite else func.unixepoch()
        busy = (
            select(runs.runs.c.run_id)
            .where(runs.runs.c.owner.is_not(None), runs.runs.c.lease_until > now)
            .limit(1)
        )
        found = connection.execute(busy).scalar()
    if found is not None:
        raise InputError(
            f"Run {found} of {source.label} is being worked on; let it end or stop it, then copy (a lease that was left "
            "behind is over within 30 seconds)."
        )


def _key(table: Table) -> list[Any]:
    """What identifies a row in both databases."""
    if table is runs.run_entries:
        # Its number is the place in one database; another one has numbers of its own.
        return [table.c.run_id, table.c.path, table.c.attempt]
    return list(table.primary_key.columns)


def _rows(source: Database, table: Table) -> Iterator[Sequence[Row[Any]]]:
    """All rows in the order of their keys, a batch at a time, each batch read by itself."""
    # Entries keep the order in which they were claimed.
    key = [table.c.id] if table is runs.run_entries else _key(table)
    after: Sequence[Any] | None = None
    size = 50 if table is runs.blobs else BATCH
    while True:
        query = select(table).order_by(*key).limit(size)
        if after is not None:
            query = query.where(_greater(key, after))
        with source.reading() as connection:
            found = connection.execute(query).all()
        if found:
            yield found
        if len(found) < size:
            return
        after = [found[-1]._mapping[column] for column in key]


def _greater(key: Sequence[Any], after: Sequence[Any]) -> ColumnElement[bool]:
    """Row-wise comparison, spelled out: both databases can use an index for it."""
    terms = []
    for number, column in enumerate(key):
        same = [earlier == value for earlier, value in zip(key[:number], after, strict=False)]
        terms.append(and_(*same, column > after[number]))
    return or_(*terms)


def _copy_table(source: Database, target: Database, table: Table, say: Say) -> Copied:
    with source.reading() as one, target.reading() as two:
        total, before = _count(one, table), _count(two, table)
    dialect: Any = sqlite if target.is_sqlite else postgresql
    insert = dialect.insert(table).on_conflict_do_nothing()
    done = 0
    for rows in _rows(source, table):
        with target.writing() as connection:
            connection.execute(insert, [_for_target(table, row) for row in rows])
        done += len(rows)
        say(table.name, done, total)
    with target.reading() as connection:
        return Copied(table.name, total, _count(connection, table) - before)


def _for_target(table: Table, row: Row[Any]) -> dict[str, Any]:
    values = dict(row._mapping)
    if table is runs.run_entries:
        del values["id"]
    if table is runs.runs:
        values |= _RUN_RESET
    return values


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _refuse_conflicts(source: Database, target: Database, table: Table) -> None:
    key = _key(table)
    names = [column.name for column in key]
    skipped = _NOT_COMPARED.get(table.name, set())
    for rows in _rows(source, table):
        keys = [tuple(row._mapping[name] for name in names) for row in rows]
        with target.reading() as connection:
            there = connection.execute(select(table).where(tuple_(*key).in_(keys))).all()
        theirs = {tuple(row._mapping[name] for name in names): _print(row, skipped) for row in there}
        for identity, row in zip(keys, rows, strict=True):
            if identity in theirs and theirs[identity] != _print(row, skipped):
                what = ", ".join(f"{n}={_shown(v)}" for n, v in zip(names, identity, strict=True))
                raise InputError(
                    f"{target.label} holds a history of its own (another {table.name} row under {what}), and two cannot be "
                    "mixed; nothing was copied. Copy into an empty database."
                )


def _shown(value: Any) -> str:
    return value.hex()[:16] if isinstance(value, bytes) else str(value)[:60]


def _print(row: Row[Any], skipped: set[str]) -> str:
    """The same text for the same content, whichever database it comes from."""
    values = [_plain(value) for name, value in sorted(row._mapping.items()) if name not in skipped]
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, datetime):
        return value.timestamp()
    return value


def _verify(source: Database, target: Database, tables: Sequence[Table]) -> None:
    with source.reading() as one, target.reading() as two:
        for table in tables:
            wanted, found = _count(one, table), _count(two, table)
            if found < wanted:
                raise StoreError(
                    f"{target.label} has {found:,} {table.name} rows where {source.label} has {wanted:,}; something wrote to "
                    "the source meanwhile. Copy again."
                )


def _renew_sequence(connection: Connection) -> None:
    """Entries that come later are numbered after those that were copied."""
    connection.execute(
        text(
            "SELECT setval(pg_get_serial_sequence('run_entries', 'id'), "
            "greatest(1, (SELECT coalesce(max(id), 1) FROM run_entries)))"
        )
    )
