"""Imports point one way (.importlinter), and starting the command loads little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: What takes a second to import and must not be paid for by ``--help``.
HEAVY = (
    "sqlalchemy",
    "pydantic_ai",
    "pydantic",
    "openai",
    "alembic",
    "asyncio",
    "windlass.app",
    "windlass.store",
)


def test_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(lint), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (["--version"], (*HEAVY, "click", "rich")),
        (["--help"], HEAVY),
        (["run", "--help"], HEAVY),
        (["run", "coding", "--help"], HEAVY[:5]),
    ],
)
def test_what_a_help_page_loads(arguments: list[str], forbidden: tuple[str, ...]) -> None:
    code = (
        "import sys\nsys.argv = ['windlass', *sys.argv[1:]]\nfrom windlass.cli import main\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code, done.code\n"
        "print('LOADED', *sorted(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "windlass" in done.stdout
    loaded = done.stderr.rpartition("LOADED ")[2].split()
    assert [name for name in forbidden if name in loaded] == []


def test_nothing_of_tests_is_in_the_package() -> None:
    for file in (ROOT / "src" / "windlass").rglob("*.py"):
        lines = file.read_text().splitlines()
        wrong = [
            line
            for line in lines
            if line.startswith(("import tests", "from tests", "from bench", "import bench"))
        ]
        assert wrong == [], file
