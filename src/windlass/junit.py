"""Reads the result file pytest writes (``--junitxml``, family xunit1) as what it is: a hostile process's word."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal
from xml.parsers import expat

#: Larger, deeper or longer result files are refused. Bytes, levels, test cases.
MAX_BYTES, MAX_DEPTH, MAX_CASES = 16 * 1024**2, 12, 50_000
_DETAIL_CHARS = 20_000

Outcome = Literal["passed", "failed", "error", "skipped"]


class JunitError(ValueError):
    """The file is not a result file that is safe to read."""


@dataclass(frozen=True)
class TestCase:
    """One test as the file tells it; ``line`` counts from 1 and is 0 when unknown."""

    __test__ = False

    test_id: str
    file: str
    line: int
    outcome: Outcome
    message: str = ""
    detail: str = ""


def read_junit(data: bytes) -> list[TestCase]:
    """The test cases in the file's order. Raises JunitError for anything but plain, small XML."""
    if len(data) > MAX_BYTES:
        raise JunitError(f"it is larger than {MAX_BYTES} bytes")
    reader = _Reader()
    # Named, so that a declaration in the file cannot choose a stranger encoding.
    parser = expat.ParserCreate("utf-8")
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.EntityDeclHandler = reader.refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise JunitError(str(error)) from None
    if reader.root != "testsuites" and reader.root != "testsuite":
        raise JunitError("it holds no test suite")
    return reader.cases


class _Reader:
    def __init__(self) -> None:
        self.cases: list[TestCase] = []
        self.root = ""
        self._depth = 0
        self._case: TestCase | None = None
        self._text: list[str] | None = None
        self._length = 0

    def refuse(self, *_: object) -> None:
        raise JunitError("it declares a document type or entities")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise JunitError("it is nested too deeply")
        self.root = self.root or name
        if name == "testcase":
            if len(self.cases) >= MAX_CASES:
                raise JunitError(f"it holds more than {MAX_CASES} tests")
            self._case = _case(attributes)
        elif self._case is not None and name in ("failure", "error", "skipped"):
            words: dict[str, Outcome] = {"failure": "failed", "error": "error", "skipped": "skipped"}
            # A test that failed and whose teardown then broke has both; the first one is what to mend.
            if self._case.outcome == "passed":
                self._case = replace(
                    self._case, outcome=words[name], message=attributes.get("message", "")[:_DETAIL_CHARS]
                )
                self._text, self._length = [], 0

    def text(self, data: str) -> None:
        if self._text is not None and self._length < _DETAIL_CHARS:
            self._text.append(data[: _DETAIL_CHARS - self._length])
            self._length += len(data)

    def end(self, name: str) -> None:
        self._depth -= 1
        if name == "testcase" and self._case is not None:
            self.cases.append(self._case)
            self._case = None
        elif self._text is not None and self._case is not None and name in ("failure", "error", "skipped"):
            self._case = replace(self._case, detail="".join(self._text))
            self._text = None


def _case(attributes: dict[str, str]) -> TestCase:
    file, name = attributes.get("file", ""), attributes.get("name", "")
    owner = attributes.get("classname", "")
    module = file.removesuffix(".py").replace("/", ".")
    if file and not owner and name == module:
        parts = [file]  # a file that could not be collected is named like a module
    elif file:
        inner = owner.removeprefix(module).strip(".")
        parts = [file, *(inner.split(".") if inner else ()), name]
    else:
        parts = [part for part in (owner, name) if part]
    line = attributes.get("line", "")
    number = int(line) + 1 if line.isascii() and line.isdigit() and len(line) < 9 else 0
    return TestCase("::".join(parts), file, number, "passed")
