"""Brings the schema up to date: quickly when it is, once when many processes start together.

The migrations are the files of ``migrations/versions``, in order of their names; a file's name is its
revision. Alembic is imported only when one has to run, because command start-up waits for this.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text

from windlass.errors import StoreBusy, StoreTooNew
from windlass.store import connect

_FOLDER = Path(__file__).parent / "migrations"
#: Advisory lock of PostgreSQL that migrating processes hold: "windlass" in ASCII.
_LOCK_KEY = int.from_bytes(b"windlass"[:7], "big")


class Upgrade(NamedTuple):
    """Revision before (None: the database was new) and after."""

    before: str | None
    after: str


@cache
def revisions() -> tuple[str, ...]:
    """All revisions this code knows, oldest first."""
    return tuple(sorted(file.stem for file in (_FOLDER / "versions").glob("m[0-9]*.py")))


def head() -> str:
    """The revision this code works with."""
    return revisions()[-1]


def read_revision(connection: Connection) -> str | None:
    """The revision of the schema; None when nothing was migrated yet."""
    if connection.dialect.name == "sqlite":
        there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
    else:
        there = "SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL"
    if connection.execute(text(there)).scalar() is None:
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def refuse_unknown(revision: str | None) -> None:
    """StoreTooNew for a revision that this code does not know."""
    if revision is not None and revision not in revisions():
        raise StoreTooNew(
            f"The database was written by a newer Windlass (schema {revision}, this one knows {head()}): "
            "update Windlass, or use another database."
        )


def bring_up_to_date(engine: Engine, file: Path | None, busy_timeout: float) -> Upgrade:
    """Run the migrations that are missing; all or none of them are kept."""
    if file is None or (file.exists() and file.stat().st_size):
        with engine.connect() as connection:
            before = read_revision(connection)
        refuse_unknown(before)
        if before == head():
            return Upgrade(before, before)
    if file is not None:
        connect.create_file(file)
    with _alone(file, busy_timeout):
        if file is not None:
            _set_wal(engine)
        with engine.connect() as connection:
            connection = connection.execution_options(**connect.WRITE)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
                before = read_revision(connection)
                refuse_unknown(before)
                if before != head():
                    _run(connection)
    return Upgrade(before, head())


def _set_wal(engine: Engine) -> None:
    # Outside a transaction, where SQLite allows it; waiting for others is _alone()'s work, because
    # SQLite does not wait here.
    raw = engine.raw_connection()
    try:
        raw.cursor().execute("PRAGMA journal_mode=WAL")
    finally:
        raw.close()


@contextmanager
def _alone(file: Path | None, busy_timeout: float) -> Iterator[None]:
    """One process at a time: a lock on the SQLite file's folder, gone when its holder is."""
    if file is None:
        yield
        return
    handle = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + busy_timeout
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreBusy(
                        f"Another process kept the database {file} locked for too long: try again."
                    )
                time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def _run(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
