"""What only the database's store does: remembering, outages, retention of texts, and the repository's names."""

import logging
import os
import sqlite3
import subprocess
import sys

import pytest

from tests.support.postgres import running_server
from windlass.errors import InputError, NotFound, StoreError, TemplateError
from windlass.prompt import PromptUsage, PromptVersioningMixin
from windlass.store.base import Database
from windlass.store.prompt_models import PromptVersionModel
from windlass.store.prompts import PromptVersionRepository, SqlPromptStore


@pytest.fixture
def two(url):
    """Two processes' worth of store on one database."""
    databases = [Database(url), Database(url)]
    stores = [SqlPromptStore(database) for database in databases]
    yield stores
    for store, database in zip(stores, databases, strict=True):
        store.close()
        database.close()


def test_db_then_cache_then_db_again_when_somebody_else_switched(two):
    mine, other = two
    assert [mine.resolve("p", "text").source for _ in range(3)] == ["db", "cache", "cache"]
    other.use("p", other.add("p", "other"))
    seen = mine.resolve("p", "text")
    assert (seen.version_no, seen.content, seen.source) == (2, "other", "db")
    other.ensure("q", "another prompt")  # a commit that is none of p's business
    assert mine.resolve("p", "text").source == "cache"


def test_a_run_keeps_its_version_after_a_restart(two):
    mine, other = two
    assert mine.resolve("p", "text", run_id="r").version_no == 1
    mine.use("p", mine.add("p", "other"))
    again = other.resolve("p", "text", run_id="r")
    assert (again.version_no, again.content, again.source) == (1, "text", "db")


def test_a_switch_by_the_same_store_is_seen_too(store):
    store.resolve("p", "text")
    store.use("p", store.add("p", "other"))
    assert store.resolve("p", "text").content == "other"


def test_the_wrong_inode_is_noticed(tmp_path, migrated_sqlite):
    file = tmp_path / "w.db"
    store = SqlPromptStore(Database(str(file)))
    store.resolve("p", "text")
    os.replace(file, tmp_path / "moved.db")
    file.write_bytes(migrated_sqlite.read_bytes())
    assert store.resolve("p", "text").source == "stale"
    store.close()
    store.database.close()


def test_unreachable_from_the_start_gives_the_default_and_one_warning(caplog):
    store = SqlPromptStore(Database("postgresql://me:secret@127.0.0.1:1/x"))
    answers = [store.resolve("p", "text", run_id=run) for run in (None, None, "r", "r")]
    assert {(each.version_no, each.content, each.source) for each in answers} == {(None, "text", "default")}
    (warning,) = caplog.records
    assert "cannot be reached" in warning.getMessage()
    assert "secret" not in warning.getMessage()
    with pytest.raises(StoreError, match="cannot be reached"):
        store.add("p", "other")


def test_a_read_error_never_writes_version_1(tmp_path):
    file = tmp_path / "w.db"
    file.write_bytes(b"no database " * 100)
    store = SqlPromptStore(Database(str(file)))
    assert store.resolve("p", "text").source == "default"
    assert file.read_bytes() == b"no database " * 100


@pytest.mark.xdist_group("postgresql")
def test_the_database_goes_away_and_comes_back(caplog, monkeypatch):
    monkeypatch.setattr("windlass.store.prompt_reader.RETRY_AFTER", 0.0)
    try:
        manager = running_server()
        server = manager.__enter__()
    except LookupError as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
    try:
        database = Database(server.url())
        store = SqlPromptStore(database)
        store.resolve("p", "text")
        store.use("p", store.add("p", "other"))
        assert store.resolve("p", "text", run_id="r").content == "other"
        server.stop()
        for _ in range(3):
            stale = store.resolve("p", "text")
            assert (stale.version_no, stale.content, stale.source) == (2, "other", "stale")
            assert store.resolve("p", "text", run_id="r").source == "cache"  # pinned: cannot have changed
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        with pytest.raises(StoreError, match="cannot be reached"):
            store.use("p", 1)
        server.start()
        back = store.resolve("p", "text")
        assert (back.version_no, back.source) == (2, "cache")  # asked, and nothing had changed
        assert [version.version_no for version in store.versions("p")] == [1, 2]
        store.close()
        database.close()
    finally:
        manager.__exit__(None, None, None)


def test_keeping_more_versions_is_a_setting(database):
    store = SqlPromptStore(database, keep_versions=6)
    store.ensure("p", "text")
    for number in range(8):
        store.add("p", f"text {number}")
    assert [version.version_no for version in store.versions("p")] == [1, 5, 6, 7, 8, 9]


