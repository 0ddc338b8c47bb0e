import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.postgres import PostgresServer, postgres_server, postgres_url  # noqa: F401
from windlass.prompt import MemoryPromptStore, PromptStore
from windlass.store.base import Database
from windlass.store.prompts import SqlPromptStore

postgresql = pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))


def _migrate(url: str) -> str:
    database = Database(url)
    database.upgrade()
    database.close()
    return url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy: quicker than migrating for every test."""
    file = tmp_path_factory.mktemp("migrated") / "windlass.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def migrated_postgresql(postgres_server: PostgresServer) -> str:  # noqa: F811
    """The name of a migrated database to copy."""
    return urlsplit(_migrate(postgres_server.url())).path.strip("/")


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Makes a migrated database of a kind and gives its URL."""
    numbers = count()

    def make(kind: str) -> str:
        if kind == "sqlite":
            file = tmp_path / f"windlass{next(numbers)}.db"
            shutil.copy(request.getfixturevalue("migrated_sqlite"), file)
            return f"sqlite:///{file}"
        template = request.getfixturevalue("migrated_postgresql")
        server: PostgresServer = request.getfixturevalue("postgres_server")
        return server.url(template)

    return make


@pytest.fixture(params=["sqlite", postgresql])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind that nobody used yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/windlass.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(params=["sqlite", postgresql])
def url(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> str:
    """A migrated database of each kind."""
    return new_url(request.param)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> Iterator[SqlPromptStore]:
    store = SqlPromptStore(database)
    yield store
    store.close()


@pytest.fixture(params=["memory", "sqlite", postgresql])
def any_store(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> Iterator[PromptStore]:
    """Every kind of prompt store, empty."""
    if request.param == "memory":
        yield MemoryPromptStore()
        return
    database = Database(new_url(request.param))
    store = SqlPromptStore(database)
    yield store
    store.close()
    database.close()
