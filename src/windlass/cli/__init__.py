"""The ``windlass`` command. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn


def main() -> None:
    """The entry point of the console script."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from windlass import __version__

        try:
            print(f"windlass {__version__}", flush=True)
        except OSError:
            # Nobody reads it, or there is no room for it.
            os._exit(1)
        return
    # While this loads there is nobody yet who would turn Ctrl-C into an exit code.
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, _leave)
    from windlass.cli.output import replace_unknown
    from windlass.cli.root import run

    replace_unknown()
    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    finally:
        if ours:
            signal.signal(signal.SIGINT, _leave)


def _leave(*_: Any) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, RuntimeError, ValueError):
            # Closed, or interrupted in the middle of the same.
            continue
    os._exit(130)
