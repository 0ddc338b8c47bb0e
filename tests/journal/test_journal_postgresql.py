"""A PostgreSQL server that goes away: what was kept is recognised, what was not is written again, once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from tests.journal.journals import entry, run
from tests.support.postgres import PostgresServer, running_server
from windlass.errors import StoreError
from windlass.events import Event
from windlass.journal import EntryState
from windlass.store.base import Database
from windlass.store.journal import SqlJournal

pytestmark = pytest.mark.xdist_group("postgresql")


class Wire:
    """Stands between client and server and cuts the connection around a COMMIT when it is told to."""

    def __init__(self, server: Path) -> None:
        self.server = server / ".s.PGSQL.5432"
        #: "before" = the server never sees the COMMIT; "after" = the client never sees that it was done.
        self.cut: str | None = None
        self.cuts = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._ends: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.append(writer)
        try:
            from_server, to_server = await asyncio.open_unix_connection(self.server)
        except OSError:
            writer.close()
            return
        self._ends.append(to_server)
        cut_reply = asyncio.Event()

        async def up() -> None:
            while data := await reader.read(65536):
                if b"COMMIT" in data and self.cut is not None:
                    how, self.cut = self.cut, None
                    self.cuts += 1
                    if how == "before":
                        break
                    cut_reply.set()
                to_server.write(data)
            if not cut_reply.is_set():
                to_server.close()
                writer.close()

        async def down() -> None:
            while data := await from_server.read(65536):
                if cut_reply.is_set():
                    break
                writer.write(data)
            writer.close()
            to_server.close()

        self._tasks += [asyncio.create_task(up()), asyncio.create_task(down())]

    async def close(self) -> None:
        """End every connection."""
        for end in self._ends:
            end.close()
        await asyncio.gather(*self._tasks, *(end.wait_closed() for end in self._ends), return_exceptions=True)


@asynccontextmanager
async def wired(url: str) -> AsyncIterator[tuple[str, Wire]]:
    parts = urlsplit(url)
    wire = Wire(Path(parse_qs(parts.query)["host"][0]))
    with tempfile.TemporaryDirectory(prefix="wire") as folder:
        server = await asyncio.start_unix_server(wire.serve, Path(folder) / ".s.PGSQL.5432")
        yield f"postgresql://postgres@{parts.path}?host={folder}", wire
        server.close()
        await wire.close()


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_connection_cut_around_a_commit_loses_and_doubles_nothing(
    cut: str, new_url: Callable[[str], str]
) -> None:
    async with wired(new_url("postgresql")) as (url, wire):
        database = Database(url)
        journal = SqlJournal(database)
        await journal.create_run(run())
        lease = await journal.acquire("run-0001", "me")
        for number in range(1, 6):
            wire.cut = cut
            await asyncio.gather(
                journal.claim(lease, entry(f"a[{number}]", result="x" * 5000)),
                # Neither of these could be done twice: the number would be taken, the epoch be another.
                journal.append_events(lease, [Event("notice", "run-0001", {}, number)]),
            )
        assert wire.cuts == 5
        wire.cut = cut
        assert (await journal.acquire("run-0001", "me")).epoch == 2
        assert [e.path for e in await journal.entries("run-0001")] == [f"a[{n}]" for n in range(1, 6)]
        assert [e.seq for e in await journal.events("run-0001")] == [1, 2, 3, 4, 5]
        await journal.close()
        database.close()


async def test_connections_ended_by_the_server_are_made_again(new_url: Callable[[str], str]) -> None:
    url = new_url("postgresql")
    database = Database(url)
    journal = SqlJournal(database)
    await journal.create_run(run())
    lease = await journal.acquire("run-0001", "me")
    stop = asyncio.Event()

    async def end_connections() -> int:
        ended = 0
        admin = await psycopg.AsyncConnection.connect(url, autocommit=True)
        while not stop.is_set():
            found = await admin.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            ended += (await found.fetchone() or (0,))[0]
            await asyncio.sleep(0.1)
        await admin.close()
        return ended

    ending = asyncio.create_task(end_connections())
    for number in range(10):
        await asyncio.gather(*(journal.claim(lease, entry(f"a[{number}.{n}]")) for n in range(5)))
    stop.set()
    assert await ending > 0
    assert len(await journal.entries("run-0001")) == 50
    await journal.close()
    database.close()


def pg_ctl(server: PostgresServer, *arguments: str) -> None:
    found = subprocess.run(
        ["pg_config", "--bindir"], capture_output=True, text=True, check=False
    ).stdout.strip()
    folders = [Path(found)] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    program = next(folder / "pg_ctl" for folder in reversed(folders) if (folder / "pg_ctl").exists())
    user = pwd.getpwnam("postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
    switch = {"user": user.pw_uid, "group": user.pw_gid} if os.geteuid() == 0 else {}
    subprocess.run(
        [program, "-D", server.folder / "data", "-w", *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=server.folder,
        **switch,
    )


async def test_a_server_that_crashes_and_comes_back_is_waited_for() -> None:
    try:
        context = running_server()
        server = context.__enter__()
    except LookupError as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    try:
        database = Database(server.url())
        journal = SqlJournal(database)
        await journal.create_run(run())
        lease = await journal.acquire("run-0001", "me")
        await journal.claim(lease, entry("before"))
        await asyncio.to_thread(pg_ctl, server, "-m", "immediate", "stop")
        writing = [asyncio.ensure_future(journal.claim(lease, entry(f"down[{n}]"))) for n in range(5)]
        done, _ = await asyncio.wait(writing, timeout=0.5)
        assert not done
        with pytest.raises(StoreError, match="cannot be reached"):
            await journal.entries("run-0001")
        options = f"-k {server.folder} -c listen_addresses="
        await asyncio.to_thread(pg_ctl, server, "-o", options, "-l", str(server.folder / "log2"), "start")
        await asyncio.gather(*writing)
        await journal.settle(lease, entry("before", state=EntryState.DONE))
        found = {e.path: e.state for e in await journal.entries("run-0001")}
        assert found == {"before": EntryState.DONE} | {f"down[{n}]": EntryState.CLAIMED for n in range(5)}
        await journal.close()
        database.close()
        await asyncio.to_thread(pg_ctl, server, "-m", "immediate", "stop")
    finally:
        with contextlib.suppress(ProcessLookupError):
            context.__exit__(None, None, None)


async def test_a_server_that_stays_away_is_a_clear_error(new_url: Callable[[str], str]) -> None:
    async with wired(new_url("postgresql")) as (url, wire):
        database = Database(url)
        journal = SqlJournal(database, reconnect_seconds=0.3)
        await journal.create_run(run())
        lease = await journal.acquire("run-0001", "me")
        wire.server = wire.server.with_name("gone")
        wire.cut = "before"
        with pytest.raises(StoreError, match="cannot be reached"):
            await journal.claim(lease, entry())
        await journal.close()
        database.close()
