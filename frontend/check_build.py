"""Proves that the committed page is what the sources give: builds it anew and compares, byte by byte.

    python frontend/check_build.py

Needs ``npm ci`` in this folder. Ends with 1 and names the files that differ.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMMITTED = HERE.parent / "src" / "windlass" / "web" / "static"


def build(target: Path, node: str = "node") -> None:
    """Build the page into a folder. Raises CalledProcessError with the tool's own words."""
    command = [
        node,
        str(HERE / "node_modules" / "vite" / "bin" / "vite.js"),
        "build",
        "--outDir",
        str(target),
        "--emptyOutDir",
        "--logLevel",
        "warn",
    ]
    subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True)


def differences(built: Path, committed: Path = COMMITTED) -> list[str]:
    """Files that are not the same in both folders, or only in one."""
    old, new = _contents(committed), _contents(built)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def main() -> int:
    """Compare, and say what differs."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch, "static")
        build(target)
        found = differences(target)
    for name in found:
        print(f"differs: src/windlass/web/static/{name}")  # noqa: T201
    if found:
        print("Build the page anew (make frontend) and commit src/windlass/web/static.")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
