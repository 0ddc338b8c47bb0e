"""``windlass``, killed (SIGKILL) by its own hand as it puts a workspace file in place.

::

    python -m tests.support.killed_writing 2 run coding "…" --yes

dies at the second of them: one file is in place, the next one is not. Only the system call is wrapped; everything of ours
is as installed.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import Any

_OURS = re.compile(r"\.windlass-[0-9a-f]{16}\.tmp")


def main() -> None:
    """Run the command line; the first argument counts the files, the others are those of ``windlass``."""
    left = int(sys.argv.pop(1))
    rename = os.rename

    def counting(source: Any, target: Any, **where: Any) -> None:
        nonlocal left
        if _OURS.fullmatch(str(source)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target, **where)

    os.rename = counting
    from windlass.cli.root import run

    run()


if __name__ == "__main__":
    main()
