"""The seam to where model-written code runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Limits:
    """What one command may use. Seconds, bytes and counts."""

    wall_seconds: float = 120.0
    cpu_seconds: int = 60
    memory_bytes: int = 2 * 1024**3
    file_bytes: int = 50 * 1024**2
    #: Everything the command may leave behind or hold in its folder, added up.
    total_bytes: int = 500 * 1024**2
    processes: int = 128
    output_bytes: int = 1024**2


@dataclass(frozen=True)
class ExecResult:
    """How a command ended. ``exit_code`` is negative for a signal; ``stopped`` says why we ended it.

    ``output`` holds standard output and error, interleaved, at most ``Limits.output_bytes`` (the
    middle is cut out and the cut is marked). ``level`` is the sandbox that really ran it.
    """

    exit_code: int
    output: str
    seconds: float
    level: str
    stopped: str | None = None  # "timeout" | "disk" | "memory" | "processes" | None
    files: Mapping[str, bytes] = field(default_factory=dict)  # asked-for files read back afterwards


class Sandbox(Protocol):
    """Runs commands without letting them reach anything but a copy of the workspace.

    ``level`` is one word for people and the record: ``bubblewrap``, ``landlock`` or ``off``.
    """

    level: str

    async def run(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        limits: Limits | None = None,
        env: Mapping[str, str] | None = None,
        read_back: Sequence[str] = (),
    ) -> ExecResult:
        """Run ``argv`` with ``folder`` (a throwaway copy) as its only writable place and current folder.

        ``env`` is added to a minimal clean environment. ``read_back`` names files under ``folder`` whose
        bytes are wanted afterwards (missing ones are left out; symlinks are not followed). Raises SandboxError when the sandbox
        itself cannot start; a failing command is a result, not an error.
        """
