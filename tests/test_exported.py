"""Every public name can be imported from the package, and importing the package itself loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import windlass


@pytest.mark.parametrize("name", sorted(set(windlass.__all__)))
def test_every_exported_name_is_there(name: str) -> None:
    assert getattr(windlass, name) is not None
    assert name in dir(windlass)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_like_it"):
        windlass.nothing_like_it  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, windlass; print(any(m in sys.modules for m in ('pydantic', 'sqlalchemy', 'rich', 'asyncio')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
