from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from windlass.errors import UnsafePath
from windlass.sandbox.base import ExecResult, Limits, Sandbox
from windlass.sandbox.off import Off
from windlass.testreport import OUTPUT_CHARS, TestReport
from windlass.testrun import run_tests

from .sandbox.conftest import lacking

Write = Callable[[Mapping[str, str]], Path]


def boxes() -> list[Sandbox]:
    from windlass.sandbox.bubblewrap import Bubblewrap
    from windlass.sandbox.landlock import Landlock

    return [Bubblewrap(), Landlock(), Off()]


@pytest.fixture(params=boxes(), ids=lambda box: box.level)
def box(request: pytest.FixtureRequest) -> Sandbox:
    reason = lacking(request.param.level)
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_all(files: Mapping[str, str]) -> Path:
        folder = tmp_path / f"copy{len(list(tmp_path.iterdir()))}"
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return folder

    return write_all


MIXED = """
import unittest, pytest, m
class TestKind:
    def test_sum(self):
        assert m.double(2) == 4
    @pytest.mark.parametrize("n", [1, 2])
    def test_each(self, n):
        pass
class Old(unittest.TestCase):
    def test_old(self):
        self.assertEqual(m.double(1), 2)
@pytest.mark.skip
def test_later(): pass
def test_boom(tmp_path):
    raise KeyError(f"{tmp_path} {object()}")
"""


async def test_counts_failures_and_places(box: Sandbox, write: Write) -> None:
    folder = write({"m.py": "def double(x):\n    return x\n", "tests/test_m.py": MIXED})
    report = await run_tests(box, folder, ["tests/test_m.py"])
    assert (report.passed, report.failed, report.errors, report.skipped) == (2, 3, 0, 1)
    assert report.exit_code == 1
    assert not report.ok
    assert report.problem is None
    assert report.outcome == f"2 passed, 3 failed, 1 skipped in {box.level}"
    by_name = {failure.test: failure for failure in report.failures}
    assert set(by_name) == {
        "tests/test_m.py::TestKind::test_sum",
        "tests/test_m.py::Old::test_old",
        "tests/test_m.py::test_boom",
    }
    first = by_name["tests/test_m.py::TestKind::test_sum"]
    assert (first.file, first.line) == ("tests/test_m.py", 5)
    assert "assert 2 == 4" in first.message
    assert report.output.index("assert m.double(2) == 4") < report.output.index("KeyError")
    assert str(folder) not in report.output
    assert sys.base_prefix not in report.output or sys.base_prefix == "/usr"
    assert TestReport.from_dict(report.to_dict()) == report


async def test_success_leaves_only_what_the_tests_wrote(box: Sandbox, write: Write) -> None:
    folder = write({"m.py": "", "test_m.py": "def test_it():\n    open('made', 'w').close()\n"})
    report = await run_tests(box, folder, ["test_m.py"])
    assert report.ok
    assert (report.outcome, report.signature, report.failures) == (f"1 passed in {box.level}", "", ())
    assert {path.name for path in folder.iterdir()} == {"m.py", "test_m.py", "made"}


async def test_the_same_failure_has_the_same_signature(box: Sandbox, write: Write) -> None:
    files = {"m.py": "def double(x):\n    return x\n", "tests/test_m.py": MIXED}
    one = await run_tests(box, write(files), ["tests/test_m.py"])
    two = await run_tests(box, write(files), ["tests/test_m.py"])
    mended = {**files, "m.py": "def double(x):\n    return 2 * x\n"}
    other = await run_tests(box, write(mended), ["tests/test_m.py"])
    assert one.signature == two.signature != ""
    assert other.signature not in ("", one.signature)