def test_gc_removes_only_what_nothing_refers_to_and_numbers_go_on(store):
    store.ensure("p", "text")
    for number in range(2, 8):
        store.add("p", f"text {number}")
    store.record_usage(PromptUsage("r", "s", "s/m", "p", 2, "text 2", "rendered", "db"))
    assert [v.version_no for v in store.versions("p", retired=True) if v.archived_at] == [2, 3, 4]
    assert store.gc() == (2, 2)
    assert store.gc() == (0, 0)
    assert [version.version_no for version in store.versions("p", retired=True)] == [1, 2, 5, 6, 7]
    with pytest.raises(NotFound, match="Version 3 of prompt 'p' is retired"):
        store.get("p", 3)
    assert store.usages("r")[0].rendered == "rendered"
    assert store.add("p", "text 8") == 8


def test_a_text_no_column_takes_is_kept_readable(store):
    store.ensure("p", "text")
    store.record_usage(PromptUsage("r", "s", "s/m", "p", 1, "text", "a\0b \ud800", "db"))
    assert store.usages("r")[0].rendered == "a\u2400b ?"


def test_a_usage_of_a_default_that_was_never_stored(store):
    store.record_usage(PromptUsage("r", "s", "s/m", "unknown", None, "text", "text", "default"))
    assert (store.usages("r")[0].version_no, store.usages("r")[0].provenance) == (None, "default")


def test_prompts_import_neither_alembic_nor_orm_when_the_package_is_all_that_is_used():
    code = "import sys, windlass.prompt; print([m for m in sys.modules if m.startswith(('sqlalchemy', 'alembic', 'windlass.store', 'gepa'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_missing_effective_version_is_reported_not_repaired_behind_ones_back(tmp_path, migrated_sqlite):
    file = tmp_path / "w.db"
    file.write_bytes(migrated_sqlite.read_bytes())
    store = SqlPromptStore(Database(str(file)))
    store.ensure("p", "text")
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE prompt_versions SET is_current_effective = 0")
    raw.close()
    with pytest.raises(StoreError, match="has no version in effect"):
        store.effective("p")
    assert store.resolve("p", "text").source == "default"
    store.close()
    store.database.close()


@pytest.fixture
def repository(database):
    return PromptVersionRepository(database)


def test_the_repositorys_names(repository):
    first = repository.create_version("p", "text 1")
    assert isinstance(first, PromptVersionModel)
    assert (first.prompt_name, first.version_no, first.prompt_content, first.is_current_effective) == (
        "p",
        1,
        "text 1",
        True,
    )
    second = repository.create_version("p", "text 2", note="why", author="me")
    assert (second.version_no, second.is_current_effective, second.note) == (2, False, "why")
    assert repository.create_version("p", "text 3", is_current_effective=True).is_current_effective
    assert repository.get_version("p", 2).id == second.id
    assert repository.get_current_effective_version("p").version_no == 3
    assert repository.get_latest_created_version("p").version_no == 3
    assert first.updated_at >= first.created_at
    assert [row.version_no for row in repository.list(prompt_name="p")] == [1, 2, 3]
    for nothing in (repository.get_current_effective_version, repository.get_latest_created_version):
        assert nothing("q") is None


def test_deleting_retires(repository):
    for number in range(1, 4):
        repository.create_version("p", f"text {number}")
    assert repository.delete_oldest_version("p") == 2  # 1 is in effect
    assert repository.delete_oldest_version("p") is None  # 3 is the newest
    with pytest.raises(InputError, match="in effect or in a running experiment"):
        repository.delete_version("p", 1)
    repository.delete_version("p", 3)
    for gone in (2, 3):
        with pytest.raises(NotFound, match=r"retired \(live: 1\)"):
            repository.get_version("p", gone)
        with pytest.raises(NotFound):
            repository.delete_version("p", gone)
    assert repository.create_version("p", "text 4").version_no == 4
    with pytest.raises(NotFound, match="no prompt 'q'"):
        repository.delete_oldest_version("q")


def test_the_base_names_keep_the_rules(repository):
    row = repository.create(prompt_name="p", prompt_content="text")
    assert repository.update(row.id, note="why").note == "why"
    for change in ({"prompt_content": "other"}, {"version_no": 9}, {"is_current_effective": False}):
        with pytest.raises(InputError, match="never changes"):
            repository.update(row.id, **change)
    with pytest.raises(InputError, match="in effect"):
        repository.delete(row.id)
    with pytest.raises(TemplateError, match="cannot be empty"):
        repository.create(prompt_name="p", prompt_content="")


def test_a_repository_will_do_where_the_mixin_wants_a_store(repository):
    class Step(PromptVersioningMixin):
        prompt_name = "greeting"
        default_prompt = "Hello {{who}}"

    step = Step()
    step.repository = repository
    assert step.get_current_effective_prompt() == "Hello {{who}}"
    step.set_current_effective_version(step.add_version("Hi {{who}}"))
    assert (
        repository.get_current_effective_version("greeting").prompt_content
        == step.current_prompt
        == "Hi {{who}}"
    )
    repository.prompt_store.close()
