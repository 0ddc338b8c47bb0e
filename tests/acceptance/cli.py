"""Drives the installed ``windlass`` command: in a process of its own, in pipes or on a pseudo-terminal."""

from __future__ import annotations

import ctypes
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from windlass.testing.server import Answer, Fault, OpenAIServer, Request

WINDLASS = Path(sys.executable).with_name("windlass")
#: Long enough for a very busy machine (seconds).
PATIENCE = 120.0
KEY = "sk-test-not-a-real-key-0123456789"


_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


def _give_up_override() -> None:
    """Root without these capabilities (capabilities(7)) is refused what an ordinary owner is refused."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def object(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


@dataclass
class Cli:
    """Runs commands in ``cwd`` with one home; ``base_url`` is the local server, where there is one."""

    home: Path
    cwd: Path
    base_url: str | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def env(self) -> dict[str, str]:
        """A small clean environment."""
        env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.home),
            "WINDLASS_HOME": str(self.home),
            "LANG": "C.UTF-8",
        }
        if self.base_url is not None:
            env |= {
                "WINDLASS_MODEL": "openai-chat:test-model",
                "WINDLASS_TAG_REQUESTS": "1",
                "OPENAI_BASE_URL": self.base_url,
                "OPENAI_API_KEY": KEY,
            }
        return env | self.environment

    def __call__(self, *arguments: str, stdin: str | None = None, humble: bool = False, **env: str) -> Done:
        """Run to the end. ``humble``: permissions bind the command, also where the tests run as root."""
        done = subprocess.run(
            [str(WINDLASS), *arguments],
            cwd=self.cwd,
            env=self.env() | env,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            preexec_fn=_give_up_override if humble else None,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start, for tests that send signals."""
        return subprocess.Popen(
            [str(WINDLASS), *arguments],
            cwd=self.cwd,
            env=self.env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def terminal(self, *arguments: str, columns: int = 100, **env: str) -> Terminal:
        """Start on a pseudo-terminal."""
        return Terminal(
            [str(WINDLASS), *arguments], self.cwd, self.env() | {"TERM": "xterm-256color"} | env, columns
        )

    def shell(self, line: str) -> Terminal:
        """Start a line of a shell on a pseudo-terminal."""
        return Terminal(["/bin/sh", "-c", line], self.cwd, self.env() | {"TERM": "xterm-256color"}, 100)


class Terminal:
    """A command on a pseudo-terminal, and everything it has shown."""

    def __init__(self, command: Sequence[str], cwd: Path, env: dict[str, str], columns: int) -> None:
        self.began = time.monotonic()
        pid, self.fd = pty.fork()
        if pid == 0:
            os.chdir(cwd)
            os.execve(command[0], [*command], env | {"COLUMNS": str(columns), "LINES": "40"})
        self.pid = pid
        self.raw = ""
        self._code: int | None = None

    @property
    def shown(self) -> str:
        """What was shown, without colours and cursor movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw).replace("\r", "")

    def wait_for(self, text: str, timeout: float = PATIENCE) -> float:
        """Wait until ``text`` was shown; seconds since the start."""
        return self._read(lambda: text in self.shown, timeout, f"{text!r}")

    def wait_for_prompt(self, after: str, prompt: str = ">") -> None:
        """Wait until ``after`` was shown and, below it, a new prompt: from then on keys are heard as they are typed."""

        def asks() -> bool:
            below = self.shown.rpartition(after)[2] if after in self.shown else ""
            return below.rpartition("\n")[2].strip() == prompt

        self._read(asks, PATIENCE, f"a prompt after {after!r}")

    def type(self, keys: str) -> None:
        """Type."""
        os.write(self.fd, keys.encode())

    def end(self, timeout: float = PATIENCE) -> int:
        """Wait for the end; the exit code."""
        self._read(lambda: self._code is not None, timeout, "the end")
        assert self._code is not None
        return self._code

    def _read(self, enough: Callable[[], bool], timeout: float, what: str) -> float:
        until = time.monotonic() + timeout
        while not enough():
            if time.monotonic() > until:
                self.kill()
                raise AssertionError(f"waited {timeout:.0f} s for {what}; shown:\n{self.shown}")
            ready, _, _ = select.select([self.fd], [], [], 0.05)
            if ready:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:
                    data = b""
                if not data and self._code is None:
                    self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
                    if not enough():
                        raise AssertionError(f"ended with {self._code} before {what}; shown:\n{self.shown}")
                self.raw += data.decode(errors="replace")
        return time.monotonic() - self.began

    def kill(self) -> None:
        """End it, whatever it does."""
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)


Reply = str | Answer | Fault


@dataclass
class Steps:
    """A model that answers by step path; a list is used up one by one, its last entry for ever.

    What is not given has an answer that carries a small program (``slug.py`` with one test) to Success.
    """

    given: dict[str, Reply | list[Reply] | Callable[[Request], Reply]] = field(default_factory=dict)

    def __call__(self, request: Request) -> Answer | Fault:
        reply = self.given.get(
            request.step, GOOD.get(request.step, Fault("status", status=400, message=request.step))
        )
        if callable(reply):
            reply = reply(request)
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        return Answer(reply) if isinstance(reply, str) else reply


SLUG = 'def slugify(text):\n    return "-".join(text.lower().split())\n'
WRONG_SLUG = "def slugify(text):\n    return text.lower()\n"
SLUG_TEST = (
    'from slug import slugify\n\n\ndef test_slugify():\n    assert slugify("Hello  World") == "hello-world"\n'
)
GOOD: dict[str, Reply] = {
    "requirement_step": '{"acceptance_criteria": ["Words are joined by one dash."], "open_questions": []}',
    "requirement_step.refine": '{"acceptance_criteria": ["Words are joined by one dash."], "open_questions": []}',
    "design_step": '{"files": [{"path": "slug.py", "purpose": "slugify(text)", "depends_on": []}],'
    ' "tests": [{"path": "test_slug.py", "purpose": "slugify"}]}',
    "test_generation_step[test_slug.py]": f"test_slug.py\n```python\n{SLUG_TEST}```\n",
    "implementation_step[slug.py]": f"slug.py\n```python\n{SLUG}```\n",
    "testing_step.repair[1]": f"slug.py\n```python\n{SLUG}```\n",
    "summary_step": "slugify(text) joins the words of a text with dashes.",
}


def serve(given: dict[str, Any] | None = None) -> OpenAIServer:
    """A local model for one test."""
    return OpenAIServer(Steps(given or {}))
