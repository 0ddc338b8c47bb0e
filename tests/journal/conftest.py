import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.journal.journals import Clock
from tests.support.postgres import PostgresServer, postgres_server  # noqa: F401
from windlass.journal import Journal, MemoryJournal
from windlass.store.base import Database
from windlass.store.journal import SqlJournal

postgresql = pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy: quicker than migrating for every test."""
    file = tmp_path_factory.mktemp("migrated") / "windlass.db"
    database = Database(f"sqlite:///{file}")
    database.upgrade()
    database.close()
    return file


@pytest.fixture(scope="session")
def migrated_postgresql(postgres_server: PostgresServer) -> str:  # noqa: F811
    """The name of a migrated database to copy."""
    url = postgres_server.url()
    database = Database(url)
    database.upgrade()
    database.close()
    return urlsplit(url).path.strip("/")


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Makes a migrated database of a kind and gives its URL."""

    def new(kind: str) -> str:
        if kind == "postgresql":
            name = request.getfixturevalue("migrated_postgresql")
            return str(request.getfixturevalue("postgres_server").url(name))
        file = tmp_path / "windlass.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), file)
        return f"sqlite:///{file}"

    return new


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", postgresql])
def database(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> Iterator[Database]:
    """Each database, migrated and empty."""
    opened = Database(new_url(request.param))
    yield opened
    opened.close()


@pytest.fixture(params=["memory", "sqlite", postgresql])
async def journal(
    request: pytest.FixtureRequest, new_url: Callable[[str], str], clock: Clock
) -> AsyncIterator[Journal]:
    """Each journal, empty, on a clock that stands still."""
    if request.param == "memory":
        yield MemoryJournal(clock)
        return
    database = Database(new_url(request.param))
    opened = SqlJournal(database, clock=clock)
    yield opened
    await opened.close()
    database.close()
