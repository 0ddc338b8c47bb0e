"""The strongest level: bubblewrap with an allow-list of mounts and every namespace of its own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from windlass.errors import SandboxError
from windlass.sandbox import seccomp, view
from windlass.sandbox.base import ExecResult, Limits
from windlass.sandbox.process import launch_spec, run_to_end

_LAUNCHER = "/run/windlass/launcher.py"
_HOME = "/tmp/home"  # noqa: S108 - inside the sandbox, on a tmpfs of its own


class Bubblewrap:
    """Runs commands under ``bwrap``: no network, no other processes, no files but system, Python and the copy.

    ``readable`` names further folders that commands may read (another interpreter, for example).
    """

    level = "bubblewrap"

    def __init__(self, readable: Iterable[Path] = ()) -> None:
        self._readable = tuple(readable)

    async def run(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        limits: Limits | None = None,
        env: Mapping[str, str] | None = None,
        read_back: Sequence[str] = (),
    ) -> ExecResult:
        """See :class:`~windlass.sandbox.base.Sandbox`. An exit code above 128 is reported as a signal."""
        limits = limits or Limits()
        program = shutil.which("bwrap")
        if program is None:
            raise SandboxError("There is no bwrap program here: install the package bubblewrap.")
        folder = view.usable_folder(folder)
        # Root sets the mounts up as root and then stops being root: the kernel counts processes for every
        # user but uid 0, whatever number a user namespace shows for it.
        user = view.throwaway_user() if view.may_mount() else None
        if user:
            await asyncio.to_thread(view.give_to, folder, *user)
        status = os.pipe2(os.O_CLOEXEC)
        with contextlib.ExitStack() as undo:
            undo.callback(_close, *status)
            data = _etc(user)
            undo.callback(_close, *data.values())
            interpreter = view.interpreter_paths(self._readable)
            search = bool(user) and not view.readable_by_all((real for real, _ in interpreter), parents=False)
            arguments = [program, *_namespaces(user, search), *_mounts(interpreter, folder, limits, data)]
            spec = launch_spec(
                argv,
                limits,
                status[1],
                supervise=False,
                identity=user,
                search=search,
                home=_HOME,
                seccomp=base64.b64encode(seccomp.program(seccomp.NAMESPACED)).decode(),
            )
            undo.pop_all()
        ending = await run_to_end(
            [*arguments, "--", sys.executable, "-I", "-S", _LAUNCHER, spec],
            env=view.environment(_HOME, "/tmp", env),  # noqa: S108
            folder=folder,
            scratch=(),
            limits=limits,
            status=status,
            pass_fds=tuple(data.values()),
            level=self.level,
        )
        files = await asyncio.to_thread(view.read_files, folder, read_back, limits.file_bytes)
        return ExecResult(ending.exit_code, ending.output, ending.seconds, self.level, ending.stopped, files)


def _mounts(
    interpreter: Sequence[tuple[Path, Path]], folder: Path, limits: Limits, data: Mapping[str, int]
) -> list[str]:
    room = str(max(limits.file_bytes, 1024**2))
    mounts: list[str] = ["--proc", "/proc", "--dev", "/dev"]
    for place in ("/tmp", "/dev/shm"):  # noqa: S108
        mounts += ["--perms", "1777", "--size", room, "--tmpfs", place]
    binds: list[str] = []
    for path in map(Path, (*view.SYSTEM, *view.ETC)):
        if path.is_symlink() and path.parent == Path("/"):
            mounts += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            binds += ["--ro-bind", str(path.resolve()), str(path)]
    for real, name in interpreter:
        binds += ["--ro-bind", str(real), str(name)]
    # bubblewrap makes missing parents for its own user alone; the command runs as another.
    parents = {parent for name in (*(name for _, name in interpreter), folder) for parent in name.parents}
    for parent in sorted(parents - {Path("/"), Path("/tmp"), Path("/dev")}):  # noqa: S108
        mounts += ["--perms", "0755", "--dir", str(parent)]
    mounts += ["--perms", "0755", "--dir", "/etc", "--perms", "0755", "--dir", "/run/windlass", *binds]
    for file, descriptor in data.items():
        mounts += ["--perms", "0444", "--ro-bind-data", str(descriptor), f"/etc/{file}"]
    mounts += ["--ro-bind", str(view.LAUNCHER), _LAUNCHER, "--bind", str(folder), str(folder)]
    # bubblewrap's own root and /dev are writable tmpfs without a size.
    return [*mounts, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(folder)]


def _namespaces(user: tuple[int, int] | None, search: bool) -> list[str]:
    common = ["--die-with-parent", "--new-session", "--hostname", "sandbox"]
    if user:
        separate = [
            "--unshare-ipc",
            "--unshare-pid",
            "--unshare-net",
            "--unshare-uts",
            "--unshare-cgroup-try",
        ]
        wanted = ["CAP_SETUID", "CAP_SETGID", *(["CAP_DAC_READ_SEARCH"] if search else [])]
        return [*common, *separate, *(word for name in wanted for word in ("--cap-add", name))]
    # --unshare-user by name: as uid 0 in a container, --unshare-all alone goes on without one.
    return [*common, "--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000"]


def _etc(user: tuple[int, int] | None) -> dict[str, int]:
    """Descriptors of the few files below ``/etc`` that programs expect, with nothing of this machine in them."""
    uid, gid = user or (1000, 1000)
    texts = {
        "passwd": f"root:x:0:0::/root:/bin/sh\nuser:x:{uid}:{gid}::{_HOME}:/bin/sh\n",
        "group": f"root:x:0:\nuser:x:{gid}:\n",
        "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    }
    descriptors: dict[str, int] = {}
    for name, text in texts.items():
        descriptor = os.memfd_create(name)
        os.write(descriptor, text.encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        descriptors[name] = descriptor
    return descriptors


def _close(*descriptors: int) -> None:
    for number in descriptors:
        os.close(number)
