from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workspace.places import LocalPlace, ObjectPlace, Place, moto_server
from windlass.workspace.handles import has_openat2


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    with moto_server() as endpoint:
        yield endpoint


@pytest.fixture(params=["openat2", "walk"])
def resolver(request: pytest.FixtureRequest) -> str:
    if request.param == "openat2" and not has_openat2():
        if os.environ.get("CI") == "true":
            pytest.fail("this kernel has no openat2")
        pytest.skip("this kernel has no openat2")
    return str(request.param)


@pytest.fixture
def local(tmp_path: Path, resolver: str) -> LocalPlace:
    (tmp_path / "root").mkdir()
    return LocalPlace(tmp_path / "root", resolver)


@pytest.fixture(params=["openat2", "walk", "object_store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "object_store":
        return ObjectPlace(request.getfixturevalue("s3_endpoint"), f"test-{uuid.uuid4().hex}")
    if request.param == "openat2" and not has_openat2():
        if os.environ.get("CI") == "true":
            pytest.fail("this kernel has no openat2")
        pytest.skip("this kernel has no openat2")
    (tmp_path / "root").mkdir()
    return LocalPlace(tmp_path / "root", request.param)
