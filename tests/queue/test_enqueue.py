"""Queueing is part of the transaction that makes the run, and again is harmless."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cli import Cli
from windlass import queue
from windlass.app import App
from windlass.errors import InputError, WorkspaceError
from windlass.events import WorkflowStatus
from windlass.queue import Place
from windlass.queue.jobs import enqueue_runs, left_alone, place_of, put_jobs, refuse_run
from windlass.settings import Settings
from windlass.store.base import Database

CHAT = {"message": "hello", "yes": True}


@pytest.fixture
async def app(postgres_url: str) -> AsyncIterator[App]:
    made = App(Settings(database_url=postgres_url, model="openai-chat:test-model"))
    yield made
    await made.close()


def jobs(app: App) -> list[tuple[Any, ...]]:
    with app.database.reading() as connection:
        query = "SELECT queueing_lock, queue_name, priority, status::text, lock FROM procrastinate_jobs ORDER BY id"
        return [tuple(row) for row in connection.exec_driver_sql(query)]


async def test_a_run_is_queued_in_the_transaction_that_makes_it(app: App, tmp_path: Path) -> None:
    made = await queue.submit(app, "chat", "hello", str(tmp_path), CHAT, Place("slow", 7))
    assert made.status is WorkflowStatus.Pending
    assert jobs(app) == [(made.run_id, "slow", 7, "todo", None)]
    await app.close()


def test_two_that_make_the_queues_tables_at_once(postgres_url: str) -> None:
    one, two = Database(postgres_url), Database(postgres_url)
    made: list[bool] = []

    def second() -> None:
        with two.writing() as connection:
            made.append(queue.prepare_queue(connection))

    late = threading.Thread(target=second)
    with one.writing() as connection:
        made.append(queue.prepare_queue(connection))
        late.start()
        _until_somebody_waits_for_a_lock(one)
    late.join(60)
    assert made == [True, False]
    one.close()
    two.close()


def _until_somebody_waits_for_a_lock(database: Database) -> None:
    until = time.monotonic() + 60
    with database.reading() as connection:
        while not connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").scalar():
            assert time.monotonic() < until, "nobody waits"
            time.sleep(0.02)


async def test_a_transaction_that_is_not_committed_queues_nothing(app: App, tmp_path: Path) -> None:
    record = await app.new_record("chat", "hello", str(tmp_path), CHAT)
    with app.database.writing() as connection:
        queue.prepare_queue(connection)
    with pytest.raises(RuntimeError), app.database.writing() as connection:
        queue.insert_runs(connection, [record])
        enqueue_runs(connection, [record.run_id], Place())
        raise RuntimeError("the caller fails")
    assert jobs(app) == []
    assert await app.journal.list_runs() == []
    await app.close()


async def test_queueing_again_changes_the_place_and_adds_no_job(app: App, tmp_path: Path) -> None:
    made = await queue.submit(app, "chat", "hello", str(tmp_path), CHAT)
    await queue.enqueue(app, [made.run_id], Place("runs", 3))
    assert [row[0] for row in jobs(app)] == [made.run_id]
    with app.database.writing() as connection:
        assert place_of(connection, made.run_id) == Place("runs", 3)
        assert put_jobs(connection, [(made.run_id, Place())]) == 0
    await app.close()


async def test_many_runs_at_once_some_queued_already(app: App, tmp_path: Path) -> None:
    made = [(await queue.submit(app, "chat", str(n), str(tmp_path), CHAT)).run_id for n in range(3)]
    with app.database.writing() as connection:
        connection.exec_driver_sql(f"DELETE FROM procrastinate_jobs WHERE queueing_lock = '{made[1]}'")
    with app.database.writing() as connection:
        assert put_jobs(connection, [(run_id, Place()) for run_id in made]) == 1
    assert sorted(row[0] for row in jobs(app)) == sorted(made)
    await app.close()


async def test_a_sweep_finds_what_has_no_job_and_no_living_owner(app: App, tmp_path: Path) -> None:
    made = [(await queue.submit(app, "chat", str(n), str(tmp_path), CHAT)).run_id for n in range(4)]
    kept, lost, owned, over = made
    lease = await app.journal.acquire(owned, "elsewhere:1:other:1:x", ttl=600)
    ended = await app.journal.acquire(over, "elsewhere:1:other:1:x", ttl=600)
    await app.journal.update_run(ended, status=WorkflowStatus.Success)
    with app.database.writing() as connection:
        connection.exec_driver_sql(f"DELETE FROM procrastinate_jobs WHERE queueing_lock <> '{kept}'")
        connection.exec_driver_sql("UPDATE queued_runs SET enqueued_at = enqueued_at - 60")
        found = {run_id: holder for run_id, _, holder in left_alone(connection)}
    assert found == {lost: None, owned: lease.owner}
    await app.close()


async def test_a_refused_run_waits_longer_each_time(app: App, tmp_path: Path) -> None:
    made = await queue.submit(app, "chat", "hello", str(tmp_path), CHAT)
    waits = []
    for _ in range(3):
        with app.database.writing() as connection:
            connection.exec_driver_sql("UPDATE queued_runs SET not_before = enqueued_at")
            refuse_run(connection, made.run_id, "no such folder")
            waits.append(
                connection.exec_driver_sql("SELECT not_before - enqueued_at FROM queued_runs").scalar_one()
            )
    assert waits == sorted(waits) and waits[2] > waits[0] + 2
    await app.close()


async def test_a_failed_run_can_be_queued_again_and_a_successful_one_not(app: App, tmp_path: Path) -> None:
    made = await queue.submit(app, "chat", "hello", str(tmp_path), CHAT)
    lease = await app.journal.acquire(made.run_id, "me")
    await app.journal.update_run(lease, status=WorkflowStatus.Failure, error="away", finished_at=1.0)
    await app.journal.release(lease)
    await queue.enqueue(app, [made.run_id])
    assert (await app.journal.get_run(made.run_id)).status is WorkflowStatus.Started
    lease = await app.journal.acquire(made.run_id, "me")
    await app.journal.update_run(lease, status=WorkflowStatus.Success)
    with pytest.raises(InputError, match="Success"):
        await queue.enqueue(app, [made.run_id])
    await app.close()


@pytest.mark.parametrize(
    ("workflow", "place", "options", "says"),
    [
        ("write", "ok", {"to": "d"}, "d is a folder"),
        ("write", "ok", {"to": "Readme.md"}, "from 'README.md'"),
        ("auto", "ok", {"files": ["gone.py"]}, "There is no file gone.py"),
        ("chat", "none", {}, "none does not exist"),
        ("chat", "ok/README.md", {}, "is a file, not a folder"),
        ("chat", "new", {"new_folder": True, "files": ["gone.py"]}, "There is no file gone.py"),
        ("chat", "new", {"new_folder": True, "tags": {"colour": "red"}}, "No tag is called 'colour'"),
    ],
)
async def test_what_cannot_be_done_is_not_queued(
    app: App, tmp_path: Path, workflow: str, place: str, options: dict[str, Any], says: str
) -> None:
    (tmp_path / "ok" / "d").mkdir(parents=True)
    (tmp_path / "ok" / "README.md").write_text("# Mine\n")
    with pytest.raises((InputError, WorkspaceError), match=says):
        await queue.submit(app, workflow, "hello", str(tmp_path / place), {**CHAT, **options})
    assert await app.journal.list_runs() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ok"]


async def test_a_folder_is_made_for_a_run_that_is_queued(app: App, tmp_path: Path) -> None:
    made = await queue.submit(app, "chat", "hello", str(tmp_path / "new"), {**CHAT, "new_folder": True})
    assert (tmp_path / "new").is_dir()
    assert "new_folder" not in made.options


async def test_sqlite_has_no_queue(tmp_path: Path) -> None:
    app = App(Settings(database_url=f"sqlite:///{tmp_path / 'w.db'}", model="openai-chat:test-model"))
    with pytest.raises(InputError, match="PostgreSQL"):
        await queue.submit(app, "chat", "hello", str(tmp_path), CHAT)
    assert await app.journal.list_runs() == []
    await app.close()


def test_the_command_only_queues(postgres_url: str, windlass_home: Path, tmp_path: Path) -> None:
    cli = Cli(windlass_home, tmp_path, "http://127.0.0.1:9", {"WINDLASS_DATABASE_URL": postgres_url})
    done = cli("run", "chat", "hello", "--enqueue", "--priority", "5", "--json")
    assert done.code == 0, done.err
    assert (done.object["status"], done.object["queue"]) == ("Pending", "runs")
    shown = cli("workers", "--json").object
    assert shown["workers"] == [] and [(w["queue"], w["runs"]) for w in shown["waiting"]] == [("runs", 1)]
    refused = cli("run", "chat", "hello", "--enqueue", WINDLASS_DATABASE_URL=f"sqlite:///{tmp_path / 'w.db'}")
    assert refused.code == 2
    assert "PostgreSQL" in refused.err
    alone = cli("run", "chat", "hello", "--queue", "slow")
    assert (alone.code, "--enqueue" in alone.err) == (2, True)


def test_a_batch_that_cannot_be_done_is_not_queued(
    postgres_url: str, windlass_home: Path, tmp_path: Path
) -> None:
    cli = Cli(windlass_home, tmp_path, "http://127.0.0.1:9", {"WINDLASS_DATABASE_URL": postgres_url})
    rows = [
        {"id": "one", "message": "x"},
        {"id": "two", "message": "x", "files": {"d/e": ""}, "tags": {"write": "d"}},
    ]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = cli("batch", "items.jsonl", "--workflow", "write", "--out", "out", "--enqueue")
    assert done.code == 2
    assert "line 2, item 'two': d is a folder" in " ".join(done.err.split())
    assert not (tmp_path / "out").exists()
    assert cli("runs", "list", "--json").out.strip() == "[]"
    assert cli("workers", "--json").object["waiting"] == []


def test_names_and_priorities_are_checked() -> None:
    for wrong in ({"queue": " "}, {"queue": "a\nb"}, {"priority": 1001}):
        with pytest.raises(InputError):
            Place(**wrong)  # type: ignore[arg-type]


def test_upgrade_makes_the_queue_too(postgres_url: str, windlass_home: Path, tmp_path: Path) -> None:
    cli = Cli(windlass_home, tmp_path, None, {"WINDLASS_DATABASE_URL": postgres_url})
    assert cli("db", "upgrade").code == 0
    app = App(Settings(database_url=postgres_url))
    assert jobs(app) == []
    app.database.close()
