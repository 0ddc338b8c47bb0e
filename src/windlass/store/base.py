"""The database: one engine, opened on first use and brought up to date by itself; base model and repository.

Rules for everything that uses it: reads go through :meth:`Database.reading`, writes through
:meth:`Database.writing` (one transaction each, all or nothing); both turn the driver's errors into
StoreError, StoreBusy or StoreTooNew.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from sqlalchemy import Connection, DateTime, Dialect, Engine, MetaData, String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, Session, mapped_column
from sqlalchemy.types import TypeDecorator

from windlass.errors import NotFound, StoreError
from windlass.ids import generate_id
from windlass.store import connect, migrate

if TYPE_CHECKING:
    from windlass.store.migrate import Upgrade

BUSY_TIMEOUT = 30.0


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware going in, aware UTC coming out, on databases with and without time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time, which would mean another moment on another machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; use datetime.now(UTC).")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give every time back in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def utc_now() -> datetime:
    """This moment, aware, in UTC."""
    return datetime.now(UTC)


class Base(MappedAsDataclass, DeclarativeBase, kw_only=True):
    """Root of all tables. Constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class BaseModel(Base, kw_only=True):
    """A row with an ``id`` (time-sortable text unless given) and the times it was made and last changed."""

    __abstract__ = True

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default_factory=generate_id, kw_only=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime(), default_factory=utc_now, kw_only=True)
    updated_at: Mapped[datetime] = mapped_column(
        UtcDateTime(), default_factory=utc_now, onupdate=utc_now, kw_only=True
    )


