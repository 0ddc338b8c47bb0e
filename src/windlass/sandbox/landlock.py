"""The second level: Landlock and a system-call filter, for machines where namespaces are not to be had."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ctypes
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from windlass.errors import SandboxError
from windlass.sandbox import seccomp, view
from windlass.sandbox.base import ExecResult, Limits
from windlass.sandbox.process import launch_spec, run_to_end

#: Before version 3 (Linux 6.2) a confined process could still cut any of its user's files to length 0.
OLDEST_ABI = 3
#: From version 6 (Linux 6.12) a confined process's signals stay inside.
_SIGNAL_SCOPE_ABI = 6
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_PROC = ("/proc/cpuinfo", "/proc/meminfo", "/proc/filesystems", "/proc/sys/kernel/random")


def abi_version() -> int:
    """The kernel's Landlock version; 0 where there is none or it is switched off."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    create_ruleset, version = 444, 1
    return max(
        0, int(libc.syscall(ctypes.c_long(create_ruleset), None, ctypes.c_size_t(0), ctypes.c_uint(version)))
    )


class Landlock:
    """Runs commands confined by Landlock: no files but system, Python and the copy; no sockets at all.

    Processes and namespaces are shared with the machine, so more is refused than under bubblewrap: even
    loopback connections and ``/dev/shm``, and for an ordinary user file modes and times never change.
    ``readable`` names further folders that commands may read; ``abi`` pretends an older kernel, for tests.
    """

    level = "landlock"

    def __init__(self, readable: Iterable[Path] = (), abi: int | None = None) -> None:
        self._readable = tuple(readable)
        self._abi = abi

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
        abi = abi_version() if self._abi is None else min(self._abi, abi_version())
        if abi < OLDEST_ABI:
            raise SandboxError(
                f"Landlock here has version {abi}, and {OLDEST_ABI} is needed: Linux 6.2 or newer with Landlock on."
            )
        if not seccomp.supported():
            raise SandboxError(
                "The Landlock sandbox needs a system-call filter, and has none for this processor."
            )
        folder = view.usable_folder(folder)
        user = view.throwaway_user()
        if os.geteuid() == 0 and user is None:
            raise SandboxError(
                "The Landlock sandbox cannot stop being root here: run Windlass as another user."
            )
        scratch = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="windlass-home-")).resolve()
        try:
            (scratch / "tmp").mkdir()
            if user:
                for owned in (folder, scratch):
                    await asyncio.to_thread(view.give_to, owned, *user)
            readable = [Path(path) for path in (*view.SYSTEM, *view.ETC, *_PROC)]
            readable += [path for pair in view.interpreter_paths(self._readable) for path in pair]
            rules = {
                "abi": abi,
                "read": [str(path) for path in readable],
                "write": [str(folder), str(scratch)],
                "device": list(_DEVICES),
            }
            policy = seccomp.shared(own_user=user is not None, signal_scope=abi >= _SIGNAL_SCOPE_ABI)
            status = os.pipe2(os.O_CLOEXEC)
            spec = launch_spec(
                argv,
                limits,
                status[1],
                supervise=True,
                identity=user,
                search=user is not None and not view.readable_by_all(readable, parents=True),
                seccomp=base64.b64encode(seccomp.program(policy)).decode(),
                landlock=rules,
            )
            ending = await run_to_end(
                [sys.executable, "-I", "-S", str(view.LAUNCHER), spec],
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
            # Synchronous on purpose: a cancelled run must not leave its scratch folder.
            with contextlib.suppress(OSError):
                view.remove(scratch)
        return ExecResult(ending.exit_code, ending.output, ending.seconds, self.level, ending.stopped, files)
