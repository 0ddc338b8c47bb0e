"""Runs tests in a sandbox and says what really happened, believing nothing that only the tests' process says."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import re
import secrets
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from signal import Signals
from typing import Any

from windlass.errors import UnsafePath
from windlass.junit import JunitError, TestCase, read_junit
from windlass.sandbox.base import ExecResult, Limits, Sandbox

#: What a model is shown of one run, in characters.
OUTPUT_CHARS = 12_000
_FAILURE_CHARS = 3_000
_STOPPED = {
    "timeout": "the tests did not end within {0.wall_seconds:g} s and were stopped",
    "disk": "the tests wrote more than {0.total_bytes} bytes and were stopped",
    "memory": "the tests used more than {0.memory_bytes} bytes of memory and were stopped",
    "processes": "the tests started more than {0.processes} processes and were stopped",
}


@dataclass(frozen=True)
class TestFailure:
    """One failed test, or one file that could not be collected. ``line`` is 0 when it is not known."""

    __test__ = False

    test: str
    file: str
    line: int
    message: str


@dataclass(frozen=True)
class TestReport:
    """What a test run showed.

    ``problem`` is a sentence when the run as a whole cannot be trusted or did not happen (timeout, no tests,
    tests changed, no result file); such a run counts one error and is never ``ok``. ``exit_code`` is
    pytest's, negative for a signal. ``output`` is for a model: failing assertions first, bounded.
    ``signature`` is equal for the same failure seen twice, whatever the addresses, times and folders.
    """

    __test__ = False

    passed: int
    failed: int
    errors: int
    skipped: int
    exit_code: int
    seconds: float
    sandbox: str
    output: str
    failures: tuple[TestFailure, ...] = ()
    signature: str = ""
    problem: str | None = None

    @property
    def ok(self) -> bool:
        """At least one test passed, none failed, and nothing about the run is in doubt."""
        return (
            self.problem is None
            and self.exit_code == 0
            and self.passed > 0
            and self.failed == 0
            and self.errors == 0
        )

    @property
    def outcome(self) -> str:
        """For people: ``3 passed, 1 failed in bubblewrap``."""
        counts = [
            f"{number} {word}"
            for number, word in (
                (self.passed, "passed"),
                (self.failed, "failed"),
                (self.errors, "error" if self.errors == 1 else "errors"),
                (self.skipped, "skipped"),
            )
            if number
        ]
        text = f"{', '.join(counts) or 'no tests run'} in {self.sandbox}"
        return f"{text}: {self.problem}" if self.problem else text

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, for the journal."""
        return {**asdict(self), "failures": [asdict(failure) for failure in self.failures]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TestReport:
        """The report that :meth:`to_dict` wrote."""
        return cls(**{**data, "failures": tuple(TestFailure(**item) for item in data["failures"])})


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
        return _report(ExecResult(5, "", 0.0, sandbox.level), None, problem, folder)
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
    return _report(result, cases, problem, folder)


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


def _report(
    result: ExecResult, cases: Sequence[TestCase] | None, problem: str | None, folder: Path
) -> TestReport:
    cases = cases or []
    counts = {
        word: sum(case.outcome == word for case in cases) for word in ("passed", "failed", "error", "skipped")
    }
    bad = [case for case in cases if case.outcome in ("failed", "error")]
    tidy = _tidier(folder)
    failures = tuple(
        TestFailure(case.test_id, *_place(tidy(case.detail), case), _message(case, tidy)) for case in bad
    )
    report = TestReport(
        passed=counts["passed"],
        failed=counts["failed"],
        errors=counts["error"] or (1 if problem else 0),
        skipped=counts["skipped"],
        exit_code=result.exit_code,
        seconds=result.seconds,
        sandbox=result.level,
        output=_output(bad, problem, tidy(result.output), tidy),
        failures=failures,
        problem=problem,
    )
    return replace(report, signature=_signature(report, tidy(result.output)))


def _tidier(folder: Path) -> Callable[[str], str]:
    """Takes this machine's folders out of a text: the copy's becomes nothing, the interpreter's ``PYTHON/``."""
    homes = {str(Path(name).resolve()) for name in (sys.base_prefix, sys.prefix)} | {
        sys.base_prefix,
        sys.prefix,
    }
    python = _prefixes(homes - {"/usr", "/"})
    copy = _prefixes({str(folder), str(folder.resolve())})

    def tidy(text: str) -> str:
        text = copy.sub("", text)
        return python.sub("PYTHON/", text) if python.pattern else text

    return tidy


def _prefixes(names: Iterable[str]) -> re.Pattern[str]:
    return re.compile(
        "|".join(rf"{re.escape(name)}(?:/|\b)" for name in sorted(names, key=len, reverse=True))
    )


def _message(case: TestCase, tidy: Callable[[str], str]) -> str:
    """What went wrong in a few lines; for a file that could not be collected, the exception it raised."""
    raised = re.findall(r"^E +(\S.*)$", case.detail, re.MULTILINE)
    text = raised[-1] if case.message == "collection failure" and raised else case.message
    return tidy(text)[:_FAILURE_CHARS]


def _place(detail: str, case: TestCase) -> tuple[str, int]:
    """The last line of the traceback that names a place in the test's file, else where the test is defined."""
    for path, line in reversed(re.findall(r"^([^\s:][^:\n]*\.py):(\d+):", detail, re.MULTILINE)):
        if not case.file or path == case.file:
            return path, int(line)
    return case.file, case.line


def _output(bad: Sequence[TestCase], problem: str | None, raw: str, tidy: Callable[[str], str]) -> str:
    parts = [f"Error: {problem}."] if problem else []
    for case in bad:
        text = tidy(case.detail or case.message).strip()
        parts.append(f"{case.outcome.upper()} {case.test_id}\n{_middle_cut(text, _FAILURE_CHARS)}")
        if sum(map(len, parts)) > OUTPUT_CHARS:
            parts.append(f"[... {len(bad)} tests failed; the first are shown ...]")
            break
    room = OUTPUT_CHARS - sum(map(len, parts))
    # With every failure shown, what pytest printed repeats it; without, it is all there is.
    if not bad and raw.strip():
        parts.append(_middle_cut(raw.strip(), max(room, 1000)))
    elif bad and raw.strip():
        parts.append(_middle_cut(raw.strip().splitlines()[-1], 300))
    return _middle_cut("\n\n".join(parts), OUTPUT_CHARS + 500)


def _middle_cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters cut ...]\n{text[-half:]}"


_NOISE = (
    (re.compile(r"0x[0-9a-fA-F]+"), "0x"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?"), "DATE"),
    (re.compile(r"\b\d+(\.\d+)? ?(s|ms|us|seconds|secs?)\b"), "TIME"),
    (re.compile(r"/(?:tmp|var/tmp|dev/shm)/[^\s'\"),:]*"), "TMP"),
    (re.compile(r"\.windlass-[0-9a-f]+\.xml"), "JUNIT"),
    (re.compile(r"\b(pid|PID|port)([ =:]+)\d+"), r"\1\2N"),
    (re.compile(r"[ \t]+"), " "),
)


def _signature(report: TestReport, raw: str) -> str:
    if report.ok:
        return ""
    lines = sorted(f"{failure.test}|{failure.message}" for failure in report.failures)
    if not lines:
        lines = raw.strip().splitlines()[-20:]
    text = "\n".join([report.problem or "", *lines])
    for pattern, word in _NOISE:
        text = pattern.sub(word, text)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
