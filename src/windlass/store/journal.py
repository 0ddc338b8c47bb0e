"""The journal in a database: SQLite for one machine, PostgreSQL for many.

Every write goes through the one writer thread and is on stable storage when it returns; reads use
connections of their own. Fields are as :mod:`windlass.journal.base` says; the tables are in
:mod:`windlass.store.runs`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Insert, Update, bindparam, insert, literal, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from windlass.errors import JournalError, NotFound, RunOwnedElsewhere
from windlass.events import Event, WorkflowStatus
from windlass.journal.base import Entry, EntryState, Lease, RunRecord
from windlass.store import cleanup
from windlass.store import journal_reads as reads
from windlass.store.base import Database
from windlass.store.cleanup import Collected
from windlass.store.journal_rows import RUN_CHANGES, entry_row, event_row, run_row
from windlass.store.runs import blobs, run_blobs, run_entries, run_events, runs
from windlass.store.values import Parcel, compress, dump_json
from windlass.store.writer import Write, writer_of

T = TypeVar("T")

_KEY = ("run_id", "path", "attempt")


class _Statements:
    """The statements that many rows share, in one database's dialect."""

    def __init__(self, is_sqlite: bool) -> None:
        dialect: Any = sqlite if is_sqlite else postgresql
        entry = dialect.insert(run_entries)
        changing = [c.name for c in run_entries.c if c.name not in ("id", *_KEY)]
        self.put_entry: Insert = entry.on_conflict_do_update(
            index_elements=list(_KEY), set_={name: entry.excluded[name] for name in changing}
        )
        self.put_blob: Insert = dialect.insert(blobs).on_conflict_do_nothing()
        self.put_run_blob: Insert = dialect.insert(run_blobs).on_conflict_do_nothing()
        self.add_answer: Insert = dialect.insert(run_entries).on_conflict_do_nothing()
        self.add_event: Insert = insert(run_events)
        self.save_partial: Update = (
            update(run_entries)
            .where(
                run_entries.c.run_id == bindparam("of_run"),
                run_entries.c.path == bindparam("of_path"),
                run_entries.c.attempt == bindparam("of_attempt"),
            )
            .values(partial=bindparam("text"))
        )
        self.release: Update = (
            update(runs)
            .where(
                runs.c.run_id == bindparam("of_run"),
                runs.c.owner == bindparam("of_owner"),
                runs.c.epoch == bindparam("of_epoch"),
            )
            .values(owner=None, lease_until=None, lease_ttl=None)
        )
        self.cancel: Update = (
            update(runs).where(runs.c.run_id == bindparam("of_run")).values(cancel_requested=True)
        )


@cache
def _statements(is_sqlite: bool) -> _Statements:
    return _Statements(is_sqlite)


@cache
def _change_run(columns: frozenset[str]) -> Update:
    return (
        update(runs)
        .where(runs.c.run_id == bindparam("of_run"))
        .values({name: bindparam(name) for name in sorted(columns | {"updated_at"})})
    )


