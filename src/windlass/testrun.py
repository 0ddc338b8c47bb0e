"""Runs tests in a sandbox and says what really happened, believing nothing that only the tests' process says."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import re
import secrets
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from signal import Signals

from windlass.errors import UnsafePath
from windlass.junit import JunitError, TestCase, read_junit
from windlass.sandbox.base import ExecResult, Limits, Sandbox
from windlass.testreport import TestReport, report_of

_STOPPED = {
    "timeout": "the tests did not end within {0.wall_seconds:g} s and were stopped",
    "disk": "the tests wrote more than {0.total_bytes} bytes and were stopped",
    "memory": "the tests used more than {0.memory_bytes} bytes of memory and were stopped",
    "processes": "the tests started more than {0.processes} processes and were stopped",
}


async def run_tests(
    sandbox: Sandbox,
    folder: Path,
    tests: Sequence[str],
    *,
    limits: Limits | None = None,
    command: Sequence[str] | None = None,
) -> TestReport:
    """Run ``tests`` (paths or node ids below ``folder``, a throwaway copy) and report.

    ``command`` replaces ``python -m pytest``; it gets pytest's options. Whatever the tests do is a report,
    never an exception; SandboxError means that nothing could be run, UnsafePath that a name leaves the folder.
    """
    limits = limits or Limits()
    files = [_checked(test) for test in tests]
    problem = None if files else "no tests were given"
    for name in files:
        if not (folder / name).exists():
            problem = f"there is no file {name}"
    if problem:
        return report_of(ExecResult(5, "", 0.0, sandbox.level), None, problem, folder)
    before = _hashes(folder, files)
    junit = f".windlass-{secrets.token_hex(8)}.xml"
    result = await sandbox.run(
        _command(folder, files, tests, junit, command),
        folder=folder,
        limits=limits,
        env=_environment(folder),
        read_back=[junit],
    )
    with contextlib.suppress(OSError):
        (folder / junit).unlink()
    changed = [name for name, digest in before.items() if _hashes(folder, [name]).get(name) != digest]
    cases: list[TestCase] | None = None
    try:
        if junit in result.files:
            cases = read_junit(result.files[junit])
            problem = _contradiction(result, cases, limits)
        else:
            problem = _ending(result, limits) or "the tests ended without a result file"
    except JunitError as error:
        problem = f"the result file cannot be read ({error})"
    if changed:
        problem = f"the run changed its own tests ({', '.join(changed[:5])})"
    return report_of(result, cases, problem, folder)


def _checked(test: str) -> str:
    path = PurePosixPath(test.partition("::")[0])
    if path.is_absolute() or ".." in path.parts:
        raise UnsafePath(test, "tests are named below the workspace")
    return str(path)


def _hashes(folder: Path, names: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        path = folder / name
        if path.is_symlink():
            found[name] = f"link {path.readlink()}"
        elif path.is_dir():
            below = (item for item in path.rglob("*") if item.suffix != ".pyc" and not item.is_dir())
            found |= _hashes(folder, sorted(str(item.relative_to(folder)) for item in below))
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _environment(folder: Path) -> dict[str, str]:
    sources = [folder / "src"] if (folder / "src").is_dir() else []
    return {
        "PYTHONPATH": ":".join(str(path.resolve()) for path in [folder, *sources]),
        "PYTHONDONTWRITEBYTECODE": "1",
        # Plugins installed beside Windlass are not the project's; they also cost start-up time.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONHASHSEED": "0",  # the same failure must look the same twice
        "COLUMNS": "120",
    }


def _command(
    folder: Path, files: Sequence[str], tests: Sequence[str], junit: str, command: Sequence[str] | None
) -> list[str]:
    config = _config(folder, files)
    start = list(command) if command else [sys.executable, "-m", "pytest"]
    if not command and importlib.util.find_spec("pytest_asyncio"):
        start += ["-p", "pytest_asyncio"]
    return [
        *start,
        # Named, because pytest would otherwise look for a configuration above the folder.
        *("-c", str(config or "/dev/null"), "--rootdir", str(folder.resolve())),
        *("--confcutdir", str(folder.resolve())),
        *("-p", "no:cacheprovider", "-q", "--tb=short", "--no-header", "--color=no"),
        # One file that cannot be imported must not hide what the others show.
        "--continue-on-collection-errors",
        *("-o", "addopts=", "-o", "junit_family=xunit1", f"--junitxml={junit}"),
        *(_kept_options(config) if config else ()),
        *(f"./{test}" if test.startswith("-") else test for test in tests),
    ]


def _config(folder: Path, files: Sequence[str]) -> Path | None:
    """The project's own pytest configuration: the nearest one at or above the tests, inside ``folder``."""
    folder = folder.resolve()
    parents = [set(((folder / name).parent if name != "." else folder).parents) for name in files]
    parents = [known | {(folder / name).parent} for known, name in zip(parents, files, strict=True)]
    shared = sorted(set.intersection(*parents), key=lambda path: -len(path.parts))
    for place in shared:
        if not place.is_relative_to(folder):
            break
        for name, mark in (
            ("pytest.toml", ""), (".pytest.toml", ""), ("pytest.ini", ""), (".pytest.ini", ""),
            ("pyproject.toml", "[tool.pytest"), ("tox.ini", "[pytest]"), ("setup.cfg", "[tool:pytest]"),
        ):  # fmt: skip
            path = place / name
            if path.is_file() and not path.is_symlink() and mark in path.read_text("utf-8", "replace"):
                return path
    return None


def _kept_options(config: Path) -> list[str]:
    """The project's ``addopts`` that change what a test means; the others may need plugins we do not have."""
    match = re.search(
        r"^\s*addopts\s*=\s*(\[[^\]]*\]|\"[^\"]*\"|'[^']*'|[^\n]*(?:\n[ \t]+[^\n]+)*)",
        config.read_text("utf-8", "replace"),
        re.MULTILINE,
    )
    if not match:
        return []
    try:
        words = shlex.split(
            match[1].strip("[]\"'").replace(",", " ") if "[" in match[1][:1] else match[1].strip("\"'")
        )
    except ValueError:
        return []
    kept: list[str] = []
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith(("--import-mode=", "--doctest-modules", "--doctest-glob=", "--strict-markers")):
            kept.append(word)
        elif word == "--import-mode":
            kept += [word, following]
    return kept


def _ending(result: ExecResult, limits: Limits) -> str | None:
    """Why the command did not end by itself, if so."""
    if result.stopped:
        return _STOPPED[result.stopped].format(limits)
    if result.exit_code == -Signals.SIGXCPU:
        return f"the tests used more than {limits.cpu_seconds} s of processor time and were stopped"
    if result.exit_code < 0:
        return f"the tests were ended by the signal {_signal_name(-result.exit_code)}"
    return None


def _signal_name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return str(number)


def _contradiction(result: ExecResult, cases: Sequence[TestCase], limits: Limits) -> str | None:
    """What in the result file does not fit how the process ended."""
    ending = _ending(result, limits)
    if ending:
        return ending
    bad = sum(case.outcome in ("failed", "error") for case in cases)
    passed = sum(case.outcome == "passed" for case in cases)
    if result.exit_code == 5 or not cases:
        return "no tests were collected"
    if result.exit_code == 0 and bad:
        return f"pytest reported success, and its result file holds {bad} that failed"
    if result.exit_code == 0 and not passed:
        return "every test was skipped"
    if result.exit_code in (1, 2) and not bad:
        return f"pytest ended with code {result.exit_code}, and its result file holds no failure"
    if result.exit_code not in (0, 1, 2):
        return f"pytest ended with code {result.exit_code}"
    return None
