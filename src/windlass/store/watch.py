"""Whether anybody wrote to the database since the last look, told without a query."""

from __future__ import annotations

import sqlite3
import threading
from urllib.parse import quote

from windlass.store.base import Database

#: A state of the database: which of our looks, and what SQLite said.
Moment = tuple[int, int]


class Watch:
    """Tells cheaply (some 10 µs) whether anybody wrote to a SQLite file since the last look."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened = 0

    def data_version(self) -> Moment | None:
        """A value that changes with every commit by anybody; None where that cannot be told."""
        file = self._database.file
        if file is None:
            return None
        self._database.check_in_place()
        try:
            with self._lock:
                if self._connection is None:
                    self._connection = sqlite3.connect(
                        f"file:{quote(str(file))}?mode=rw", uri=True, check_same_thread=False
                    )
                    # Each connection counts for itself: numbers of two cannot be compared.
                    self._opened += 1
                return self._opened, self._connection.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:
            # The ordinary read that follows says what is wrong.
            self.close()
            return None

    def close(self) -> None:
        """Close the connection; the next look opens one again."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
