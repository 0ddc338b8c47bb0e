"""Runs one launcher to its end: bounded output, every limit watched, and nothing left alive behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from windlass.errors import SandboxError
from windlass.sandbox import watch
from windlass.sandbox.base import Limits

_INTERVAL = 0.1  # seconds between two looks at memory and processes
_GRACE = 5.0  # seconds for the launcher to end its tree before we do


@dataclass(frozen=True)
class Ending:
    """How it ended: ``exit_code`` (negative: a signal), bounded ``output``, ``seconds``, why we stopped it."""

    exit_code: int
    output: str
    seconds: float
    stopped: str | None


class BoundedOutput:
    """Keeps the first and the last half of what it is fed and counts what it drops between them."""

    def __init__(self, limit: int) -> None:
        self._half = max(limit // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def feed(self, data: bytes) -> None:
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room > 0 else data
        excess = len(self._tail) - self._half
        if excess > 0:
            del self._tail[:excess]
            self._dropped += excess

    def text(self) -> str:
        head, tail = (part.decode("utf-8", "replace") for part in (bytes(self._head), bytes(self._tail)))
        if not self._dropped:
            return (bytes(self._head) + bytes(self._tail)).decode("utf-8", "replace")
        return f"{head}\n[... {self._dropped} bytes of output cut out here ...]\n{tail}"


def launch_spec(
    argv: Sequence[str],
    limits: Limits,
    status_fd: int,
    *,
    supervise: bool,
    identity: tuple[int, int] | None = None,
    search: bool = False,
    home: str | None = None,
    seccomp: str = "",
    landlock: Mapping[str, object] | None = None,
) -> str:
    """What ``launcher.py`` is told, in the words of its docstring."""
    return json.dumps(
        {
            "argv": list(argv),
            "status_fd": status_fd,
            "limits": {
                "cpu": limits.cpu_seconds,
                "address": limits.memory_bytes,
                "file": limits.file_bytes,
                "processes": limits.processes,
                "open_files": 1024,
            },
            "identity": identity,
            "search": search,
            "home": home,
            "filter": seccomp,
            "landlock": landlock,
            "supervise": supervise,
        }
    )


async def run_to_end(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    folder: Path,
    scratch: Sequence[Path],
    limits: Limits,
    status: tuple[int, int],
    pass_fds: Sequence[int] = (),
    lifeline: bool = False,
    level: str,
) -> Ending:
    """Run the launcher command ``argv`` until it ends, passes a limit or the caller is cancelled.

    ``status`` is the pipe the launcher reports through; its writing end is closed here. With ``lifeline``
    the launcher holds its tree itself and ends it when standard input closes; without, the command's tree
    dies with the namespace whose first process is ``argv``'s child. ``pass_fds`` are given on and closed.
    Raises SandboxError when the command was never started.
    """
    read_status, write_status = status
    given = (*pass_fds, write_status)
    free_at_start = watch.free(folder)
    started = time.monotonic()
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE if lifeline else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(env),
            cwd=folder,
            pass_fds=given,
            start_new_session=True,
        )
    except OSError as error:
        raise SandboxError(f"The {level} sandbox could not start: {error}.") from error
    finally:
        for number in given:
            os.close(number)
    output = BoundedOutput(limits.output_bytes)
    pump = asyncio.create_task(_pump(process, output))
    ended = asyncio.create_task(process.wait())
    watcher = asyncio.create_task(
        _watch(watch.Watch(process.pid, (folder, *scratch), limits, free_at_start), started)
    )
    stopped: str | None = None
    try:
        done, _ = await asyncio.wait({ended, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if ended not in done:
            stopped = watcher.result()
    finally:
        watcher.cancel()
        # The kill itself must not wait for anything: a second cancellation could end the waiting.
        _start_end(process, lifeline)
        await asyncio.shield(asyncio.ensure_future(_finish_end(process, ended, pump)))
    seconds = time.monotonic() - started
    said = _read_all(read_status)
    if not said.startswith("ready") and stopped is None:
        reason = said.removeprefix("error ").strip() or output.text().strip()[-500:] or "it gave no reason"
        raise SandboxError(f"The {level} sandbox could not start: {reason}.")
    if stopped is None and watch.Watch(0, (folder, *scratch), limits, free_at_start).disk_excess():
        stopped = "disk"
    return Ending(_exit_code(process.returncode, said, stopped), output.text(), seconds, stopped)


async def _pump(process: asyncio.subprocess.Process, output: BoundedOutput) -> None:
    assert process.stdout is not None
    while data := await process.stdout.read(65536):
        output.feed(data)


async def _watch(observed: watch.Watch, started: float) -> str:
    """The word for the first limit that is passed."""
    while True:
        left = started + observed.limits.wall_seconds - time.monotonic()
        if left <= 0:
            return "timeout"
        began = time.monotonic()
        await asyncio.sleep(min(_INTERVAL, left))
        looking = time.monotonic()
        excess = await asyncio.to_thread(observed.excess)
        if excess:
            return excess
        # A big folder takes long to add up: never spend more than a fifth of the time looking.
        pause = 4 * (time.monotonic() - looking) - (looking - began)
        if pause > 0:
            await asyncio.sleep(
                max(0.0, min(pause, started + observed.limits.wall_seconds - time.monotonic()))
            )


def _start_end(process: asyncio.subprocess.Process, lifeline: bool) -> None:
    if lifeline:
        if process.stdin is not None:
            process.stdin.close()
        return
    # The child of bubblewrap is the first process of the namespace: with it the kernel ends all others, and
    # bubblewrap itself ends only when they are gone.
    for pid in watch.descendants(process.pid)[:1]:
        _kill(pid)


async def _finish_end(
    process: asyncio.subprocess.Process, ended: asyncio.Task[int], pump: asyncio.Task[None]
) -> None:
    await asyncio.wait({ended}, timeout=_GRACE)
    if not ended.done():
        for pid in [*watch.descendants(process.pid), process.pid]:
            _kill(pid)
        await ended
    # Every writer is dead, so the pipe ends; the timeout is for a process stuck in the kernel.
    await asyncio.wait({pump}, timeout=_GRACE)
    pump.cancel()


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _read_all(descriptor: int) -> str:
    os.set_blocking(descriptor, False)
    try:
        return os.read(descriptor, 65536).decode("utf-8", "replace")
    except BlockingIOError:
        return ""
    finally:
        os.close(descriptor)


def _exit_code(code: int | None, said: str, stopped: str | None) -> int:
    if stopped is not None:
        return -signal.SIGKILL
    for line in said.splitlines():
        word, _, number = line.partition(" ")
        if word in ("exit", "signal"):
            return int(number) if word == "exit" else -int(number)
    # bubblewrap reports a signal the way shells do.
    code = code if code is not None else -signal.SIGKILL
    return 128 - code if code > 128 else code
