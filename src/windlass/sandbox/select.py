"""Which sandbox works here: tried for real, once in a process, never guessed and never skipped in silence."""

from __future__ import annotations

import asyncio
import functools
import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from windlass.errors import ConfigError, SandboxError
from windlass.sandbox.base import Limits, Sandbox

#: From the strongest on; ``off`` is not in this list because nothing falls back to it.
LEVELS = ("bubblewrap", "landlock")

_LIMITS = Limits(wall_seconds=20, cpu_seconds=10, file_bytes=1024**2, total_bytes=16 * 1024**2, processes=16)

#: Runs inside: tries to read and write next to the folder, and to reach a server of ours.
_TRIAL = """
import json, pathlib, socket, sys
outside, port = pathlib.Path(sys.argv[1]), int(sys.argv[2])
done = []
try:
    done.append("read " + outside.joinpath("secret").read_text())
except OSError:
    pass
try:
    outside.joinpath("written").write_text("x")
except OSError:
    pass
try:
    socket.create_connection(("127.0.0.1", port), 2).close()
    done.append("connected")
except OSError:
    pass
pathlib.Path("tried").write_text(json.dumps(done))
"""


@dataclass(frozen=True)
class ProbeResult:
    """Whether one level works here. ``why`` is a sentence; ``version`` names what was found, if anything."""

    level: str
    works: bool
    why: str
    version: str | None


def select_sandbox(setting: str = "auto") -> Sandbox:
    """The sandbox for a setting: ``auto`` (the strongest that works), or a level by name.

    ``off`` only by name. A level that does not work here, or none for ``auto``, is a SandboxError that gives
    the reasons; an unknown word is a ConfigError. The first call tries the levels out (about 0.3 s) and must
    not be made from a coroutine's hot path.
    """
    if setting == "off":
        return _make("off")
    if setting != "auto" and setting not in LEVELS:
        raise ConfigError(f"There is no sandbox {setting!r}: use auto, {', '.join(LEVELS)} or off.")
    reasons = []
    for level in LEVELS if setting == "auto" else (setting,):
        result = _probe(level)
        if result.works:
            return _make(level)
        reasons.append(f"{level}: {result.why}")
    raise SandboxError(
        f"Model-written code cannot be run safely here ({' '.join(reasons)}) Repair one of these, or write "
        'sandbox = "off" to run it without protection.'
    )


def probe() -> list[ProbeResult]:
    """Every level, strongest first, tried out on this machine; the result is kept for the process."""
    return [_probe(level) for level in LEVELS]


def forget_probes() -> None:
    """Try again at the next call, after the machine has changed."""
    _probe.cache_clear()


def _make(level: str) -> Sandbox:
    if level == "bubblewrap":
        from windlass.sandbox.bubblewrap import Bubblewrap

        return Bubblewrap()
    if level == "landlock":
        from windlass.sandbox.landlock import Landlock

        return Landlock()
    from windlass.sandbox.off import Off

    return Off()


@functools.cache
def _probe(level: str) -> ProbeResult:
    if sys.platform != "linux":
        return ProbeResult(level, False, f"it needs Linux, and this is {sys.platform}.", None)
    version = _VERSIONS[level]()
    if version is None:
        return ProbeResult(level, False, _MISSING[level], None)
    try:
        escaped = _in_own_loop(lambda: _try(_make(level)))
    except SandboxError as error:
        return ProbeResult(level, False, str(error), version)
    if escaped:
        return ProbeResult(level, False, f"it started but did not confine: {', '.join(escaped)}.", version)
    return ProbeResult(level, True, "reading and writing outside and the network were refused.", version)


_MISSING = {
    "bubblewrap": "there is no bwrap program: install the package bubblewrap.",
    "landlock": "the kernel has no Landlock, or it is switched off.",
}


def _bubblewrap_version() -> str | None:
    program = shutil.which("bwrap")
    if program is None:
        return None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
    return said.stdout.strip() or "bubblewrap"


def _landlock_version() -> str | None:
    from windlass.sandbox.landlock import abi_version

    return f"Landlock ABI {abi}" if (abi := abi_version()) else None


_VERSIONS = {"bubblewrap": _bubblewrap_version, "landlock": _landlock_version}


async def _try(sandbox: Sandbox) -> list[str]:
    """What the trial could do that it must not; SandboxError when it could not run at all."""
    with (
        tempfile.TemporaryDirectory(prefix="windlass-probe-") as name,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        outside, folder = Path(name) / "outside", Path(name) / "folder"
        outside.mkdir()
        folder.mkdir()
        (outside / "secret").write_text("secret")
        for open_to_all in (Path(name), outside):
            open_to_all.chmod(0o777)  # only the sandbox may refuse, not the mode
        argv = [sys.executable, "-I", "-S", "-c", _TRIAL, str(outside), str(server.getsockname()[1])]
        result = await sandbox.run(argv, folder=folder, limits=_LIMITS, read_back=["tried"])
        if result.exit_code != 0 or "tried" not in result.files:
            raise SandboxError(f"it could not run Python: {result.output.strip()[-300:] or result.stopped}.")
        done = [str(item) for item in json.loads(result.files["tried"])]
        if (outside / "written").exists():
            done.append("wrote outside")
    return done


def _in_own_loop(work: Callable[[], Coroutine[None, None, list[str]]]) -> list[str]:
    """Run a coroutine to its end from any thread, also from one whose event loop is running."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()
