"""Connections: URLs, how SQLite and PostgreSQL are opened, and what their errors mean to a person."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy import exc as sa_exc

from windlass.errors import ConfigError, StoreBusy, StoreError
from windlass.extras import missing_extra

#: Execution options of a connection that is going to write.
WRITE: dict[str, Any] = {"windlass_write": True}

_CONNECT_TIMEOUT = 10  # seconds; a database that is away must not stop a run for minutes

#: libpq's settings that notice a network that was cut, within about 25 s: nothing heard for 10 s, then three questions
#: 5 s apart; or something sent that nobody acknowledged for 20 s. Without them it takes minutes to hours.
_KEEPALIVE: dict[str, int] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds
}


def parse_url(url: str | None) -> URL:
    """The URL as SQLAlchemy sees it. ConfigError for one that cannot be used, without its password."""
    if url is None:
        from platformdirs import user_data_path

        return URL.create("sqlite", database=str(user_data_path("windlass") / "windlass.db"))
    if "://" not in url:
        return URL.create("sqlite", database=_absolute(url))
    try:
        parsed = make_url(url)
    except (sa_exc.ArgumentError, ValueError):
        # The text itself is not repeated: it may hold a password.
        raise ConfigError(
            "The database URL cannot be read; write sqlite:///FILE or postgresql://HOST/NAME."
        ) from None
    match parsed.drivername:
        case "sqlite" | "sqlite+pysqlite":
            if parsed.host or parsed.query:
                raise ConfigError("The database URL needs three slashes before a file name: sqlite:///FILE.")
            database = parsed.database
            in_memory = database in (None, "", ":memory:")
            return parsed.set(drivername="sqlite", database=None if in_memory else _absolute(str(database)))
        case "postgres" | "postgresql" | "postgresql+psycopg":
            return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError(f"Windlass knows sqlite and postgresql databases, not {parsed.drivername!r}.")


def _absolute(file: str) -> str:
    # A later change of directory must not open another file.
    return str(Path(file).expanduser().absolute())


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite URL; None in memory and for another database."""
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    return Path(str(url.database))


def file_id(file: Path | None) -> tuple[int, int] | None:
    """Device and inode of the file, which no other file has while it is open; None without one."""
    if file is None:
        return None
    try:
        found = file.stat()
    except FileNotFoundError:
        return (0, 0)
    return found.st_dev, found.st_ino


def postgres_settings(url: URL) -> dict[str, int]:
    """How long to wait for a server and how soon a cut connection is noticed; what the URL itself says is left out."""
    ours = {"connect_timeout": _CONNECT_TIMEOUT, **_KEEPALIVE}
    return {name: value for name, value in ours.items() if name not in url.query}


def make_engine(url: URL, busy_timeout: float) -> Engine:
    """An engine that has not connected yet."""
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, busy_timeout)
    try:
        return create_engine(
            url,
            pool_pre_ping=True,
            connect_args={
                **postgres_settings(url),
                "options": f"-c lock_timeout={int(busy_timeout * 1000)} -c timezone=UTC",
                "application_name": "windlass",
            },
        )
    except ImportError:
        raise missing_extra("PostgreSQL", "postgres") from None


def _sqlite_engine(url: URL, busy_timeout: float) -> Engine:
    # In memory every connection would be a database of its own: there is one, used in turn.
    options: dict[str, Any] = {} if sqlite_file(url) else {"pool_size": 1, "max_overflow": 0}
    engine = create_engine(
        url,
        poolclass=QueuePool,
        connect_args={"check_same_thread": False, "timeout": busy_timeout},
        **options,
    )

    @event.listens_for(engine, "connect")
    def prepare(dbapi_connection: Any, _record: object) -> None:
        # The driver would begin transactions by itself, late and without the write lock.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("windlass_write", False)
        # A deferred transaction that reads and then writes fails at once when another wrote in between.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def health(connection: Connection, file: Path | None) -> list[str]:
    """What a doctor should say about an open database; empty when all is well."""
    if connection.dialect.name != "sqlite":
        return []
    problems = []
    found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if found != "ok":
        problems.append(f"The database file {file} is damaged ({found}): restore it from a backup.")
    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
    if file is not None and mode != "wal":
        problems.append(
            f"The database file {file} is in {mode} mode: run 'windlass db upgrade' to set WAL again."
        )
    if file is not None and file.stat().st_mode & 0o077:
        problems.append(f"Others on this machine can read {file}: run 'chmod 600 {file}'.")
    return problems


@contextmanager
def store_errors(url: URL) -> Iterator[None]:
    """Turns SQLAlchemy's and the driver's errors into one sentence that holds no password."""
    try:
        yield
    except sa_exc.TimeoutError:
        raise StoreBusy(f"All connections to {_label(url)} stayed in use: try again.") from None
    except sa_exc.DBAPIError as error:
        raise _explain(url, error) from error
    except sa_exc.SQLAlchemyError as error:
        raise StoreError(f"The database {_label(url)} cannot be used: {_first_line(url, error)}.") from error
    except OSError as error:
        if error.filename is None:
            raise
        raise StoreError(
            f"The database {_label(url)} cannot be used: {error.filename}: {error.strerror}."
        ) from error


_SQLITE = {
    "locked": "busy",
    "busy": "busy",
    "readonly": "is read-only: give its file and folder write permission",
    "unable to open": "cannot be opened: check that its folder exists and can be written to",
    "not a database": "is no SQLite database: choose another file",
    "malformed": "is damaged: restore it from a backup",
    "disk is full": "could not be written: the disk is full",
    "disk I/O error": "could not be read or written (disk I/O error)",
}


def _explain(url: URL, raised: sa_exc.DBAPIError) -> StoreError:
    said = _first_line(url, raised.orig or raised)
    label = _label(url)
    if isinstance(raised, sa_exc.IntegrityError):
        return StoreError(f"The database {label} refused the change: {said}.")
    if url.get_backend_name() == "sqlite":
        for sign, meaning in _SQLITE.items():
            if sign in said:
                if meaning == "busy":
                    return StoreBusy(
                        f"Another process kept the database {label} locked for too long: try again."
                    )
                error = StoreError(f"The database {label} {meaning}.")
                error.may_pass = sign.startswith("disk")
                return error
    # https://www.postgresql.org/docs/current/errcodes-appendix.html
    code = getattr(raised.orig, "sqlstate", None)
    if code in ("55P03", "40P01", "40001", "53300"):
        return StoreBusy(f"The database {label} is busy ({said}): try again.")
    if code == "25006":
        return StoreError(f"The database {label} is read-only.")
    if code == "53100":
        error = StoreError(f"The database {label} could not be written: its server's disk is full.")
        error.may_pass = True
        return error
    if (code is None and isinstance(raised, sa_exc.OperationalError)) or raised.connection_invalidated:
        error = StoreError(f"The database {label} cannot be reached: {said}.")
        error.may_pass = True
        return error
    return StoreError(f"The database {label} cannot be used: {said}.")


def label_of(url: URL) -> str:
    """The URL without its password, and without the driver that nobody wrote."""
    return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)


def _label(url: URL) -> str:
    file = sqlite_file(url)
    return str(file) if file is not None else label_of(url)


def _first_line(url: URL, error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    said = lines[0].strip().rstrip(".") if lines else type(error).__name__
    return said.replace(str(url.password), "***") if url.password else said


def create_file(file: Path) -> None:
    """Create the file and the folders it needs, for its owner only; leave alone what exists."""
    missing = [folder for folder in (file.parent, *file.parent.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
