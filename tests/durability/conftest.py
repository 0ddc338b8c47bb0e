"""The fork server and a measured scenario, once for each test process that needs them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bench.support.kills import Bench, prepared

from tests.durability.scenarios import SLOW_WORK, SLUG_WORK
from windlass.testing.forks import Forks


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Starts commands within milliseconds."""
    with Forks() as running:
        yield running


@pytest.fixture(scope="session")
def bench(forks: Forks) -> Iterator[Bench]:
    """The small work, and what it comes to when nobody kills it."""
    with prepared(SLUG_WORK, forks) as ready:
        yield ready


@pytest.fixture(scope="session")
def slow(forks: Forks) -> Iterator[Bench]:
    """The same work with one slow reply."""
    with prepared(SLOW_WORK, forks) as ready:
        yield ready
