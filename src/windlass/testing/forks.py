"""Many ``windlass`` commands from one process that has imported everything: each a real process, begun within milliseconds.

The server side reads JSON lines (arguments, environment, folder, files for the output), forks, and reports each process's
end. It has one thread and opens nothing, so that a fork is as good as a fresh start.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

#: What a run imports, so that no child has to.
_NEEDED = [
    "windlass.app",
    "windlass.runner",
    "windlass.cli.session",
    "windlass.cli.run",
    "windlass.cli.resume",
    "windlass.cli.runs",
    "windlass.store.journal",
    "windlass.store.prompts",
    "windlass.store.budget",
    "windlass.store.migrate",
    "windlass.workflows.coding",
    "windlass.llm.live",
    "windlass.llm.catalog",
    "windlass.llm.policy",
    "windlass.sandbox",
    "windlass.testing.killing",
    "rich.live",
    "rich.table",
    "pydantic_ai",
    "pydantic_ai.models.openai",
    "pydantic_ai.providers.openai",
    "openai",
    "alembic.command",
    "sqlalchemy.dialects.sqlite",
    "sqlite3",
    "genai_prices",
]


@dataclass
class Ended:
    """How a command ended: its exit code (negative for a signal) and what it printed."""

    code: int
    out: str
    err: str

    @property
    def object(self) -> dict[str, Any]:
        """The JSON object it printed."""
        value: dict[str, Any] = json.loads(self.out)
        return value

    @property
    def listed(self) -> list[dict[str, Any]]:
        """The JSON list it printed."""
        value: list[dict[str, Any]] = json.loads(self.out)
        return value


class Child:
    """One command under way."""

    def __init__(self, out: Path, err: Path) -> None:
        self.pid = 0
        self.code: int | None = None
        self._out, self._err = out, err
        self._begun, self._ended = threading.Event(), threading.Event()

    def began(self, pid: int) -> None:
        """The server has forked it."""
        self.pid = pid
        self._begun.set()

    def end(self, code: int) -> None:
        """The server has seen its end."""
        self.code = code
        self._ended.set()

    def send(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        self._begun.wait(60)
        if not self._ended.is_set():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def shown(self) -> str:
        """What it has printed to standard error so far."""
        return self._err.read_text(errors="replace") if self._err.exists() else ""

    def has_ended(self, timeout: float) -> bool:
        """Whether it ends within that time (seconds)."""
        return self._ended.wait(timeout)

    def wait(self, timeout: float = 120.0) -> Ended:
        """Wait for its end. Raises TimeoutError, having killed it."""
        if not self._ended.wait(timeout):
            self.send(signal.SIGKILL)
            raise TimeoutError(f"the command went on for {timeout:.0f} s: {self.shown()[-2000:]}")
        assert self.code is not None
        # Killed within its first milliseconds, it had not even opened its files.
        printed = self._out.read_text(errors="replace") if self._out.exists() else ""
        return Ended(self.code, printed, self.shown())


class Forks:
    """The client side; use it in a ``with`` statement, from any thread. ``also`` names modules that the commands need
    beside those that every run does."""

    def __init__(self, *also: str) -> None:
        self._also = also
        self._process: subprocess.Popen[str] | None = None
        self._listener = threading.Thread()
        self._lock = threading.Lock()
        self._children: list[Child] = []

    def __enter__(self) -> Forks:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "windlass.testing.forks", *self._also],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("the fork server did not start")
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()  # the server kills what is left
        self._process.wait()
        # Nothing is left open for the garbage collector to complain about.
        self._listener.join()
        self._process.stdout.close()

    def start(self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, folder: Path) -> Child:
        """Start ``windlass`` with these arguments and exactly this environment; its output goes to files in ``folder``."""
        assert self._process is not None
        assert self._process.stdin is not None
        with self._lock:
            number = len(self._children)
            out, err = folder / f"command-{number}.out", folder / f"command-{number}.err"
            child = Child(out, err)
            self._children.append(child)
            order = {
                "number": number,
                "arguments": list(arguments),
                "env": dict(env),
                "cwd": str(cwd),
                "out": str(out),
                "err": str(err),
            }
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        return child

    def run(self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, folder: Path) -> Ended:
        """Start, and wait for the end."""
        return self.start(arguments, env=env, cwd=cwd, folder=folder).wait()

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            child = self._children[told["number"]]
            if "pid" in told:
                child.began(told["pid"])
            else:
                child.end(told["code"])


def _serve() -> None:
    for name in (*_NEEDED, *sys.argv[1:]):
        importlib.import_module(name)
    _say("ready")
    buffer = b""
    living: dict[int, int] = {}
    while True:
        readable, _, _ = select.select([0], [], [], 0.005 if living else None)
        if readable:
            data = os.read(0, 65536)
            if not data:
                break
            buffer += data
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                order = json.loads(line)
                pid = _fork(order)
                living[pid] = order["number"]
                _say(json.dumps({"number": order["number"], "pid": pid}))
        for pid in list(living):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                number = living.pop(pid)
                _say(json.dumps({"number": number, "code": os.waitstatus_to_exitcode(status)}))
    for pid in living:
        os.kill(pid, signal.SIGKILL)


def _say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def _fork(order: Mapping[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        os.chdir(order["cwd"])
        os.environ.clear()
        os.environ.update(order["env"])
        for number, path, flags in (
            (0, os.devnull, os.O_RDONLY),
            (1, order["out"], os.O_WRONLY | os.O_CREAT),
            (2, order["err"], os.O_WRONLY | os.O_CREAT),
        ):
            os.dup2(os.open(str(path), flags, 0o600), number)
        time.tzset()
        sys.argv = ["windlass", *order["arguments"]]
        from windlass.testing.killing import main

        main()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 0 if ending.code is None else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
