"""A history moves between databases whole, again is harmless, and nothing is mixed up."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.acceptance.cli import Cli
from windlass.app import App
from windlass.batch import run_batch
from windlass.errors import InputError, StoreTooNew
from windlass.journal import Lease
from windlass.report import run_report
from windlass.settings import Settings
from windlass.store.base import Database
from windlass.store.copy import copy_database, ordered_tables
from windlass.testing.server import Answer, OpenAIServer


@pytest.fixture
def source(tmp_path: Path) -> Database:
    """A SQLite history: a batch of two runs, with prompts, files and contents."""
    url = f"sqlite:///{tmp_path / 'w.db'}"
    text = "a.txt\n```\n" + "A line of the file.\n" * 100 + "```\n"
    with OpenAIServer(lambda request: Answer(text)) as server:
        settings = Settings(database_url=url, model="openai-chat:test-model")
        settings.__dict__["environment"] = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "k"}
        items = [
            {"id": str(n), "message": f"Fill it in, {n}", "files": {"a.txt": "empty\n"}} for n in range(2)
        ]
        done = list(run_batch(items, "auto", out=tmp_path / "out", settings=settings))
        assert [result.status.value for result in done] == ["Success"] * 2, [result.error for result in done]
    return Database(url)


async def reports(url: str) -> list[object]:
    app = App(Settings(database_url=url))
    found = [await run_report(app.journal, run.run_id) for run in await app.journal.list_runs()]
    await app.close()
    return sorted(found, key=lambda report: str(report["run_id"]))


async def test_there_and_back(source: Database, postgres_url: str, tmp_path: Path) -> None:
    target = Database(postgres_url)
    copied = copy_database(source, target)
    rows = {each.table: each for each in copied}
    assert set(rows) == {table.name for table in ordered_tables()}
    assert rows["runs"].rows == rows["runs"].added == 2
    assert (
        min(
            rows[name].added
            for name in ("run_entries", "run_events", "blobs", "prompts", "prompt_usages", "batch_items")
        )
        > 0
    )
    assert await reports(postgres_url) == await reports(source.url.render_as_string(hide_password=False))
    # Again adds nothing, and back gives the same.
    assert sum(each.added for each in copy_database(source, target)) == 0
    third = Database(f"sqlite:///{tmp_path / 'third.db'}")
    copy_database(target, third)
    assert await reports(f"sqlite:///{tmp_path / 'third.db'}") == await reports(postgres_url)
    # What comes later is numbered after what was copied.
    app = App(Settings(database_url=postgres_url, model="openai-chat:test-model"))
    made = await app.create_run("chat", "later", str(tmp_path), {"message": "later"})
    lease: Lease = await app.journal.acquire(made.run_id, "me")
    from windlass.journal import RunJournal

    journal = await RunJournal.open(app.journal, lease)
    await journal.record("a/value[0]", "value", "d", None, 1)
    await app.close()
    for database in (source, target, third):
        database.close()


def test_a_copy_that_was_cut_off_is_begun_again(source: Database, postgres_url: str) -> None:
    target = Database(postgres_url)

    def cut(table: str, done: int, total: int) -> None:
        if table == "run_entries":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_database(source, target, say=cut)
    added = {each.table: each.added for each in copy_database(source, target)}
    assert added["run_entries"] == 0 < added["run_events"]
    source.close()
    target.close()


def test_other_content_under_the_same_name_is_refused(source: Database, postgres_url: str) -> None:
    target = Database(postgres_url)
    copy_database(source, target)
    with target.writing() as connection:
        connection.exec_driver_sql("UPDATE runs SET title = 'another'")
        connection.exec_driver_sql("DELETE FROM run_events")
    with pytest.raises(InputError, match="another runs row"):
        copy_database(source, target)
    with target.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM run_events").scalar() == 0
    source.close()
    target.close()


async def test_a_run_under_way_is_not_copied(source: Database, postgres_url: str) -> None:
    app = App(Settings(database_url=source.url.render_as_string()))
    (run, *_) = await app.journal.list_runs()
    await app.journal.acquire(run.run_id, "somebody", ttl=60)
    with pytest.raises(InputError, match="being worked on"):
        copy_database(source, Database(postgres_url))
    with pytest.raises(InputError, match="to itself"):
        copy_database(source, source)
    await app.close()
    source.close()


def test_the_wrong_direction_and_a_newer_schema_are_refused(source: Database, tmp_path: Path) -> None:
    empty = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(InputError, match=r"empty\.db holds nothing to copy.*comes first"):
        copy_database(empty, source)
    copy_database(source, empty)
    # A database of another Windlass is named, whichever side it is on.
    with empty.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'm999_future'")
    empty.close()
    newer = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    for one, two in ((newer, source), (source, newer)):
        with pytest.raises(StoreTooNew, match=r"empty\.db: .*newer Windlass.*m999_future"):
            copy_database(one, two)
    newer.close()
    source.close()


async def test_a_copy_that_is_killed_goes_on_when_it_is_run_again(
    source: Database, postgres_url: str, windlass_home: Path, tmp_path: Path
) -> None:
    source.close()
    cli = Cli(windlass_home, tmp_path)
    words = ("db", "copy", f"sqlite:///{tmp_path / 'w.db'}", postgres_url)
    killed = cli.start(*words)
    assert killed.stdout is not None and killed.stderr is not None
    # A line stands for a table that is over; it is killed anywhere after the first.
    assert killed.stdout.readline()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    killed.stderr.close()
    again = cli(*words, "--json")
    assert again.code == 0, again.err
    rows = {each["table"]: each for each in json.loads(again.out)}
    assert rows["runs"]["rows"] == 2
    target = Database(postgres_url)
    with target.reading() as connection:
        for name, each in rows.items():
            count = connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar()
            assert count == each["rows"], name
    target.close()
    assert await reports(postgres_url) == await reports(f"sqlite:///{tmp_path / 'w.db'}")


def test_the_command(source: Database, postgres_url: str, windlass_home: Path, tmp_path: Path) -> None:
    source.close()
    cli = Cli(windlass_home, tmp_path)
    done = cli("db", "copy", f"sqlite:///{tmp_path / 'w.db'}", postgres_url)
    assert done.code == 0, done.err
    assert "were there already" in done.out and "agree" in done.out
    again = cli("db", "copy", f"sqlite:///{tmp_path / 'w.db'}", postgres_url)
    assert (again.code, "0 rows copied" in again.out) == (0, True), again.err
    missing = cli("db", "copy", f"sqlite:///{tmp_path / 'none.db'}", postgres_url)
    assert (missing.code, "There is no database file" in missing.err) == (2, True)