async def test_a_file_that_cannot_be_imported_hides_nothing(box: Sandbox, write: Write) -> None:
    folder = write({"test_bad.py": "import not_there_at_all\n", "test_good.py": "def test_it(): pass\n"})
    report = await run_tests(box, folder, ["test_bad.py", "test_good.py"])
    assert (report.passed, report.errors, report.ok) == (1, 1, False)
    (failure,) = report.failures
    assert (failure.test, failure.file, failure.line) == ("test_bad.py", "test_bad.py", 1)
    assert failure.message == "ModuleNotFoundError: No module named 'not_there_at_all'"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no tests were collected"),
        ("import pytest\n@pytest.mark.skip\ndef test_it(): pass\n", "every test was skipped"),
        ("import os\ndef test_it(): os._exit(0)\n", "without a result file"),
        ("import os\nprint('5 passed in 0.01s')\nos._exit(0)\n", "without a result file"),
        ("import os, signal\ndef test_it(): os.kill(os.getpid(), signal.SIGSEGV)\n", "SIGSEGV"),
        (
            "import pathlib\npathlib.Path(__file__).write_text('def test_it(): pass')\ndef test_it(): pass\n",
            "changed its own tests (test_it.py)",
        ),
        ("import os\nos.unlink(__file__)\ndef test_it(): pass\n", "changed its own tests"),
        ("import time\ndef test_it(): time.sleep(60)\n", "did not end within 3 s"),
    ],
    ids=["empty", "skipped", "exit", "printed", "signal", "rewritten", "deleted", "asleep"],
)
async def test_what_is_not_a_success(box: Sandbox, write: Write, text: str, said: str) -> None:
    report = await run_tests(box, write({"test_it.py": text}), ["test_it.py"], limits=Limits(wall_seconds=3))
    assert said in str(report.problem)
    assert not report.ok
    assert report.errors == 1
    assert report.signature != ""
    assert said in report.output
    assert said in report.outcome


PROJECTS: dict[str, tuple[dict[str, str], list[str]]] = {
    "src layout": (
        {"src/pack/__init__.py": "A = 1", "tests/test_a.py": "import pack\ndef test_a(): assert pack.A"},
        ["tests"],
    ),
    "conftest and fixtures": (
        {
            "conftest.py": "import pytest\n@pytest.fixture\ndef three(): return 3",
            "tests/unit/test_a.py": "def test_a(three): assert three == 3",
        },
        ["tests/unit/test_a.py"],
    ),
    "own options need a plugin we lack": (
        {
            "pyproject.toml": '[tool.pytest.ini_options]\naddopts = ["--cov=x", "-n", "4"]\npythonpath = ["lib"]',
            "lib/deep.py": "B = 2",
            "test_a.py": "import deep\ndef test_a(): assert deep.B",
        },
        ["test_a.py"],
    ),
    "own names": (
        {
            "setup.cfg": "[tool:pytest]\npython_functions = check_*\npython_files = *_spec.py\n",
            "a_spec.py": "def check_a(): pass",
        },
        ["a_spec.py"],
    ),
    "same base name twice": (
        {
            "pytest.ini": "[pytest]\naddopts = --import-mode=importlib --cov\n",
            "one/test_a.py": "def test_a(): pass",
            "two/test_a.py": "def test_a(): pass",
        },
        ["one/test_a.py", "two/test_a.py"],
    ),
    "configuration below": (
        {
            "part/pytest.ini": "[pytest]\npythonpath = lib\n",
            "part/lib/deep.py": "",
            "part/tests/test_a.py": "import deep\ndef test_a(): pass",
        },
        ["part/tests/test_a.py"],
    ),
    "a node": ({"test_a.py": "def test_a(): pass\ndef test_b(): assert 0"}, ["test_a.py::test_a"]),
    "asyncio": (
        {"test_a.py": "import asyncio\nasync def f(): return 1\ndef test_a(): assert asyncio.run(f())"},
        ["test_a.py"],
    ),
    "a name like an option": ({"-x_test.py": "def test_a(): pass"}, ["-x_test.py"]),
}


@pytest.mark.parametrize("name", PROJECTS)
async def test_existing_projects_run_as_they_are(box: Sandbox, write: Write, name: str) -> None:
    files, tests = PROJECTS[name]
    report = await run_tests(box, write(files), tests)
    assert report.ok, report.output


async def test_a_configuration_above_the_folder_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\npython_functions = nothing_*\n")
    (tmp_path / "conftest.py").write_text("raise RuntimeError")
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "test_a.py").write_text("def test_a(): pass")
    report = await run_tests(Off(), folder, ["test_a.py"])
    assert report.ok, report.output


