"""How rows reach the database: compiled statements, and a connection that is kept and given back."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, bindparam, delete, insert, null, select, update

from windlass.errors import StoreError
from windlass.journal import RunRecord
from windlass.store.base import Database
from windlass.store.held import Held
from windlass.store.journal import SqlJournal
from windlass.store.prepared import Prepared
from windlass.store.reader import Reader
from windlass.store.runs import blobs, runs
from windlass.store.writer import writer_of

ROW = {
    "run_id": "r-1",
    "workflow": "w",
    "title": "100 % 'quoted' %(run_id)s ?",
    "status": "Pending",
    "workspace": "",
    "options": "{}",
    "pins": "{}",
    "epoch": 3,
    "lease_until": 1.5,
    "cancel_requested": True,
    "created_at": 2,
    "updated_at": 3.25,
}


def test_a_prepared_statement_writes_what_sqlalchemy_would(database: Database) -> None:
    other = {**ROW, "run_id": "r-2"}
    with database.writing() as connection:
        connection.execute(insert(runs), ROW)
        Prepared(insert(runs), connection.dialect, tuple(other)).execute(connection, [other])
        kept = insert(blobs)
        row = {"sha256": b"\0" * 32, "size": 3, "encoding": "raw", "content": b"a\0\xff"}
        Prepared(kept, connection.dialect, tuple(row)).execute(connection, [row])
    with database.reading() as connection:
        first, second = connection.execute(select(runs).order_by(runs.c.run_id)).mappings().all()
        assert {**first, "run_id": "r-2"} == dict(second)
        assert second["cancel_requested"] is True
        assert connection.execute(select(blobs.c.content)).scalar_one() == b"a\0\xff"


def test_a_prepared_statement_keeps_its_own_values_and_takes_many_rows(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(insert(runs), [ROW, {**ROW, "run_id": "r-2"}, {**ROW, "run_id": "r-3"}])
        change = (
            update(runs)
            .where(runs.c.run_id == bindparam("of_run"), runs.c.epoch == 3)
            .values(title=bindparam("title"), workflow="changed", lease_until=null())
        )
        rows = [{"title": "one", "of_run": "r-1"}, {"title": "two", "of_run": "r-2"}]
        Prepared(change, connection.dialect, ("title", "of_run")).execute(connection, rows)
        gone = delete(runs).where(runs.c.run_id == bindparam("of_run"))
        Prepared(gone, connection.dialect, ("of_run",)).execute(connection, [{"of_run": "r-3"}])
    with database.reading() as connection:
        found = connection.execute(
            select(runs.c.title, runs.c.workflow, runs.c.lease_until).order_by(runs.c.run_id)
        )
        assert [tuple(row) for row in found] == [("one", "changed", None), ("two", "changed", None)]


def test_a_prepared_statement_fails_as_sqlalchemy_does(database: Database) -> None:
    with pytest.raises(StoreError, match="refused the change"), database.writing() as connection:
        statement = Prepared(insert(runs), connection.dialect, tuple(ROW))
        statement.execute(connection, [ROW, ROW])
    with database.reading() as connection:
        assert connection.execute(select(runs.c.run_id)).all() == []


def test_a_kept_connection_begins_and_ends_each_transaction(database: Database) -> None:
    held, readers = Held(database), Held(database)
    for number in range(3):
        with held.writing() as connection:
            connection.execute(insert(runs), {**ROW, "run_id": f"r-{number}"})
        with readers.reading() as connection:
            assert len(connection.execute(select(runs.c.run_id)).all()) == number + 1
    with pytest.raises(KeyError), held.writing() as connection:
        connection.execute(insert(runs), {**ROW, "run_id": "dropped"})
        raise KeyError
    with readers.reading() as connection:
        assert len(connection.execute(select(runs.c.run_id)).all()) == 3
    with held.writing() as connection:
        connection.execute(delete(runs))
    held.close()
    readers.close()


def test_a_kept_connection_follows_the_database(new_url: Callable[[str], str], tmp_path: Path) -> None:
    database = Database(new_url("sqlite"))
    held = Held(database)
    with held.writing() as connection:
        connection.execute(insert(runs), ROW)
    database.close()
    with held.writing() as connection:  # the engine is a new one now
        connection.execute(insert(runs), {**ROW, "run_id": "r-2"})
    assert database.file is not None
    database.file.rename(tmp_path / "elsewhere.db")
    with pytest.raises(StoreError, match="removed or replaced"), held.writing() as connection:
        connection.execute(delete(runs))
    (tmp_path / "elsewhere.db").rename(database.file)
    with held.reading() as connection:
        assert len(connection.execute(select(runs.c.run_id)).all()) == 2
    held.close()
    database.close()


def test_in_memory_the_one_connection_is_given_back_each_time() -> None:
    database = Database("sqlite://")
    held = Held(database)
    for number in range(2):
        with held.writing() as connection:
            connection.execute(insert(runs), {**ROW, "run_id": f"r-{number}"})
        with database.reading() as connection:
            assert len(connection.execute(select(runs.c.run_id)).all()) == number + 1
    database.close()


async def test_a_write_while_the_writer_is_being_closed(new_url: Callable[[str], str]) -> None:
    database = Database(new_url("sqlite"))
    writer = writer_of(database)
    begun, go_on = threading.Event(), threading.Event()

    def slow(_: Connection) -> None:
        begun.set()
        go_on.wait(30)

    first = asyncio.ensure_future(writer.call(slow))
    await asyncio.to_thread(begun.wait, 30)
    closing = asyncio.ensure_future(writer.close())
    await asyncio.sleep(0)
    late = asyncio.ensure_future(
        writer.call(lambda connection: connection.execute(select(runs.c.run_id)).all())
    )
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait_for(asyncio.gather(first, closing), 30)
    assert await asyncio.wait_for(late, 30) == []
    await writer.close()
    database.close()


async def test_a_thread_that_cannot_be_started_is_said_once(
    new_url: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(new_url("sqlite"))
    writer, reader = writer_of(database), Reader(database)

    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as without_threads:
        without_threads.setattr(threading.Thread, "start", no_more)
        with pytest.raises(RuntimeError, match="can't start"):
            await writer.call(lambda _: None)
        with pytest.raises(RuntimeError, match="can't start"):
            await reader.ask(lambda _: None)
    assert await asyncio.wait_for(writer.call(lambda _: 1), 30) == 1
    assert await asyncio.wait_for(reader.ask(lambda _: 2), 30) == 2
    await writer.close()
    await reader.close()
    database.close()


async def test_a_closed_database_is_forgotten(new_url: Callable[[str], str]) -> None:
    database = Database(new_url("sqlite"))
    journal = SqlJournal(database)
    await journal.create_run(RunRecord("r-1", "w", "t"))
    await journal.list_runs()
    await journal.close()
    database.close()
    forgotten = weakref.ref(database)
    del database, journal
    gc.collect()
    assert forgotten() is None
