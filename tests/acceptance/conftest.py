"""A command line with a home and a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.cli import Cli, Steps
from windlass.testing.server import OpenAIServer


@pytest.fixture
def model() -> Steps:
    """The model's answers by step; tests put theirs into ``given``."""
    return Steps()


@pytest.fixture
def server(model: Steps) -> Iterator[OpenAIServer]:
    """The local server that gives them."""
    with OpenAIServer(model) as running:
        yield running


@pytest.fixture
def cli(windlass_home: Path, tmp_path: Path, server: OpenAIServer) -> Cli:
    """``windlass``, with the local server as its model."""
    return Cli(windlass_home, tmp_path, server.base_url)
