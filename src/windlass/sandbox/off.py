"""No sandbox: limits and a timeout only. Used where the user wrote ``sandbox = "off"``, never by falling back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from windlass.sandbox import view
from windlass.sandbox.base import ExecResult, Limits
from windlass.sandbox.process import launch_spec, run_to_end


class Off:
    """Runs commands as the current user with everything that user may do.

    They still get a clean environment, an empty HOME, the limits (the one on processes does not bind root)
    and an end: whatever they started is killed afterwards.
    """

    level = "off"

    async def run(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        limits: Limits | None = None,
        env: Mapping[str, str] | None = None,
        read_back: Sequence[str] = (),
    ) -> ExecResult:
        """See :class:`~windlass.sandbox.base.Sandbox`."""
        limits = limits or Limits()
        folder = view.usable_folder(folder)
        scratch = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="windlass-home-")).resolve()
        try:
            (scratch / "tmp").mkdir()
            status = os.pipe2(os.O_CLOEXEC)
            ending = await run_to_end(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(view.LAUNCHER),
                    launch_spec(argv, limits, status[1], supervise=True),
                ],
                env=view.environment(str(scratch), str(scratch / "tmp"), env),
                folder=folder,
                scratch=(scratch,),
                limits=limits,
                status=status,
                lifeline=True,
                level=self.level,
            )
            files = await asyncio.to_thread(view.read_files, folder, read_back, limits.file_bytes)
        finally:
            with contextlib.suppress(OSError):
                view.remove(scratch)
        return ExecResult(ending.exit_code, ending.output, ending.seconds, self.level, ending.stopped, files)