class Database:
    """One database, by URL: ``sqlite:///FILE``, ``sqlite://`` (memory) or ``postgresql://…``.

    ``url`` None means ``windlass.db`` in the user's data folder; a URL without a scheme is a file name.
    Making one does no I/O. The first use creates the file (readable by its owner only) and runs the
    migrations, once, however many processes start together. ``busy_timeout`` is how long to wait for
    another writer, in seconds. Safe to share between threads.
    """

    def __init__(self, url: str | None = None, *, busy_timeout: float = BUSY_TIMEOUT) -> None:
        self.url = connect.parse_url(url)
        self.busy_timeout = busy_timeout
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._file_id: tuple[int, int] | None = None
        #: What there is one of for this object, by its class; it lives as long as the object does.
        self.parts: dict[type[Any], Any] = {}

    def __repr__(self) -> str:
        return f"Database({self.label})"

    @property
    def label(self) -> str:
        """The URL without its password and as people write it, for messages."""
        return connect.label_of(self.url)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite; else it is PostgreSQL."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def file(self) -> Path | None:
        """The SQLite file; None in memory and on PostgreSQL."""
        return connect.sqlite_file(self.url)

    @property
    def engine(self) -> Engine:
        """The engine, with the schema up to date. StoreError when the database cannot be used."""
        if self._engine is None:
            with self._lock:
                if self._engine is None:
                    self._engine = self._open()
        return self._engine

    def _open(self) -> Engine:
        with connect.store_errors(self.url):
            engine = connect.make_engine(self.url, self.busy_timeout)
            try:
                migrate.bring_up_to_date(engine, self.file, self.busy_timeout)
                self._file_id = connect.file_id(self.file)
            except BaseException:
                engine.dispose()
                raise
            return engine

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns what the driver raises inside into StoreError, StoreBusy or StoreTooNew."""
        with connect.store_errors(self.url):
            yield

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database; nothing done with it is kept."""
        engine = self.engine
        with self.errors():
            self.check_in_place()
            with engine.connect() as connection:
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is kept when the block ends and dropped when it raises.

        On SQLite it holds the write lock from its start, so what was read in it stays true.
        """
        engine = self.engine
        with self.errors():
            self.check_in_place()
            with engine.connect() as connection:
                connection = connection.execution_options(**connect.WRITE)
                with connection.begin():
                    yield connection

    @contextmanager
    def session(self) -> Iterator[Session]:
        """:meth:`writing` with an ORM session; its objects stay readable afterwards."""
        with self.writing() as connection, Session(connection, expire_on_commit=False) as session:
            yield session
            session.flush()

    def check_in_place(self) -> None:
        """StoreError when the SQLite file was removed or replaced since it was opened.

        SQLite itself would go on writing to the removed file, and everything would be lost.
        """
        if self._file_id is not None and connect.file_id(self.file) != self._file_id:
            raise StoreError(
                f"The database file {self.file} was removed or replaced while in use: put it back, or start again."
            )

    def upgrade(self) -> Upgrade:
        """Run the migrations now; gives the revision (before, after), before being None for a new one."""
        self.close()
        with connect.store_errors(self.url):
            engine = connect.make_engine(self.url, self.busy_timeout)
            try:
                return migrate.bring_up_to_date(engine, self.file, self.busy_timeout)
            finally:
                engine.dispose()

    def current_revision(self) -> str | None:
        """The schema's revision as it is, changing nothing; None for a database that is not there yet."""
        if self.file is not None and not self.file.exists():
            return None
        with connect.store_errors(self.url):
            engine = self._engine or connect.make_engine(self.url, self.busy_timeout)
            try:
                with engine.connect() as connection:
                    return migrate.read_revision(connection)
            finally:
                if engine is not self._engine:
                    engine.dispose()

    def check(self) -> list[str]:
        """What is wrong with the database, one sentence each; empty when all is well. Changes nothing."""
        try:
            revision = self.current_revision()
            if revision is None:
                return []
            problems = []
            if revision != migrate.head():
                migrate.refuse_unknown(revision)
                problems.append(
                    f"The schema is at {revision}, this version uses {migrate.head()}: run 'windlass db upgrade'."
                )
            with connect.store_errors(self.url):
                engine = self._engine or connect.make_engine(self.url, self.busy_timeout)
                try:
                    with engine.connect() as connection:
                        problems += connect.health(connection, self.file)
                finally:
                    if engine is not self._engine:
                        engine.dispose()
            return problems
        except StoreError as error:
            return [str(error)]

    def close(self) -> None:
        """Give up all connections; the next use opens them again."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()


Model = TypeVar("Model", bound=BaseModel)


class BaseRepository(Generic[Model]):
    """Create, get, list, update and delete rows of one model. Subclasses set ``model``.

    The objects given out are detached: changing them changes nothing until :meth:`update`.
    """

    model: ClassVar[type[Any]]

    def __init__(self, database: Database) -> None:
        self.database = database

    def create(self, **values: Any) -> Model:
        """Store a new row. StoreError when a constraint refuses it."""
        with self.database.session() as session:
            row: Model = self.model(**values)
            session.add(row)
        return row

    def get(self, id: str) -> Model:
        """The row. NotFound when there is none."""
        with self.database.session() as session:
            return self._row(session, id)

    def list(self, *, limit: int | None = None, **equal: Any) -> Sequence[Model]:
        """Rows whose columns equal the values given, oldest first."""
        query = (
            select(self.model).filter_by(**equal).order_by(self.model.created_at, self.model.id).limit(limit)
        )
        with self.database.reading() as connection, Session(connection, expire_on_commit=False) as session:
            return list(session.scalars(query))

    def update(self, id: str, **changes: Any) -> Model:
        """Change columns of a row. NotFound when there is none, TypeError for an unknown column."""
        if unknown := [name for name in changes if name not in self.model.__mapper__.column_attrs]:
            raise TypeError(f"{self.model.__name__} has no column {', '.join(unknown)}.")
        with self.database.session() as session:
            row = self._row(session, id)
            for name, value in changes.items():
                setattr(row, name, value)
        return row

    def delete(self, id: str) -> None:
        """Remove a row. NotFound when there is none, StoreError when other rows need it."""
        with self.database.session() as session:
            session.delete(self._row(session, id))

    def _row(self, session: Session, id: str) -> Model:
        row: Model | None = session.get(self.model, id)
        if row is None:
            raise NotFound(f"There is no {self.model.__tablename__} row with id {id!r}.")
        return row
