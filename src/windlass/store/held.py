"""A connection that one thread keeps between its transactions, for a thread that has many of them.

Taking a connection from the pool and giving it back costs as much as a small transaction on SQLite. On
PostgreSQL none is kept: only taking it anew finds out that the server was started again in the meantime.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine

from windlass.store.base import Database
from windlass.store.connect import WRITE


class Held:
    """Transactions of a database over one connection, opened on first use and given back by :meth:`close`.

    One that failed is given back at once, so what comes after has a new one. A database in memory has but one
    connection for everybody: it is never kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keeps = database.is_sqlite and database.file is not None
        self._engine: Engine | None = None
        self._connection: Connection | None = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """As :meth:`Database.reading`."""
        if not self._keeps:
            with self._database.reading() as connection:
                yield connection
            return
        with self._database.errors(), self._kept({}) as connection:
            yield connection
            connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """As :meth:`Database.writing`."""
        if not self._keeps:
            with self._database.writing() as connection:
                yield connection
            return
        with self._database.errors(), self._kept(WRITE) as connection, connection.begin():
            yield connection

    @contextmanager
    def _kept(self, options: dict[str, Any]) -> Iterator[Connection]:
        engine = self._database.engine
        self._database.check_in_place()
        if self._engine is not engine:
            self.close()
            self._engine = engine
        if self._connection is None:
            self._connection = engine.connect().execution_options(**options)
        try:
            yield self._connection
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
