"""The journal in a database: SQLite for one machine, PostgreSQL for many.

Every write goes through the one writer thread and is on stable storage when it returns; reads use
connections of their own. Fields are as :mod:`windlass.journal.base` says; the tables are in
:mod:`windlass.store.runs`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, case, func, insert, literal, null, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from windlass.errors import JournalError, NotFound, RunOwnedElsewhere, StoreError
from windlass.events import Event, WorkflowStatus
from windlass.journal.base import Entry, EntryState, Lease, RunRecord
from windlass.store import cleanup
from windlass.store import journal_reads as reads
from windlass.store.base import Database
from windlass.store.cancels import Cancels
from windlass.store.cleanup import Collected
from windlass.store.journal_rows import RUN_CHANGES, entry_row, event_row, run_record, run_row
from windlass.store.journal_sql import change_run, statements
from windlass.store.reader import Reader
from windlass.store.runs import run_blobs, run_entries
from windlass.store.values import Parcel, compress, dump_json, dump_value
from windlass.store.writer import RECONNECT_SECONDS, Write, lease_lost, writer_of

T = TypeVar("T")


def _taken_over(run_id: str) -> dict[str, ColumnElement[Any]]:
    """The columns of a fork's entry, from those of the entry it takes over; as :meth:`Entry.taken_over`."""
    old = run_entries.c
    columns: dict[str, ColumnElement[Any]] = {column.name: column for column in old if column.name != "id"}
    return columns | {
        "run_id": literal(run_id),
        "copied_from": func.coalesce(old.copied_from, old.run_id),
        "cost_nano_usd": case((old.kind == "model", 0)),
        "reserved_nano_usd": null(),
    }


