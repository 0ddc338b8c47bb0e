"""How long until something is on the screen: the step tree on a terminal, ``--version``, ``--help``.

    python bench/screen.py [--times 7] [--json]

Medians in seconds, beside what Python itself takes to start. Targets: tree 0.4, ``--version`` 0.15, ``--help`` 0.3.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

WINDLASS = Path(sys.executable).with_name("windlass")
TARGETS = {"tree": 0.4, "--version": 0.15, "--help": 0.3}


def environment(home: str) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "HOME": home, "WINDLASS_HOME": home, "TERM": "xterm-256color"}


def until_tree(home: str) -> float:
    """Seconds from the start of ``windlass demo`` on a terminal to the last step of its tree."""
    began = time.monotonic()
    pid, screen = pty.fork()
    if pid == 0:
        os.chdir(home)
        os.execve(WINDLASS, [str(WINDLASS), "demo"], environment(home))
    shown = b""
    while b"Summary" not in shown:
        if not select.select([screen], [], [], 30)[0]:
            raise RuntimeError(f"no tree within 30 s: {shown!r}")
        shown += os.read(screen, 65536)
    took = time.monotonic() - began
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(screen)
    return took


def until_end(*command: str) -> Callable[[str], float]:
    """Seconds from start to end of a command."""

    def measure(home: str) -> float:
        began = time.monotonic()
        subprocess.run(command, env=environment(home), capture_output=True, check=True)
        return time.monotonic() - began

    return measure


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the time to the first picture.")
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    kinds = {
        "python -c pass": until_end(sys.executable, "-c", "pass"),
        "--version": until_end(str(WINDLASS), "--version"),
        "--help": until_end(str(WINDLASS), "--help"),
        "tree": until_tree,
    }
    medians = {}
    with tempfile.TemporaryDirectory() as home:
        for name, measure in kinds.items():
            measure(home)  # the first run compiles bytecode
            medians[name] = round(statistics.median(measure(home) for _ in range(given.times)), 3)
    if given.json:
        print(json.dumps(medians))
    else:
        for name, seconds in medians.items():
            target = TARGETS.get(name)
            print(f"{name:<16} {seconds:.3f} s" + (f"   (target {target} s)" if target else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
