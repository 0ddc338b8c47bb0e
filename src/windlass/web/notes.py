"""Notes between the servers of one PostgreSQL database: "run X has events up to number N", and nothing more.

PostgreSQL's NOTIFY carries at most 8,000 bytes, and an event can be larger, so a note only says what to read. Notes that
get lost cost nothing but time: every server also looks at the database once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import psycopg
from psycopg import sql

from windlass.store.base import Database
from windlass.store.connect import postgres_settings
from windlass.web.feed import Feed

CHANNEL = "windlass_events"
#: Notes are gathered for this long (seconds): NOTIFY takes a lock that all committing transactions share.
GATHER = 0.02
#: Seconds until a lost connection is tried again.
RETRY = 2.0


class Notes:
    """Sends and hears notes while it is open."""

    def __init__(self, database: Database, feed: Feed) -> None:
        self._url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._settings: dict[str, Any] = dict(postgres_settings(database.url))
        self._feed = feed
        self._waiting: dict[str, int] = {}
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._me = 0

    def send(self, run_id: str, last: int) -> None:
        """Tell the other servers."""
        self._waiting[run_id] = last
        self._news.set()

    async def open(self) -> None:
        """Begin."""
        self._tasks = [
            asyncio.create_task(self._again(self._listen)),
            asyncio.create_task(self._again(self._tell)),
        ]

    async def close(self) -> None:
        """Stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _again(self, work: Any) -> None:
        while True:
            # The server is away: until it is back, nothing can be told or heard.
            with contextlib.suppress(psycopg.Error, OSError):
                await work()
            await asyncio.sleep(RETRY)

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, application_name="windlass notes", **self._settings
        )

    async def _listen(self) -> None:
        async with await self._connect() as connection:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
            async for note in connection.notifies():
                if note.pid != self._me:
                    self._heard(note.payload)

    def _heard(self, payload: str) -> None:
        try:
            found = json.loads(payload)
            pairs = [(str(run_id), int(last)) for run_id, last in found.items()]
        except (ValueError, AttributeError, TypeError):
            # Not ours: anybody who may connect to the database can send anything here.
            return
        for run_id, last in pairs:
            self._feed.heard(run_id, last)

    async def _tell(self) -> None:
        async with await self._connect() as connection:
            self._me = connection.info.backend_pid
            while True:
                await self._news.wait()
                await asyncio.sleep(GATHER)
                self._news.clear()
                waiting, self._waiting = self._waiting, {}
                rows = list(waiting.items())
                for start in range(0, len(rows), 50):
                    payload = json.dumps(dict(rows[start : start + 50]))
                    await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
