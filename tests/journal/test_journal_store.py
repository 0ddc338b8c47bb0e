"""What only a journal in a database can get wrong."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text

from tests.journal.journals import Clock, entry, full_entry, run
from windlass.errors import JournalError, LeaseLost, NotFound, RunOwnedElsewhere, StoreBusy, StoreError
from windlass.events import Event, WorkflowStatus
from windlass.ids import sha256_hex
from windlass.journal import EntryState, Lease
from windlass.store import stats
from windlass.store.base import Database
from windlass.store.journal import SqlJournal
from windlass.store.writer import writer_of


@pytest.fixture
async def journal(database: Database, clock: Clock) -> AsyncIterator[SqlJournal]:
    opened = SqlJournal(database, clock=clock)
    yield opened
    await opened.close()


@pytest.fixture
async def on_sqlite(new_url: Callable[[str], str], clock: Clock) -> AsyncIterator[SqlJournal]:
    database = Database(new_url("sqlite"), busy_timeout=5)
    opened = SqlJournal(database, clock=clock)
    yield opened
    await opened.close()
    database.close()


async def owned(journal: SqlJournal, run_id: str = "run-0001") -> Lease:
    await journal.create_run(run(run_id))
    return await journal.acquire(run_id, "me")


def count(database: Database, table: str) -> int:
    with database.reading() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


async def test_what_is_written_is_there_for_another_process(journal: SqlJournal, database: Database) -> None:
    lease = await owned(journal)
    await journal.claim(lease, full_entry())
    await journal.append_events(lease, [Event("notice", "run-0001", {"text": "t" * 5000}, 1)])
    elsewhere = SqlJournal(Database(database.url.render_as_string(hide_password=False)))
    assert await elsewhere.entries("run-0001") == [full_entry()]
    assert (await elsewhere.events("run-0001"))[0].payload == {"text": "t" * 5000}
    await elsewhere.close()
    elsewhere._database.close()


async def test_a_database_in_memory_works_too(clock: Clock) -> None:
    database = Database("sqlite://")
    journal = SqlJournal(database, clock=clock)
    lease = await owned(journal)
    await journal.claim(lease, full_entry())
    assert await journal.entries("run-0001") == [full_entry()]
    assert (await journal.gc(keep_days=0)).runs == 0
    await journal.close()
    database.close()


async def test_a_run_is_made_once(journal: SqlJournal) -> None:
    await journal.create_run(run())
    with pytest.raises(JournalError, match="run-0001 already"):
        await journal.create_run(run())


async def test_an_item_at_fault_is_refused_alone(journal: SqlJournal) -> None:
    lease = await owned(journal)
    await journal.append_events(lease, [Event("notice", "run-0001", {}, 7)])
    outcomes = await asyncio.gather(
        *(journal.claim(lease, entry(f"a[{n}]")) for n in range(10)),
        journal.append_events(
            lease, [Event("notice", "run-0001", {}, 8), Event("notice", "run-0001", {}, 7)]
        ),
        journal.claim(lease, entry("too-large", input_tokens=2**80)),
        *(journal.claim(lease, entry(f"b[{n}]")) for n in range(10)),
        return_exceptions=True,
    )
    assert [number for number, outcome in enumerate(outcomes) if outcome is not None] == [10, 11]
    assert isinstance(outcomes[10], StoreError)
    assert [e.seq for e in await journal.events("run-0001")] == [7]
    assert len(await journal.entries("run-0001")) == 20


async def test_what_json_cannot_hold_is_refused_at_once(journal: SqlJournal) -> None:
    lease = await owned(journal)
    with pytest.raises(TypeError):
        await journal.claim(lease, entry(request={"bytes": b"raw"}))
    assert await journal.entries("run-0001") == []


async def test_a_value_is_kept_as_it_was_when_it_was_given(journal: SqlJournal) -> None:
    lease = await owned(journal)
    request = {"messages": ["first"]}
    writing = asyncio.ensure_future(journal.claim(lease, entry(request=request)))
    await asyncio.sleep(0)
    request["messages"].append("added later")
    await writing
    assert (await journal.entries("run-0001"))[0].request == {"messages": ["first"]}


async def test_many_writes_share_few_commits(journal: SqlJournal, database: Database) -> None:
    lease = await owned(journal)
    writer = writer_of(database)
    before = writer.groups
    await asyncio.gather(*(journal.claim(lease, entry(f"a[{n}]")) for n in range(300)))
    assert writer.groups - before <= 10
    assert [e.path for e in await journal.entries("run-0001")] == [f"a[{n}]" for n in range(300)]


async def test_writes_to_one_row_keep_their_order_in_a_group(journal: SqlJournal) -> None:
    lease = await owned(journal)
    failed = entry("a", state=EntryState.FAILED, partial="all that had come")
    await asyncio.gather(
        journal.claim(lease, entry("a")),
        journal.save_partial(lease, "a", 1, "all that"),
        journal.claim(lease, entry("b")),
        journal.settle(lease, failed),
        journal.save_partial(lease, "b", 1, "other text"),
        journal.update_run(lease, status=WorkflowStatus.Started),
        journal.update_run(lease, summary="s"),
        journal.update_run(lease, status=WorkflowStatus.Success),
    )
    assert await journal.entries("run-0001") == [failed, entry("b", partial="other text")]
    assert (await journal.get_run("run-0001")).status is WorkflowStatus.Success


async def test_in_one_group_an_owner_who_is_replaced_writes_before_and_not_after(
    on_sqlite: SqlJournal, clock: Clock
) -> None:
    old = await owned(on_sqlite)
    clock.now += 31
    outcomes = await asyncio.gather(
        on_sqlite.claim(old, entry("before")),
        on_sqlite.acquire("run-0001", "you"),
        on_sqlite.claim(old, entry("after")),
        on_sqlite.claim(Lease("run-0001", "you", old.epoch + 1), entry("new")),
        return_exceptions=True,
    )
    assert isinstance(outcomes[2], LeaseLost)
    assert [e.path for e in await on_sqlite.entries("run-0001")] == ["before", "new"]


async def test_a_long_text_is_stored_once_wherever_it_appears(
    journal: SqlJournal, database: Database
) -> None:
    lease = await owned(journal)
    reply = "the same reply, " * 500
    await journal.put_blobs(lease, [reply.encode()])
    await journal.claim(lease, entry("a", result={"text": reply}))
    await journal.claim(lease, entry("b", request={"messages": [{"content": reply}]}))
    await journal.append_events(lease, [Event("notice", "run-0001", {"response": reply}, 1)])
    assert count(database, "blobs") == 1
    assert await journal.get_blob(sha256_hex(reply)) == reply.encode()


async def test_a_lease_written_before_the_clock_jumped_back_does_not_last_for_ever(
    journal: SqlJournal, clock: Clock
) -> None:
    await owned(journal)
    clock.now -= 3600
    with pytest.raises(RunOwnedElsewhere):
        await journal.acquire("run-0001", "you")
    clock.now += 31
    assert (await journal.acquire("run-0001", "you")).epoch == 2


async def test_a_living_owner_keeps_its_run_when_the_clock_jumps_back(
    journal: SqlJournal, clock: Clock
) -> None:
    lease = await owned(journal)
    clock.now -= 3600
    for _ in range(5):
        with pytest.raises(RunOwnedElsewhere):
            await journal.acquire("run-0001", "you")
        clock.now += 10
        await journal.renew(lease)
    await journal.claim(lease, entry())


async def test_leases_are_timed_by_the_server_when_no_clock_is_given(database: Database) -> None:
    journal = SqlJournal(database)
    await journal.create_run(run())
    await journal.acquire("run-0001", "me", ttl=0.2)
    with pytest.raises(RunOwnedElsewhere):
        await journal.acquire("run-0001", "you", ttl=60)
    await asyncio.sleep(0.25)
    assert (await journal.acquire("run-0001", "you", ttl=60)).epoch == 2
    await journal.close()


async def test_clean_up_takes_what_is_old_and_ended_and_nothing_else(
    journal: SqlJournal, database: Database, clock: Clock
) -> None:
    day = 86_400
    shared = "shared " * 400
    statuses = {
        "old-success": WorkflowStatus.Success,
        "old-failure": WorkflowStatus.Failure,
        "old-waiting": WorkflowStatus.Waiting,
        "old-started": WorkflowStatus.Started,
        "old-evidence": WorkflowStatus.Success,
        "old-owned": WorkflowStatus.Cancelled,
    }
    for run_id, status in statuses.items():
        lease = await owned(journal, run_id)
        await journal.claim(lease, entry(result={"shared": shared, "own": run_id * 400}))
        await journal.append_events(lease, [Event("notice", run_id, {}, 1)])
        await journal.update_run(lease, status=status, finished_at=clock.now)
        await journal.release(lease)
    clock.now += 91 * day
    await journal.acquire("old-owned", "me")
    recent = await owned(journal, "new-success")
    await journal.update_run(recent, status=WorkflowStatus.Success, finished_at=clock.now)
    await journal.release(recent)

    collected = await journal.gc(keep_days=90, protected=["old-evidence"])

    assert {r.run_id for r in await journal.list_runs()} == {
        *("old-waiting", "old-started", "old-evidence", "old-owned", "new-success")
    }
    assert (collected.runs, collected.blobs) == (2, 2)
    assert count(database, "run_entries") == 4
    assert count(database, "run_events") == 4
    for run_id in ("old-waiting", "old-evidence"):
        assert (await journal.entries(run_id))[0].result == {"shared": shared, "own": run_id * 400}
    with pytest.raises(NotFound):
        await journal.get_blob(sha256_hex("old-success" * 400))
    assert (await journal.gc(keep_days=90, protected=["old-evidence"])).runs == 0


async def test_what_a_fork_took_over_is_summed_up_once(journal: SqlJournal, database: Database) -> None:
    await journal.create_run(run())
    lease = await journal.acquire("run-0001", "me")
    for path in ("a", "b"):
        paid = entry(path, state=EntryState.DONE, cost_usd=Decimal("0.5"), input_tokens=7, started_at=5.0)
        await journal.claim(lease, paid)
    await journal.fork("run-0001", run("run-0002"), keep=["a", "b"])
    lease = await journal.acquire("run-0002", "me")
    await journal.claim(lease, entry("c", cost_usd=Decimal("0.25"), output_tokens=1, started_at=5.0))
    with database.reading() as connection:
        calls = stats.calls_since(connection, 0.0)
        used = stats.used_by(connection, ["run-0001", "run-0002"])
    assert sorted(call.run_id for call in calls) == ["run-0001", "run-0001", "run-0002"]
    assert used == {
        "run-0001": stats.Used(2, 14, 1_000_000_000),
        "run-0002": stats.Used(1, 1, 250_000_000),
    }


async def test_a_fork_of_a_run_that_is_not_there_makes_nothing(journal: SqlJournal) -> None:
    with pytest.raises(NotFound):
        await journal.fork("run-none", run("run-0002"), keep=[])
    with pytest.raises(NotFound):
        await journal.get_run("run-0002")


async def test_questions_asked_together_are_answered_each_for_itself(journal: SqlJournal) -> None:
    await owned(journal)
    answers = await asyncio.gather(
        *(
            question
            for _ in range(30)
            for question in (journal.get_run("run-0001"), journal.get_run("none-such"))
        ),
        journal.entries("x" * 10 + "\ud800"),  # no database takes this text
        journal.get_run("last"),
        return_exceptions=True,
    )
    assert {type(answer).__name__ for answer in answers[0:60:2]} == {"RunRecord"}
    assert {type(answer) for answer in answers[1:60:2]} == {NotFound}
    assert isinstance(answers[60], Exception)
    assert answers[61] == answers[0]


async def test_a_locked_database_is_waited_for(on_sqlite: SqlJournal) -> None:
    lease = await owned(on_sqlite)
    file = on_sqlite._database.file
    other = sqlite3.connect(str(file), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    unlock = threading.Timer(1.0, lambda: other.execute("COMMIT"))
    unlock.start()
    writing = asyncio.ensure_future(on_sqlite.claim(lease, entry()))
    done, _ = await asyncio.wait({writing}, timeout=0.5)
    assert not done
    assert await on_sqlite.entries("run-0001") == []  # reading goes on meanwhile
    await writing
    assert len(await on_sqlite.entries("run-0001")) == 1
    unlock.join()
    other.close()


async def test_a_database_locked_for_too_long_is_a_clear_error_and_can_be_used_again(
    new_url: Callable[[str], str],
) -> None:
    database = Database(new_url("sqlite"), busy_timeout=0.3)
    journal = SqlJournal(database)
    lease = await owned(journal)
    other = sqlite3.connect(str(database.file), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    outcomes = await asyncio.gather(
        *(journal.claim(lease, entry(f"a[{n}]")) for n in range(5)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [StoreBusy] * 5
    assert "locked" in str(outcomes[0])
    other.execute("ROLLBACK")
    other.close()
    await journal.claim(lease, entry("b"))
    assert [e.path for e in await journal.entries("run-0001")] == ["b"]
    await journal.close()
    database.close()


async def test_a_full_disk_is_a_clear_error_and_leaves_nothing_half_written(
    new_url: Callable[[str], str],
) -> None:
    url = new_url("sqlite")
    database = Database(url)
    pages = 80

    @event.listens_for(database.engine, "begin")
    def small_disk(connection: Connection) -> None:
        # SQLite's own way to say when the disk is full; the error is the same.
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    journal = SqlJournal(database)
    lease = await owned(journal)
    huge = "".join(sha256_hex(str(n)) for n in range(4000))
    outcomes = await asyncio.gather(
        journal.claim(lease, entry("small")),
        journal.claim(lease, entry("huge", result=huge)),
        journal.claim(lease, entry("small-too")),
        return_exceptions=True,
    )
    assert outcomes[0] is None
    assert outcomes[2] is None
    assert isinstance(outcomes[1], StoreError)
    assert "disk is full" in str(outcomes[1])
    assert [e.path for e in await journal.entries("run-0001")] == ["small", "small-too"]
    assert count(database, "blobs") == 0
    pages = 1_000_000
    await journal.claim(lease, entry("huge", result=huge))
    assert (await journal.entries("run-0001"))[-1].result == huge
    await journal.close()
    database.close()


async def test_a_closed_journal_has_written_what_was_queued_and_opens_again(journal: SqlJournal) -> None:
    lease = await owned(journal)
    tasks = [asyncio.ensure_future(journal.claim(lease, entry(f"a[{n}]"))) for n in range(50)]
    await asyncio.sleep(0)
    await journal.close()
    assert len(await journal.entries("run-0001")) == 50
    await asyncio.gather(*tasks)
    await journal.settle(lease, entry("a[0]", state=EntryState.DONE))


async def test_a_loop_that_ended_does_not_stop_the_writer(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'windlass.db'}")
    journal = SqlJournal(database)

    def leave_without_waiting() -> None:
        async def begin() -> None:
            task = asyncio.ensure_future(journal.create_run(run()))
            await asyncio.sleep(0)
            task.cancel()

        asyncio.run(begin())

    await asyncio.to_thread(leave_without_waiting)
    await journal.acquire("run-0001", "me")
    await journal.close()
    database.close()
