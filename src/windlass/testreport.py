"""What a test run showed, for the journal, for a model and for people."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from windlass.junit import TestCase
from windlass.sandbox.base import ExecResult

#: What a model is shown of one run, in characters.
OUTPUT_CHARS = 12_000
_FAILURE_CHARS = 3_000


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


def report_of(
    result: ExecResult, cases: Sequence[TestCase] | None, problem: str | None, folder: Path
) -> TestReport:
    """The report of a run whose result file held ``cases`` (None: there was none). ``folder`` is where the tests ran, and is
    taken out of every text."""
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
