"""A private PostgreSQL server for tests: real, on a unix socket, gone with the test process.

Import the fixtures where they are needed: ``from tests.support.postgres import postgres_server, postgres_url``.
One server per test process, started by the first test that wants it; each ``postgres_url`` is a new database.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest


def _binaries() -> Path | None:
    """The folder with initdb and postgres, newest version first."""
    found = [Path(initdb).resolve().parent for initdb in [shutil.which("initdb")] if initdb]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    return next(
        (folder for folder in found if (folder / "initdb").exists() and (folder / "postgres").exists()), None
    )


def _user() -> dict[str, int]:
    """PostgreSQL refuses to run as root: the arguments that make a child run as somebody else then."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid}
    raise RuntimeError("root cannot run PostgreSQL, and there is no user postgres or nobody")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@dataclass
class PostgresServer:
    """A server in a folder of its own; ``url()`` makes a database in it."""

    folder: Path
    binaries: Path
    user: dict[str, int]
    _numbers: Iterator[int] = field(default_factory=count)
    _process: subprocess.Popen[bytes] | None = None

    def url(self, template: str = "template1") -> str:
        """The URL of a new database, empty or a copy of another that nobody is connected to."""
        name = f"test{next(self._numbers)}"
        self.execute("postgres", f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def execute(self, database: str, statement: str) -> None:
        """Run a statement as superuser, outside a transaction."""
        with psycopg.connect(
            f"postgresql://postgres@/{database}?host={self.folder}", autocommit=True
        ) as connection:
            connection.execute(statement.encode())

    def initialise(self) -> None:
        """Make the data folder."""
        arguments = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"]
        subprocess.run(
            [self.binaries / "initdb", "-D", self.folder / "data", *arguments],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self.user,
        )

    def start(self) -> None:
        """Start, and wait until it answers."""
        settings = ("listen_addresses=", "fsync=off", "max_connections=200")
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self.binaries / "postgres",
                    *("-D", self.folder / "data", "-k", self.folder),
                    *(part for setting in settings for part in ("-c", setting)),
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                preexec_fn=_die_with_parent,
                **self.user,
            )
        for _ in range(600):
            if self._process.poll() is not None:
                raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-500:]}")
            with contextlib.suppress(psycopg.OperationalError):
                self.execute("postgres", "SELECT 1")
                return
            time.sleep(0.1)
        raise RuntimeError("PostgreSQL did not start within a minute")

    def stop(self) -> None:
        """Stop at once, as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(timeout=60)
            self._process = None


@contextlib.contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Start a server and stop it at the end. LookupError where PostgreSQL is not installed."""
    binaries = _binaries()
    if binaries is None:
        raise LookupError("PostgreSQL's server (initdb, postgres) is not installed")
    # Short, because the path of a unix socket may have 107 bytes only.
    folder = Path(tempfile.mkdtemp(prefix="wpg"))
    user = _user()
    if user:
        os.chown(folder, user["user"], user["group"])
    server = PostgresServer(folder, binaries, user)
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The test process's own server; skips where PostgreSQL is not installed, fails there in CI."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(running_server())
        except LookupError as missing:
            if os.environ.get("CI") == "true":
                pytest.fail(str(missing))
            pytest.skip(str(missing))
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """The URL of a new, empty database."""
    return postgres_server.url()
