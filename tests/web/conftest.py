"""A server a module, and one a test where it is stopped or changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.web.serving import OpenAIServer, Served, Talk, serving, settings_for


@pytest.fixture(scope="module")
def talk() -> Talk:
    """What the model says."""
    return Talk()


@pytest.fixture(scope="module")
def model(talk: Talk) -> Iterator[OpenAIServer]:
    """The model."""
    with OpenAIServer(talk) as running:
        yield running


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, model: OpenAIServer) -> Iterator[Served]:
    """A server that the tests of a module share."""
    home, root = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("root")
    with serving(settings_for(home, model.base_url), root) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """A program that knows the token."""
    with served.client() as one:
        yield one


@pytest.fixture
def own(tmp_path: Path, model: OpenAIServer) -> tuple[Path, Path, str]:
    """Home, root and model for a server of the test's own."""
    home, root = tmp_path / "home", tmp_path / "root"
    home.mkdir()
    root.mkdir()
    return home, root, model.base_url
