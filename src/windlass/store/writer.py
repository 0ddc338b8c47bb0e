"""The one thread that writes runs: it takes everything that is queued and commits it as one group.

A caller waits until its group is on stable storage. While one group is being committed the next one
queues up, so that a thousand runs share a few flushes. What is queued is written even when the caller
is cancelled in the meantime.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Executable, bindparam, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from windlass.errors import LeaseLost, StoreBusy, StoreError, WindlassError
from windlass.ids import generate_id
from windlass.journal.base import Lease
from windlass.store.base import Database
from windlass.store.held import Held
from windlass.store.prepared import Prepared
from windlass.store.runs import journal_writers, runs
from windlass.store.waiting import Waiting, fail, take, wake

T = TypeVar("T")

_HELD_BY = select(runs.c.run_id, runs.c.owner, runs.c.epoch).with_for_update(key_share=True)
_HOLDER = _HELD_BY.where(runs.c.run_id == bindparam("of_run"))
#: In one order, so that two processes cannot each wait for the other's row.
_HOLDERS = _HELD_BY.where(runs.c.run_id.in_(bindparam("run_ids", expanding=True))).order_by(runs.c.run_id)

#: Items in one group at most: bounds how long the first of them waits for the last.
GROUP_LIMIT = 256
#: Statements kept compiled at most; the journal has a dozen.
_PREPARED_LIMIT = 100
#: Seconds to wait for a database server that went away.
RECONNECT_SECONDS = 30.0


@dataclass(frozen=True)
class Write:
    """One row to write. Writes with equal ``key`` touch the same row and keep their order."""

    statement: Executable
    key: Hashable
    values: dict[str, Any]


@dataclass(kw_only=True)
class _Item(Waiting):
    """What one caller wants committed: rows, many of which can share a statement, or a function to call."""

    lease: Lease | None = None
    writes: Sequence[Write] = ()
    prepare: Callable[[], Sequence[Write]] | None = None
    action: Callable[[Connection], Any] | None = None
    savepoint: bool = True


@dataclass
class _Batch:
    """Writes that go to the database in one call."""

    statement: Executable
    keys: set[Hashable] = field(default_factory=set)
    values: list[dict[str, Any]] = field(default_factory=list)


class Writer:
    """Commits queued writes in groups. There is one a database and process: see :func:`writer_of`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held = Held(database)
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._thread_before: threading.Thread | None = None
        self._prepared: dict[Hashable, Prepared] = {}
        self._id = generate_id()
        self._group_no = 0
        #: Seconds to wait for a database server that went away.
        self.reconnect_seconds = RECONNECT_SECONDS
        #: Groups committed so far, and the items in them.
        self.groups = 0
        self.items = 0

    async def write(
        self,
        lease: Lease | None,
        writes: Sequence[Write] = (),
        *,
        prepare: Callable[[], Sequence[Write]] | None = None,
    ) -> None:
        """Commit rows, all or none. ``prepare`` gives more of them, worked out in the writer's thread.

        Raises LeaseLost, having written nothing, when the lease is void.
        """
        await self._submit(lease=lease, writes=writes, prepare=prepare)

    async def call(
        self, action: Callable[[Connection], T], *, lease: Lease | None = None, savepoint: bool = True
    ) -> T:
        """What ``action`` returns, called inside the group's transaction; a WindlassError undoes it alone.

        It may be called again when its group could not be committed. ``savepoint`` False is for an action
        that raises only before it writes.
        """
        result: T = await self._submit(lease=lease, action=action, savepoint=savepoint)
        return result

    def post(self, action: Callable[[Connection], Any]) -> None:
        """:meth:`call` that nobody waits for; an error in it is dropped. Needs a running event loop."""
        self._submit(action=action).cancel()

    def _submit(self, **what: Any) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        item = _Item(loop, loop.create_future(), **what)
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(
                    target=self._work,
                    args=(self._queue, self._thread_before),
                    name="windlass-writer",
                    daemon=True,
                )
                thread.start()
                self._thread = self._thread_before = thread
            self._queue.put(item)
        return item.future

    async def close(self) -> None:
        """Commit what is queued and end the thread; a later write starts another one."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None:
                # A queue for each thread, so that none waits at the queue of another.
                self._queue.put(None)
                self._queue = queue.SimpleQueue()
        if thread is not None:
            await asyncio.to_thread(thread.join)

    # From here on: the writer's thread.

    def _work(self, items: queue.SimpleQueue[_Item | None], before: threading.Thread | None) -> None:
        if before is not None:
            before.join()  # there is one writer, and what came first is written first
        more = True
        while more:
            group, more = take(items, GROUP_LIMIT, idle=self._held.close)
            self._commit(group)
            wake(group)
        self._held.close()

    def _commit(self, group: list[_Item]) -> None:
        """Commit the group; note in each item what came of it."""
        if not group:
            return
        try:
            for item in group:
                if item.prepare is not None:
                    item.writes, item.prepare = [*item.writes, *item.prepare()], None
            self._persist(group)
        except StoreBusy as error:
            fail(group, error)  # each alone would only wait as long again
        except Exception as error:
            # Whatever it is: the thread must live on, and the caller it belongs to must hear of it.
            if len(group) == 1:
                fail(group, error)
                return
            for item in group:
                item.result = item.error = None
                self._commit([item])
        else:
            self.groups += 1
            self.items += len(group)

    def _persist(self, group: list[_Item]) -> None:
        """Commit the group, again after a deadlock or when the database server comes back in time."""
        self._group_no += 1
        deadline = time.monotonic() + self.reconnect_seconds
        deadlocks = 0
        while True:
            try:
                return self._transact(group)
            except StoreError as error:
                if _server_is_away(error) and time.monotonic() < deadline:
                    time.sleep(0.2)
                elif _is_deadlock(error) and deadlocks < 5:
                    deadlocks += 1
                else:
                    raise

    def _transact(self, group: list[_Item]) -> None:
        with self._held.writing() as connection:
            if not self._database.is_sqlite and not self._mark(connection):
                return  # the connection broke after all of the group had been kept
            for item in group:
                item.result = item.error = None
            rows: list[_Item] = []
            for item in group:
                if item.action is None:
                    rows.append(item)
                else:
                    self._write_rows(connection, rows)
                    rows = []
                    _call(connection, item)
            self._write_rows(connection, rows)

    def _write_rows(self, connection: Connection, items: list[_Item]) -> None:
        if not items:
            return
        leased = sorted({item.lease.run_id for item in items if item.lease is not None})
        holders = _holders(connection, leased) if leased else {}
        batches: list[_Batch] = []
        for item in items:
            lease = item.lease
            if lease is not None and holders.get(lease.run_id) != (lease.owner, lease.epoch):
                item.error = lease_lost(lease)
                continue
            for write in item.writes:
                _batch_for(batches, write).values.append(write.values)
        for batch in batches:
            self._statement(connection, batch).execute(connection, batch.values)

    def _statement(self, connection: Connection, batch: _Batch) -> Prepared:
        names = tuple(batch.values[0])
        found = self._prepared.get((batch.statement, names))
        if found is None:
            found = Prepared(batch.statement, connection.dialect, names)
            if len(self._prepared) < _PREPARED_LIMIT:
                self._prepared[batch.statement, names] = found
        return found

    def _mark(self, connection: Connection) -> bool:
        """Count this group in the same transaction; False when it was counted, so committed, before.

        A connection that breaks during COMMIT leaves open what happened; this row tells. Its lock also
        makes a retry wait for the end of a transaction whose client is gone.
        """
        mark = {"group_no": self._group_no, "at": time.time()}
        table = journal_writers
        mine = table.c.writer_id == self._id
        if connection.execute(update(table).where(mine, table.c.group_no < self._group_no), mark).rowcount:
            return True
        if connection.execute(select(table.c.group_no).where(mine)).scalar() == self._group_no:
            return False
        connection.execute(insert(table), {"writer_id": self._id, **mark})
        return True


_making = threading.Lock()


def writer_of(database: Database) -> Writer:
    """The writer that everything in this process shares for this database."""
    with _making:
        writer = database.parts.get(Writer)
        if not isinstance(writer, Writer):
            writer = database.parts[Writer] = Writer(database)
        return writer


def check_lease(connection: Connection, lease: Lease) -> None:
    """LeaseLost unless the lease is the newest; it stays so until the transaction ends."""
    if _holders(connection, [lease.run_id]).get(lease.run_id) != (lease.owner, lease.epoch):
        raise lease_lost(lease)


def lease_lost(lease: Lease) -> LeaseLost:
    """What the holder of a void lease is told."""
    return LeaseLost(f"Run {lease.run_id} was taken over by another process; this one stops writing.")


def _holders(connection: Connection, run_ids: Sequence[str]) -> dict[str, tuple[str | None, int]]:
    if len(run_ids) == 1:
        found = connection.execute(_HOLDER, {"of_run": run_ids[0]}).all()
    else:
        found = connection.execute(_HOLDERS, {"run_ids": run_ids}).all()
    return {run_id: (owner, epoch) for run_id, owner, epoch in found}


def _batch_for(batches: list[_Batch], write: Write) -> _Batch:
    """The batch to put a write in: one with its statement, unless a later one touches the same row."""
    found = None
    for batch in reversed(batches):
        if batch.statement is write.statement:
            found = batch
            break
        if write.key in batch.keys:
            break
    if found is None:
        found = _Batch(write.statement)
        batches.append(found)
    found.keys.add(write.key)
    return found


def _call(connection: Connection, item: _Item) -> None:
    assert item.action is not None
    try:
        with connection.begin_nested() if item.savepoint else nullcontext():
            if item.lease is not None:
                check_lease(connection, item.lease)
            item.result = item.action(connection)
    except WindlassError as error:
        item.error = error


def _cause(error: StoreError) -> DBAPIError | None:
    return error.__cause__ if isinstance(error.__cause__, DBAPIError) else None


def _server_is_away(error: StoreError) -> bool:
    cause = _cause(error)
    if cause is None or not hasattr(cause.orig, "sqlstate"):
        return False  # SQLite has no server
    # Class 08: connection; 57P01..3: the server stops, crashed or is starting.
    code: str | None = getattr(cause.orig, "sqlstate", None)
    return cause.connection_invalidated or code is None or code[:2] == "08" or code[:4] == "57P0"


def _is_deadlock(error: StoreError) -> bool:
    cause = _cause(error)
    return cause is not None and getattr(cause.orig, "sqlstate", None) in ("40P01", "40001")