class SqlJournal:
    """A :class:`~windlass.journal.base.Journal` over a database. Making one does no I/O.

    Leases are timed by the database server on PostgreSQL and by this machine's clock on SQLite;
    ``clock`` (seconds since 1970) replaces both.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] | None = None) -> None:
        self._database = database
        self._writer = writer_of(database)
        self._clock = clock
        self._sql = _statements(database.is_sqlite)
        #: Such a database has one connection, and it is the writer's.
        self._in_memory = database.is_sqlite and database.file is None

    # Runs.

    async def create_run(self, run: RunRecord) -> None:
        await self._writer.call(lambda connection: self._insert_run(connection, run))

    def _insert_run(self, connection: Connection, run: RunRecord) -> None:
        if reads.find_run(connection, run.run_id) is not None:
            raise JournalError(f"There is a run {run.run_id} already.")
        now = self._now(connection)
        kept = run.evolve(created_at=run.created_at or now, updated_at=run.updated_at or now)
        connection.execute(insert(runs), run_row(kept))

    async def get_run(self, run_id: str) -> RunRecord:
        return await self._read(lambda connection: reads.get_run(connection, run_id))

    async def list_runs(
        self, *, limit: int = 50, status: Sequence[WorkflowStatus] | None = None, search: str | None = None
    ) -> list[RunRecord]:
        return await self._read(lambda connection: reads.list_runs(connection, limit, status, search))

    async def update_run(self, lease: Lease, **changes: Any) -> None:
        if unknown := changes.keys() - RUN_CHANGES.keys():
            raise TypeError(f"A run's {', '.join(sorted(unknown))} cannot be changed.")
        values = {name: RUN_CHANGES[name](value) for name, value in changes.items()}
        values |= {"of_run": lease.run_id, "updated_at": self._wall()}
        write = Write(_change_run(frozenset(changes)), ("run", lease.run_id), values)
        await self._writer.write(lease, [write])

    async def request_cancel(self, run_id: str) -> None:
        run_id = (await self.get_run(run_id)).run_id
        await self._writer.write(None, [Write(self._sql.cancel, ("run", run_id), {"of_run": run_id})])

    async def fork(self, run_id: str, new_run: RunRecord, *, keep: Sequence[str]) -> None:
        def copy(connection: Connection) -> None:
            if reads.find_run(connection, run_id) is None:
                raise NotFound(f"No run is called {run_id!r}.")
            self._insert_run(connection, new_run)
            kept = set(keep)
            done = run_entries.c.state == EntryState.DONE.value
            found = select(run_entries.c.id, run_entries.c.path).where(run_entries.c.run_id == run_id, done)
            ids = [id_ for id_, path in connection.execute(found.order_by(run_entries.c.id)) if path in kept]
            columns = [c for c in run_entries.c if c.name not in ("id", "run_id")]
            for start in range(0, len(ids), 500):
                rows = select(literal(new_run.run_id), *columns).where(
                    run_entries.c.id.in_(ids[start : start + 500])
                )
                connection.execute(
                    insert(run_entries).from_select(
                        ["run_id", *[c.name for c in columns]], rows.order_by(run_entries.c.id)
                    )
                )
            needed = select(literal(new_run.run_id), run_blobs.c.sha256)
            connection.execute(
                insert(run_blobs).from_select(
                    ["run_id", "sha256"], needed.where(run_blobs.c.run_id == run_id)
                )
            )

        await self._writer.call(copy)

    async def delete_run(self, run_id: str) -> None:
        await self._writer.call(lambda connection: cleanup.forget_runs(connection, [run_id]))

    async def gc(self, *, keep_days: float, protected: Collection[str] = ()) -> Collected:
        """Forget runs that ended more than ``keep_days`` ago, and every blob that no run needs.

        A run that waits, that could go on, that someone owns or whose id is in ``protected`` (evidence
        rests on it) is never touched. SQLite uses the room again; its file does not shrink.
        """
        before = self._wall() - keep_days * 86_400
        if self._in_memory:
            return await self._writer.call(lambda c: cleanup.collect_all(c, before, protected, self._wall()))
        return await asyncio.to_thread(cleanup.collect, self._database, before, protected, self._wall())

    # Leases.

    async def acquire(self, run_id: str, owner: str, *, ttl: float = 30.0) -> Lease:
        run_id = (await self.get_run(run_id)).run_id
        taken = await self._writer.call(lambda connection: self._take(connection, run_id, owner, ttl))
        if isinstance(taken, str):
            raise RunOwnedElsewhere(f"Run {run_id} is being worked on by {taken}.")
        return taken

    def _take(self, connection: Connection, run_id: str, owner: str, ttl: float) -> Lease | str:
        """The lease, or who holds it."""
        held = connection.execute(
            select(runs.c.owner, runs.c.epoch, runs.c.lease_until, runs.c.lease_ttl)
            .where(runs.c.run_id == run_id)
            .with_for_update(key_share=True)
        ).one_or_none()
        if held is None:
            raise NotFound(f"No run is called {run_id!r}.")
        now = self._now(connection)
        this_run = update(runs).where(runs.c.run_id == run_id)
        if held.owner not in (None, owner) and (held.lease_until or 0) > now:
            # No lease is longer than its ttl: one that seems so was written before the clock jumped
            # back. A living owner renews it in time, a dead one must not keep the run for the jump.
            if held.lease_ttl is not None and held.lease_until > now + held.lease_ttl:
                connection.execute(this_run.values(lease_until=now + held.lease_ttl))
            return str(held.owner)
        epoch = held.epoch + 1
        connection.execute(this_run.values(owner=owner, epoch=epoch, lease_until=now + ttl, lease_ttl=ttl))
        return Lease(run_id, owner, epoch)

    async def renew(self, lease: Lease, *, ttl: float = 30.0) -> RunRecord:
        def extend(connection: Connection) -> RunRecord:
            until = self._now(connection) + ttl
            connection.execute(
                update(runs).where(runs.c.run_id == lease.run_id).values(lease_until=until, lease_ttl=ttl)
            )
            return reads.get_run(connection, lease.run_id)

        return await self._writer.call(extend, lease=lease)

    async def release(self, lease: Lease) -> None:
        values = {"of_run": lease.run_id, "of_owner": lease.owner, "of_epoch": lease.epoch}
        await self._writer.write(None, [Write(self._sql.release, ("run", lease.run_id), values)])

    # Entries, events, blobs.

    async def entries(self, run_id: str) -> list[Entry]:
        return await self._read(lambda connection: reads.entries(connection, run_id))

    async def claim(self, lease: Lease, entry: Entry) -> None:
        parcel = Parcel()
        row = entry_row(entry.evolve(run_id=lease.run_id), parcel)
        write = Write(self._sql.put_entry, ("entry", lease.run_id, entry.path, entry.attempt), row)
        await self._write(lease, [write], parcel)

    async def settle(self, lease: Lease, entry: Entry) -> None:
        await self.claim(lease, entry)

    async def save_partial(self, lease: Lease, path: str, attempt: int, text: str) -> None:
        values = {"of_run": lease.run_id, "of_path": path, "of_attempt": attempt, "text": dump_json(text)}
        key = ("entry", lease.run_id, path, attempt)
        await self._writer.write(lease, [Write(self._sql.save_partial, key, values)])

    async def answer(self, run_id: str, entry: Entry) -> None:
        run_id = (await self.get_run(run_id)).run_id
        parcel = Parcel()
        row = entry_row(entry.evolve(run_id=run_id), parcel)

        def add(connection: Connection) -> None:
            if reads.find_run(connection, run_id) is None:
                raise NotFound(f"No run is called {run_id!r}.")
            if connection.execute(self._sql.add_answer, row).rowcount == 0:
                raise JournalError(f"Run {run_id} has its answer at {entry.path} already.")
            for write in self._blob_writes(run_id, parcel):
                connection.execute(write.statement, write.values)

        await self._writer.call(add)

    async def append_events(self, lease: Lease, events: Sequence[Event]) -> None:
        parcel = Parcel()
        rows = [event_row(event, parcel) | {"run_id": lease.run_id} for event in events]
        writes = [Write(self._sql.add_event, ("event", row["run_id"], row["seq"]), row) for row in rows]
        await self._write(lease, writes, parcel)

    async def events(self, run_id: str, *, since: int = 0, limit: int = 100_000) -> list[Event]:
        return await self._read(lambda connection: reads.events(connection, run_id, since, limit))

    async def put_blobs(self, lease: Lease, blobs: Sequence[bytes]) -> list[str]:
        parcel = Parcel()
        keys = [parcel.add(blob).hex() for blob in blobs]
        await self._write(lease, [], parcel)
        return keys

    async def get_blob(self, sha256: str) -> bytes:
        return await self._read(lambda connection: reads.blob(connection, sha256))

    async def close(self) -> None:
        await self._writer.close()

    # How it reads and writes.

    async def _read(self, query: Callable[[Connection], T]) -> T:
        if self._in_memory:
            return await self._writer.call(query)

        def work() -> T:
            with self._database.reading() as connection:
                return query(connection)

        return await asyncio.to_thread(work)

    async def _write(self, lease: Lease, writes: Sequence[Write], parcel: Parcel) -> None:
        if not parcel.blobs:
            await self._writer.write(lease, writes)
            return
        # Deflating large texts would hold up the event loop; the writer's thread does it.
        await self._writer.write(lease, writes, prepare=lambda: self._blob_writes(lease.run_id, parcel))

    def _blob_writes(self, run_id: str, parcel: Parcel) -> list[Write]:
        writes = []
        for key, content in sorted(parcel.blobs.items()):
            encoding, packed = compress(content)
            row = {"sha256": key, "size": len(content), "encoding": encoding, "content": packed}
            writes.append(Write(self._sql.put_blob, ("blob", key), row))
            ref = {"run_id": run_id, "sha256": key}
            writes.append(Write(self._sql.put_run_blob, ("run_blob", run_id, key), ref))
        return writes

    def _wall(self) -> float:
        return self._clock() if self._clock is not None else time.time()

    def _now(self, connection: Connection) -> float:
        if self._clock is not None or self._database.is_sqlite:
            return self._wall()
        return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
