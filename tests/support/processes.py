"""Several real processes that start their work at the same moment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def together(code: str, arguments: Sequence[str]) -> Iterator[list[str]]:
    """Run a Python script once per argument, side by side; gives what each printed.

    The script prints ``ready`` once its imports are done and waits for a line on stdin.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, argument],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for argument in arguments
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise AssertionError(process.communicate()[1])
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = []
        for process in processes:
            output, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors
            outputs.append(output)
        yield outputs
    finally:
        for process in processes:
            process.kill()
            process.communicate()