async def test_many_long_failures_stay_readable(write: Write) -> None:
    text = "import pytest\n@pytest.mark.parametrize('n', range(60))\ndef test_a(n):\n    assert 'x' * 4000 == n\n"
    report = await run_tests(Off(), write({"test_a.py": text}), ["test_a.py"])
    assert (report.failed, len(report.failures)) == (60, 60)
    assert len(report.output) < OUTPUT_CHARS + 1000
    assert report.output.startswith("FAILED test_a.py::test_a[0]")


async def test_names_and_missing_tests(write: Write) -> None:
    folder = write({"test_a.py": ""})
    for name in ("../test_a.py", "/test_a.py"):
        with pytest.raises(UnsafePath):
            await run_tests(Off(), folder, [name])
    missing = await run_tests(Off(), folder, ["test_b.py"])
    assert (missing.problem, missing.ok, missing.errors) == ("there is no file test_b.py", False, 1)
    assert (await run_tests(Off(), folder, [])).problem == "no tests were given"


SUITE = b'<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite>%s</testsuite></testsuites>'
PASSED = b'<testcase classname="test_a" file="test_a.py" line="0" name="test_a"/>'
FAILED = PASSED.replace(b"/>", b'><failure message="no">text</failure></testcase>')


class Forger:
    """A sandbox whose command wrote this result file and ended with this code."""

    level = "off"

    def __init__(self, data: bytes | None, exit_code: int, stopped: str | None = None) -> None:
        self.data, self.exit_code, self.stopped = data, exit_code, stopped

    async def run(
        self,
        argv: object,
        *,
        folder: Path,
        limits: Limits | None = None,
        env: Mapping[str, str] | None = None,
        read_back: object = (),
    ) -> ExecResult:
        await asyncio.sleep(0)
        assert isinstance(read_back, list)
        files = {} if self.data is None else {read_back[0]: self.data}
        return ExecResult(self.exit_code, "9 passed", 0.1, self.level, self.stopped, files)


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (SUITE % PASSED, 1, "holds no failure"),
        (SUITE % PASSED, 3, "code 3"),
        (SUITE % PASSED, -9, "SIGKILL"),
        (SUITE % FAILED, 0, "reported success"),
        (SUITE % (PASSED + FAILED), 0, "reported success"),
        (SUITE % b"", 0, "no tests were collected"),
        (None, 0, "without a result file"),
        (b"", 0, "cannot be read"),
        (b"<html/>", 0, "cannot be read"),
        (SUITE[:-5] % PASSED, 0, "cannot be read"),
        (b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + SUITE[38:] % PASSED, 0, "document type"),
        (b"<!DOCTYPE testsuites>" + SUITE[38:] % PASSED, 0, "document type"),
        (SUITE % (b"<a>" * 50 + b"</a>" * 50), 0, "too deeply"),
        (SUITE % (PASSED * 50_001), 0, "more than 50000"),
        (SUITE % PASSED + b" " * (16 * 1024**2), 0, "larger than"),
    ],
)
async def test_a_forged_result_is_not_believed(
    write: Write, data: bytes | None, code: int, said: str
) -> None:
    folder = write({"test_a.py": "def test_a(): pass"})
    report = await run_tests(Forger(data, code), folder, ["test_a.py"])
    assert said in str(report.problem)
    assert not report.ok
    assert report.errors >= 1 or report.failed >= 1


async def test_a_stopped_run_is_never_a_success(write: Write) -> None:
    folder = write({"test_a.py": "def test_a(): pass"})
    for word in ("timeout", "disk", "memory", "processes"):
        report = await run_tests(Forger(SUITE % PASSED, -9, word), folder, ["test_a.py"])
        assert "stopped" in str(report.problem)
        assert not report.ok


async def test_a_consistent_result_is_believed(write: Write) -> None:
    folder = write({"test_a.py": "def test_a(): pass"})
    assert (await run_tests(Forger(SUITE % PASSED, 0), folder, ["test_a.py"])).ok
