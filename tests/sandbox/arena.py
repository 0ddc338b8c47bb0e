"""Where hostile commands are let loose: a folder to run in, things around it to attack, and a user to be."""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import windlass

ORDINARY = 54321  # a user id nobody has
KEY = "sk-windlass-test-key-that-must-not-be-seen"
LIMITS: Mapping[str, float] = {
    "wall_seconds": 30,
    "cpu_seconds": 20,
    "memory_bytes": 512 * 1024**2,
    "file_bytes": 4 * 1024**2,
    "total_bytes": 24 * 1024**2,
    "processes": 40,
    "output_bytes": 64 * 1024,
}


@dataclass
class Outcome:
    """What the driver printed; ``files`` decoded, ``crowd`` the most processes seen at once."""

    exit_code: int = 0
    output: str = ""
    stopped: str | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    peak_bytes: int = 0
    refused: str | None = None
    crowd: int = 0

    def said(self) -> dict[str, object]:
        return json.loads(self.files["said"])  # type: ignore[no-any-return]


def processes(token: str) -> list[int]:
    """Living processes that carry the token in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if token.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


class Arena:
    """One test's surroundings, readable and writable by everyone so that only the sandbox can refuse."""

    def __init__(self, root: Path, level: str, user: str) -> None:
        self.root, self.level, self.user = root, level, user
        self.token = f"windlass-{uuid.uuid4().hex}"
        self.folder, self.home, self.outside = root / "copy", root / "home", root / "outside"
        self.drop = user == "ordinary" and os.geteuid() == 0
        root.chmod(0o755)
        for path in (self.folder, self.home, self.outside):
            path.mkdir()
            path.chmod(0o777)
        self.secret = self.outside / "secret"
        self.secret.write_text(self.token)
        self.secret.chmod(0o666)
        if self.drop:
            for path in (self.folder, self.home, self.outside, self.secret):
                os.chown(path, ORDINARY, ORDINARY)
        self.packages = _copied_package(root)

    def start(
        self, code: str, *args: str, read_back: Sequence[str] = ("said",), **more: object
    ) -> subprocess.Popen[str]:
        limits = {**LIMITS, **{name: more.pop(name) for name in list(more) if name in LIMITS}}
        order = {
            "level": self.level,
            "code": code,
            "args": [self.token, *args],
            "folder": str(self.folder),
            "limits": limits,
            "env": {"GIVEN": "yes"},
            "read_back": list(read_back),
            **more,
        }
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "OPENAI_API_KEY": KEY,
            "PYTHONPATH": str(self.packages),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        driver = self.packages / "drive.py"
        return subprocess.Popen(
            [*(_as_ordinary() if self.drop else ()), sys.executable, str(driver), json.dumps(order)],
            env=environment,
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str, *args: str, count: bool = False, **more: object) -> Outcome:
        """Run hostile ``code`` to its end. It finds the token in ``sys.argv[1]`` and leaves ``said`` behind."""
        driver = self.start(code, *args, **more)  # type: ignore[arg-type]
        crowd = 0
        over = threading.Event()

        def watch() -> None:
            nonlocal crowd
            while not over.wait(0.05):
                crowd = max(crowd, len(processes(self.token)))

        watcher = threading.Thread(target=watch)
        if count:
            watcher.start()
        try:
            out, err = driver.communicate(timeout=90)
        finally:
            over.set()
            driver.kill()
            if count:
                watcher.join()
        assert driver.returncode == 0, err
        data = json.loads(out)
        if "refused" in data or "cancelled" in data:
            return Outcome(
                refused=data.get("refused"), stopped="cancelled" if data.get("cancelled") else None
            )
        files = {name: base64.b64decode(text) for name, text in data["files"].items()}
        return Outcome(
            data["exit_code"], data["output"], data["stopped"], files, data["peak_bytes"], crowd=crowd
        )

    def nobody_left(self, patience: float = 10.0) -> bool:
        """No process of the attack lives; waits only where the caller was not told that it ended."""
        end = time.monotonic() + patience
        while processes(self.token):
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    @contextmanager
    def bystander(self) -> Iterator[subprocess.Popen[bytes]]:
        """A process of the same user that an attack may try to see or to end."""
        as_user = {"user": ORDINARY, "group": ORDINARY, "extra_groups": []} if self.drop else {}
        process = subprocess.Popen(
            ["/bin/sleep", "300"],
            env={"BYSTANDER": KEY},
            start_new_session=True,
            **as_user,  # type: ignore[call-overload]
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def close(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)


def _copied_package(root: Path) -> Path:
    """The parts of the package that a driver needs, so that the checkout itself is never shown."""
    packages, source = root / "packages", Path(windlass.__file__).parent
    shutil.copytree(source / "sandbox", packages / "windlass" / "sandbox")
    for name in ("__init__.py", "errors.py"):
        shutil.copy(source / name, packages / "windlass" / name)
    shutil.copy(Path(__file__).with_name("drive.py"), packages)
    return packages


def _as_ordinary() -> list[str]:
    """Root's way to be an ordinary user who has this very Python.

    Root's own home, where Python may be installed, is closed to others: in a mount namespace of its own an
    open folder that holds nothing but the interpreter stands in its place.
    """
    needed = {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    closed = {
        next(parent for parent in reversed(path.parents) if not parent.stat().st_mode & 0o001)
        for path in needed
        if not all(parent.stat().st_mode & 0o001 for parent in path.parents)
    }
    lines = ["set -e", "stage=$(mktemp -d)", "mount -t tmpfs -o mode=755 tmpfs $stage"]
    for number, path in enumerate(sorted(needed)):
        lines += [f"mkdir $stage/{number}", f"mount --bind {shlex.quote(str(path))} $stage/{number}"]
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(path))}" for path in sorted(closed)]
    for number, path in enumerate(sorted(needed)):
        if any(path.is_relative_to(place) for place in closed):
            lines += [
                f"mkdir -p {shlex.quote(str(path))}",
                f"mount --bind $stage/{number} {shlex.quote(str(path))}",
            ]
    lines.append(f'exec setpriv --reuid {ORDINARY} --regid {ORDINARY} --clear-groups "$@"')
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(lines), "sh"]
