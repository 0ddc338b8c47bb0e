"""The database itself: opening, migrating, errors a person can read."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from tests.support.processes import together
from windlass.errors import ConfigError, NotFound, StoreBusy, StoreError, StoreTooNew
from windlass.store import fleet, migrate, prompt_models, runs  # noqa: F401  (the tables the metadata must know)
from windlass.store.base import Base, BaseRepository, Database
from windlass.store.prompt_models import PromptContentModel, PromptSwitchModel, PromptVersionModel
from windlass.store.prompts import SqlPromptStore


def test_nothing_happens_until_it_is_used(tmp_path):
    Database(f"sqlite:///{tmp_path}/a/w.db")
    Database("postgresql://127.0.0.1:1/nowhere")
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_its_owners_alone_and_durable(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/a/b/w.db")
    with database.reading() as connection:
        settings = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    assert settings == ["wal", 2, 1, 30_000]
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b", "a/b/w.db")]
    assert modes == [0o700, 0o700, 0o600]
    assert database.check() == []
    database.close()


def test_upgrade_says_from_where_to_where(empty_url):
    database = Database(empty_url)
    assert database.current_revision() is None
    assert database.upgrade() == (None, migrate.head())
    assert database.upgrade() == (migrate.head(), migrate.head())
    assert database.current_revision() == migrate.head()
    assert database.check() == []
    database.close()


def test_the_migrations_make_what_the_models_say(database):
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_alembic_reads_the_revisions_in_the_order_of_their_names():
    config = Config()
    config.set_main_option("script_location", str(migrate._FOLDER))
    script = ScriptDirectory.from_config(config)
    assert tuple(each.revision for each in script.walk_revisions())[::-1] == migrate.revisions()


def test_starting_does_not_import_alembic(url):
    code = "import sys; from windlass.store.base import Database; Database(sys.argv[1]).engine; print('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


OPEN = """
import sys
from windlass.store.base import Database
from windlass.store.prompts import SqlPromptStore
print("ready", flush=True)
sys.stdin.readline()
database = Database(sys.argv[1])
SqlPromptStore(database).ensure("p", "text")
print(database.current_revision())
"""


def test_eight_processes_starting_at_once_migrate_once(empty_url):
    with together(OPEN, [empty_url] * 8) as outputs:
        assert outputs == [f"{migrate.head()}\n"] * 8
    database = Database(empty_url)
    assert [version.version_no for version in SqlPromptStore(database).versions("p")] == [1]
    database.close()


def test_each_migration_comes_up_from_the_one_before_with_data(empty_url, monkeypatch):
    first, *later = migrate.revisions()
    monkeypatch.setattr(migrate, "revisions", lambda: (first,))
    database = Database(empty_url)
    monkeypatch.setattr(migrate, "_run", lambda connection: _upgrade(connection, first))
    database.upgrade()
    with database.writing() as connection:
        now = datetime.now(UTC)
        connection.execute(
            PromptContentModel.__table__.insert().values(sha256="a" * 64, content="x", created_at=now)
        )
    monkeypatch.undo()
    for revision in later:
        with database.writing() as connection:
            _upgrade(connection, revision)
    assert database.upgrade() == (migrate.head(), migrate.head())
    with database.reading() as connection:
        assert connection.execute(text("SELECT content FROM prompt_contents")).all() == [("x",)]
    database.close()


def test_what_forks_took_over_before_it_was_marked_is_found(empty_url, monkeypatch):
    before = migrate.revisions()[: migrate.revisions().index("m005_copied_entries")]
    monkeypatch.setattr(migrate, "revisions", lambda: before)
    monkeypatch.setattr(migrate, "_run", lambda connection: _upgrade(connection, before[-1]))
    database = Database(empty_url)
    run = (
        "INSERT INTO runs (run_id, workflow, title, status, workspace, options, pins, parent_run, epoch, cancel_requested, "
        "created_at, updated_at) VALUES (:id, 'w', 't', 'Success', '', '{}', '{}', :parent, 0, false, 1, 1)"
    )
    entry = (
        "INSERT INTO run_entries (run_id, path, attempt, kind, digest, state, cost_nano_usd, reserved_nano_usd, started_at) "
        "VALUES (:run, :path, 1, :kind, 'd', 'done', :cost, 9, :at)"
    )
    with database.writing() as connection:
        connection.execute(
            text(run),
            [{"id": "one", "parent": None}, {"id": "two", "parent": "one"}, {"id": "3", "parent": "two"}],
        )
        rows = [
            ("one", "a", "model", 5, 1.25), ("one", "b", "read", None, 1.5), ("one", "c", "model", 5, 1.75),
            ("two", "a", "model", 5, 1.25), ("two", "b", "read", None, 1.5), ("two", "c", "model", 7, 2.75),
            ("3", "a", "model", 5, 1.25), ("3", "c", "model", 7, 2.75),
        ]  # fmt: skip
        names = ("run", "path", "kind", "cost", "at")
        connection.execute(text(entry), [dict(zip(names, row, strict=True)) for row in rows])
    monkeypatch.undo()
    database.upgrade()
    with database.reading() as connection:
        query = (
            "SELECT run_id, path, copied_from, cost_nano_usd, reserved_nano_usd FROM run_entries ORDER BY id"
        )
        found = [tuple(row) for row in connection.execute(text(query))]
    assert found == [
        ("one", "a", None, 5, 9), ("one", "b", None, None, 9), ("one", "c", None, 5, 9),
        ("two", "a", "one", 0, None), ("two", "b", "one", None, None), ("two", "c", None, 7, 9),
        ("3", "a", "two", 0, None), ("3", "c", "two", 0, None),
    ]  # fmt: skip
    database.close()


def _upgrade(connection, revision):
    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(migrate._FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def test_a_migration_that_fails_leaves_nothing(empty_url, monkeypatch):
    def half(connection):
        connection.execute(text("CREATE TABLE half (a INTEGER)"))
        raise StoreError("no")

    monkeypatch.setattr(migrate, "_run", half)
    database = Database(empty_url)
    with pytest.raises(StoreError, match=r"^no$"):
        database.upgrade()
    monkeypatch.undo()
    with database.reading() as connection:
        with pytest.raises(StoreError):
            with database.errors():
                connection.execute(text("SELECT * FROM half"))
    database.close()


def test_a_database_from_a_newer_windlass_is_left_alone(database):
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'm999_future'"))
    database.close()
    with pytest.raises(StoreTooNew, match=r"newer Windlass.*m999_future"), database.reading():
        pass
    with pytest.raises(StoreTooNew):
        database.upgrade()
    assert "newer Windlass" in database.check()[0]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://me:secret@127.0.0.1:1/x", "cannot be reached"),
        ("sqlite:////proc/nowhere/w.db", "cannot be used"),
        ("sqlite:////dev/null/w.db", "cannot be used"),
    ],
)
def test_a_database_that_cannot_be_opened(url, sentence):
    database = Database(url)
    with pytest.raises(StoreError, match=sentence) as failed:
        database.engine  # noqa: B018
    assert "secret" not in str(failed.value)
    assert "\n" not in str(failed.value)
    assert "secret" not in repr(database)
    assert len(database.check()) <= 1


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://me:secret@h/x", "knows sqlite and postgresql databases, not 'mysql'"),
        ("postgresql://me:secret@h:port/x", "cannot be read"),
        ("sqlite://w.db", "three slashes"),
    ],
)
def test_urls_that_are_refused(url, sentence):
    with pytest.raises(ConfigError, match=sentence) as refused:
        Database(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["postgres://h/x", "postgresql://h/x", "postgresql+psycopg://h/x"])
def test_urls_of_postgresql(url):
    database = Database(url)
    assert database.url.drivername == "postgresql+psycopg"
    assert database.label == "postgresql://h/x"  # as people write it


def test_a_file_name_is_a_url_and_stays_where_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    database = Database("w.db")
    monkeypatch.chdir("/")
    assert database.file == tmp_path / "w.db"


def test_without_a_url_it_is_in_the_users_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert Database().file == tmp_path / "windlass" / "windlass.db"


def test_a_file_that_is_no_database(tmp_path):
    file = tmp_path / "w.db"
    file.write_bytes(b"no database " * 100)
    with pytest.raises(StoreError, match="is no SQLite database"), Database(str(file)).reading():
        pass
    assert file.read_bytes() == b"no database " * 100


def test_a_damaged_file(tmp_path):
    database = Database(str(tmp_path / "w.db"))
    SqlPromptStore(database).resolve("p", "x" * 50_000)
    database.close()
    with sqlite3.connect(tmp_path / "w.db") as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    content = bytearray((tmp_path / "w.db").read_bytes())
    content[8192:-4096] = b"\xff" * (len(content) - 4096 - 8192)
    (tmp_path / "w.db").write_bytes(content)
    assert "damaged" in " ".join(database.check())


def test_the_file_removed_while_in_use(tmp_path):
    database = Database(str(tmp_path / "w.db"))
    store = SqlPromptStore(database)
    store.resolve("p", "text")
    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(StoreError, match="was removed or replaced while in use"):
        store.add("p", "other")
    assert store.resolve("p", "text").source == "stale"
    assert list(tmp_path.iterdir()) == []
    store.close()
    database.close()


def test_another_process_keeps_the_lock(tmp_path):
    database = Database(str(tmp_path / "w.db"), busy_timeout=0.05)
    assert database.current_revision() is None
    database.upgrade()
    other = sqlite3.connect(tmp_path / "w.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy, match="locked for too long"), database.writing():
        pass
    other.execute("ROLLBACK")
    with database.writing() as connection:
        connection.execute(text("SELECT 1"))
    other.close()
    database.close()


def test_postgresql_waits_for_a_lock_no_longer_than_told(new_url):
    url = new_url("postgresql")
    database, impatient = Database(url), Database(url, busy_timeout=0.05)
    SqlPromptStore(database).ensure("p", "text")
    with database.writing() as connection:
        connection.execute(text("UPDATE prompts SET revision = revision + 1"))
        with pytest.raises(StoreBusy, match="busy"):
            SqlPromptStore(impatient).add("p", "other")
    database.close()
    impatient.close()


def test_a_read_only_file(tmp_path):
    database = Database(str(tmp_path / "w.db"))
    SqlPromptStore(database).ensure("p", "text")
    database.close()
    with database.writing() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
        with pytest.raises(StoreError, match="is read-only"), database.errors():
            connection.execute(text("DELETE FROM prompt_pins"))
    database.close()


def test_what_is_raised_inside_drops_the_transaction(database):
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        connection.execute(
            PromptContentModel.__table__.insert().values(
                sha256="b", content="x", created_at=datetime.now(UTC)
            )
        )
        raise ZeroDivisionError
    with database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM prompt_contents")).scalar() == 0


def test_memory_is_shared_between_threads():
    database = Database("sqlite://")
    store = SqlPromptStore(database)
    threads = [threading.Thread(target=store.ensure, args=(f"p{number}", "text")) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.names()) == 8


class Switches(BaseRepository[PromptSwitchModel]):
    model = PromptSwitchModel


def test_the_base_repository(database):
    SqlPromptStore(database).ensure("p", "text")
    repository = Switches(database)
    (first,) = repository.list(prompt_name="p")
    made = repository.create(prompt_name="p", revision=99, from_version_no=1, to_version_no=1, kind="use")
    assert repository.get(made.id).kind == "use"
    assert made.created_at.utcoffset() == timedelta(0)
    changed = repository.update(made.id, reason="why")
    assert (changed.reason, repository.get(made.id).reason) == ("why", "why")
    assert changed.updated_at > made.created_at
    assert [row.id for row in repository.list()] == [first.id, made.id]
    assert [row.id for row in repository.list(limit=1)] == [first.id]
    repository.delete(made.id)
    for miss in (repository.get, repository.delete):
        with pytest.raises(NotFound, match="no prompt_effective_log row with id"):
            miss(made.id)
    with pytest.raises(TypeError, match="no column colour"):
        repository.update(first.id, colour="red")
    with pytest.raises(StoreError, match="refused the change"):
        repository.create(prompt_name="nobody", revision=1, from_version_no=1, to_version_no=1, kind="use")


def test_times_are_aware_whatever_zone_they_were_given_in(database):
    SqlPromptStore(database).ensure("p", "text")
    repository = Switches(database)
    (row,) = repository.list()
    noon = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    repository.update(row.id, created_at=noon)
    read = repository.get(row.id).created_at
    assert (read, read.tzinfo) == (noon, UTC)
    with pytest.raises(StoreError, match="no time zone"):
        repository.update(row.id, created_at=datetime(2026, 1, 1))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE prompt_versions SET prompt_content = 'other'",
        "UPDATE prompt_versions SET version_no = 7",
        "UPDATE prompt_versions SET content_sha256 = 'x'",
        "UPDATE prompt_contents SET content = 'other'",
        "DELETE FROM prompt_versions",
        "DELETE FROM prompt_contents",
        "DELETE FROM prompts",
        "UPDATE prompt_versions SET is_current_effective = true",
        "UPDATE prompt_versions SET archived_at = created_at WHERE is_current_effective",
        "UPDATE prompt_versions SET origin = 'nobody'",
        "UPDATE prompts SET keep_versions = 1",
    ],
)
def test_the_database_itself_refuses(database, statement):
    store = SqlPromptStore(database)
    store.ensure("p", "text")
    store.add("p", "other text")
    with pytest.raises(StoreError, match="refused the change"), database.writing() as connection:
        connection.execute(text(statement))
    assert [version.content for version in store.versions("p")] == ["text", "other text"]


def test_a_version_a_run_used_cannot_be_removed_even_when_retired(database):
    store = SqlPromptStore(database)
    store.resolve("p", "text", run_id="r")
    store.use("p", store.add("p", "other"))
    with database.writing() as connection:
        connection.execute(text("UPDATE prompt_versions SET archived_at = created_at WHERE version_no = 1"))
    with pytest.raises(StoreError, match="refused the change"), database.writing() as connection:
        connection.execute(text("DELETE FROM prompt_versions WHERE version_no = 1"))
    assert store.gc() == (0, 0)


def test_model_ids_are_unique_and_sort_by_time():
    make = lambda: PromptVersionModel(prompt_name="p", version_no=1, prompt_content="", content_sha256="")  # noqa: E731
    ids = [make().id for _ in range(100)]
    assert ids == sorted(set(ids))


def test_others_can_read_the_file(tmp_path):
    database = Database(str(tmp_path / "w.db"))
    database.upgrade()
    os.chmod(tmp_path / "w.db", 0o644)
    assert "Others on this machine can read" in database.check()[0]
