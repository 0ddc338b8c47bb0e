"""The ``windlass`` command. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys


def main() -> None:
    """The entry point of the console script."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from windlass import __version__

        print(f"windlass {__version__}")
        return
    from windlass.cli.root import run

    run()