class SqlJournal:
    """A :class:`~windlass.journal.base.Journal` over a database. Making one does no I/O.

    Leases are timed by the database server on PostgreSQL and by this machine's clock on SQLite;
    ``clock`` (seconds since 1970) replaces both. ``reconnect_seconds`` is how long a write waits for a
    PostgreSQL server that went away.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float] | None = None,
        reconnect_seconds: float = RECONNECT_SECONDS,
    ) -> None:
        self._database = database
        self._writer = writer_of(database)
        self._reader = Reader(database)
        self._writer.reconnect_seconds = reconnect_seconds
        self._cancels = Cancels(self._read)
        #: By run, path and attempt: the request of a claim under way, and its column text. An attempt that is settled
        #: keeps both, so a long request is not spelled out, hashed and deflated again.
        self._under_way: dict[str, dict[tuple[str, int], tuple[Any, str | None]]] = {}
        self._clock = clock
        self._sql = statements(database.is_sqlite)
        #: Such a database has one connection, and it is the writer's.
        self._in_memory = database.is_sqlite and database.file is None

    # Runs.

    async def create_run(self, run: RunRecord) -> None:
        try:
            await self._writer.write(
                None, [Write(self._sql.add_run, ("run", run.run_id), self._new_row(run))]
            )
        except StoreError as error:
            if isinstance(error.__cause__, IntegrityError):
                raise JournalError(f"There is a run {run.run_id} already.") from error
            raise

    def _new_row(self, run: RunRecord) -> dict[str, Any]:
        now = self._wall()
        return run_row(run.evolve(created_at=run.created_at or now, updated_at=run.updated_at or now))

    async def get_run(self, run_id: str, *, whole: bool = False) -> RunRecord:
        return await self._read(lambda connection: reads.get_run(connection, run_id, whole=whole))

    async def list_runs(
        self,
        *,
        limit: int = 50,
        status: Sequence[WorkflowStatus] | None = None,
        search: str | None = None,
        workflow: str | None = None,
        from_id: str | None = None,
    ) -> list[RunRecord]:
        return await self._read(
            lambda connection: reads.list_runs(connection, limit, status, search, workflow, from_id)
        )

    async def update_run(self, lease: Lease, **changes: Any) -> None:
        if unknown := changes.keys() - RUN_CHANGES.keys():
            raise TypeError(f"A run's {', '.join(sorted(unknown))} cannot be changed.")
        values = {name: RUN_CHANGES[name](value) for name, value in changes.items()}
        values |= {"of_run": lease.run_id, "updated_at": self._wall()}
        write = Write(change_run(frozenset(changes)), ("run", lease.run_id), values)
        await self._writer.write(lease, [write])

    async def request_cancel(self, run_id: str) -> None:
        def ask(connection: Connection) -> None:
            connection.execute(self._sql.cancel, {"of_run": reads.get_run(connection, run_id).run_id})

        await self._writer.call(ask, savepoint=False)

    async def cancel_requested(self, run_id: str) -> bool:
        return await self._cancels.asked(run_id)

    async def fork(self, run_id: str, new_run: RunRecord, *, keep: Sequence[str]) -> None:
        def copy(connection: Connection) -> None:
            if reads.find_run(connection, run_id) is None:
                raise NotFound(f"No run is called {run_id!r}.")
            if reads.find_run(connection, new_run.run_id) is not None:
                raise JournalError(f"There is a run {new_run.run_id} already.")
            connection.execute(self._sql.add_run, self._new_row(new_run))
            kept = set(keep)
            done = run_entries.c.state == EntryState.DONE.value
            found = select(run_entries.c.id, run_entries.c.path).where(run_entries.c.run_id == run_id, done)
            ids = [id_ for id_, path in connection.execute(found.order_by(run_entries.c.id)) if path in kept]
            taken_over = _taken_over(new_run.run_id)
            for start in range(0, len(ids), 500):
                rows = select(*taken_over.values()).where(run_entries.c.id.in_(ids[start : start + 500]))
                connection.execute(
                    insert(run_entries).from_select(list(taken_over), rows.order_by(run_entries.c.id))
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
        taken = await self._writer.call(lambda c: self._take(c, run_id, owner, ttl), savepoint=False)
        if isinstance(taken, RunRecord):
            raise RunOwnedElsewhere(f"Run {taken.run_id} is being worked on by {taken.owner}.")
        return taken

    def _take(self, connection: Connection, run_id: str, owner: str, ttl: float) -> Lease | RunRecord:
        """The lease, or the run that another holds."""
        now = self._now(connection)
        values = {"of_run": run_id, "to_owner": owner, "now": now, "until": now + ttl, "ttl": ttl}
        epoch = connection.execute(self._sql.take, values).scalar()
        if epoch is not None:
            return Lease(run_id, owner, epoch)
        run = reads.get_run(connection, run_id)
        if (
            run.run_id != run_id or run.owner is None
        ):  # a part of its id was given, or it was released just now
            return self._take(connection, run.run_id, owner, ttl)
        # No lease is longer than its ttl: one that seems so was written before the clock jumped back.
        # A living owner renews it in time; a dead one must not keep the run until the clock is there.
        connection.execute(self._sql.shorten, {"of_run": run_id, "now": now})
        return run

    async def renew(self, lease: Lease, *, ttl: float = 30.0) -> RunRecord:
        return await self._writer.call(lambda c: self._extend(c, lease, ttl), savepoint=False)

    def _extend(self, connection: Connection, lease: Lease, ttl: float) -> RunRecord:
        values = {"of_run": lease.run_id, "of_owner": lease.owner, "of_epoch": lease.epoch}
        values |= {"until": self._now(connection) + ttl, "ttl": ttl}
        row = connection.execute(self._sql.extend, values).mappings().one_or_none()
        if row is None:
            raise lease_lost(lease)
        return run_record(row)

    async def release(self, lease: Lease) -> None:
        values = {"of_run": lease.run_id, "of_owner": lease.owner, "of_epoch": lease.epoch}
        self._under_way.pop(lease.run_id, None)
        await self._writer.write(None, [Write(self._sql.release, ("run", lease.run_id), values)])

    # Entries, events, blobs.

    async def entries(self, run_id: str) -> list[Entry]:
        return await self._read(lambda connection: reads.entries(connection, run_id))

    async def claim(self, lease: Lease, entry: Entry, *, blobs: Sequence[bytes] = ()) -> None:
        # Spelled out now, so that it is kept as it is now; what takes longer is the writer's work.
        request, result = dump_value(entry.request), dump_value(entry.result)

        def prepare() -> list[Write]:
            parcel = Parcel()
            for blob in blobs:
                parcel.add(blob)
            packed = parcel.pack(request)
            if entry.state is EntryState.CLAIMED:
                self._under_way.setdefault(lease.run_id, {})[entry.path, entry.attempt] = (
                    entry.request,
                    packed,
                )
            return self._entry_writes(lease, entry, packed, parcel.pack(result), parcel)

        await self._writer.write(lease, prepare=prepare)

    async def settle(self, lease: Lease, entry: Entry) -> None:
        claims = self._under_way.get(lease.run_id, {})
        request, packed = claims.get((entry.path, entry.attempt), (None, None))
        if request is None or request is not entry.request:
            await self.claim(lease, entry)
            return
        result = dump_value(entry.result)

        def prepare() -> list[Write]:
            parcel = Parcel()
            return self._entry_writes(lease, entry, packed, parcel.pack(result), parcel)

        await self._writer.write(lease, prepare=prepare)
        claims.pop((entry.path, entry.attempt), None)

    def _entry_writes(
        self, lease: Lease, entry: Entry, request: str | None, result: str | None, parcel: Parcel
    ) -> list[Write]:
        row = entry_row(lease.run_id, entry, request, result)
        key = ("entry", lease.run_id, entry.path, entry.attempt)
        return [*self._blob_writes(lease.run_id, parcel), Write(self._sql.put_entry, key, row)]

    async def save_partial(self, lease: Lease, path: str, attempt: int, text: str) -> None:
        values = {"of_run": lease.run_id, "of_path": path, "of_attempt": attempt, "text": dump_json(text)}
        key = ("entry", lease.run_id, path, attempt)
        await self._writer.write(lease, [Write(self._sql.save_partial, key, values)])

    async def answer(self, run_id: str, entry: Entry) -> None:
        request, result = dump_value(entry.request), dump_value(entry.result)

        def add(connection: Connection) -> None:
            run = reads.get_run(connection, run_id)
            parcel = Parcel()
            row = entry_row(run.run_id, entry, parcel.pack(request), parcel.pack(result))
            if connection.execute(self._sql.add_answer, row).scalar() is None:
                raise JournalError(f"Run {run.run_id} has its answer at {entry.path} already.")
            for write in self._blob_writes(run.run_id, parcel):
                connection.execute(write.statement, write.values)

        await self._writer.call(add, savepoint=False)

    async def append_events(self, lease: Lease, events: Sequence[Event]) -> None:
        payloads = [dump_value(dict(event.payload)) for event in events]

        def prepare() -> list[Write]:
            parcel = Parcel()
            writes = []
            for event, payload in zip(events, payloads, strict=True):
                row = event_row(lease.run_id, event, parcel.pack(payload))
                writes.append(Write(self._sql.add_event, ("event", lease.run_id, event.seq), row))
            return [*self._blob_writes(lease.run_id, parcel), *writes]

        await self._writer.write(lease, prepare=prepare)

    async def events(self, run_id: str, *, since: int = 0, limit: int = 100_000) -> list[Event]:
        return await self._read(lambda connection: reads.events(connection, run_id, since, limit))

    async def put_blobs(self, lease: Lease, blobs: Sequence[bytes]) -> list[str]:
        parcel = Parcel()
        keys = [parcel.add(blob).hex() for blob in blobs]
        await self._writer.write(lease, prepare=lambda: self._blob_writes(lease.run_id, parcel))
        return keys

    async def get_blob(self, sha256: str) -> bytes:
        return await self._read(lambda connection: reads.blob(connection, sha256))

    async def close(self) -> None:
        await self._cancels.close()
        await self._writer.close()
        await self._reader.close()

    # How it reads and writes.

    async def _read(self, query: Callable[[Connection], T]) -> T:
        if self._in_memory:
            return await self._writer.call(query)

        return await self._reader.ask(query)

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
