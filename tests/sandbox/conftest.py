from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .arena import Arena

LEVELS = ("bubblewrap", "landlock", "landlock-abi4")
USERS = ("root", "ordinary") if os.geteuid() == 0 else ("ordinary",)


def lacking(level: str) -> str | None:
    """Why this level cannot be tried on this machine."""
    if level == "bubblewrap":
        return None if shutil.which("bwrap") else "bubblewrap is not installed"
    if level.startswith("landlock"):
        from windlass.sandbox.landlock import OLDEST_ABI, abi_version

        return None if abi_version() >= OLDEST_ABI else "the kernel has no Landlock"
    return None


def need(level: str) -> None:
    reason = lacking(level)
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"{reason}: continuous integration must try every level")
    if reason:
        pytest.skip(reason)


def _arena(level: str, user: str) -> Iterator[Arena]:
    need(level)
    arena = Arena(Path(tempfile.mkdtemp(prefix="windlass-test-")).resolve(), level, user)
    yield arena
    arena.close()


@pytest.fixture(params=[f"{level}/{user}" for level in LEVELS for user in USERS])
def arena(request: pytest.FixtureRequest) -> Iterator[Arena]:
    """Every level, as every user that can be had here."""
    yield from _arena(*request.param.split("/"))


@pytest.fixture
def open_arena() -> Iterator[Arena]:
    """No sandbox: shows that the attacks are real."""
    yield from _arena("off", "ordinary")
