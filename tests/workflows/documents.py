"""Runs of the document workflows for tests: real engine and files, a model that answers by prompt."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.harness import Engine
from windlass.journal import RunRecord
from windlass.llm.base import BaseLLMIntegration
from windlass.testing.llm import Asked, Response, ScriptedLLM
from windlass.workflow import StepWorkflow
from windlass.workflows import auto, chat, write, write_pages, write_tests
from windlass.workflows.options import check

MODULES: Mapping[str, Any] = {
    "chat": chat,
    "write": write,
    "write-pages": write_pages,
    "write-tests": write_tests,
    "auto": auto,
}

APOLOGY = "I'm sorry, but I cannot help with that request."
CALC = "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n"
CALC_TESTS = (
    "from calc import add, sub\n\n\ndef test_add():\n    assert add(1, 2) == 3\n\n\n"
    "def test_sub():\n    assert sub(3, 2) == 1\n"
)

Answer = Response | list[Response] | Callable[[Asked], Response]


def prompt_of(asked: Asked) -> str:
    """``plan_file`` for a request made with ``documents.plan_file``."""
    return asked.tags.prompt.partition("@")[0].removeprefix("documents.")


def first(asked: Asked) -> str:
    """The prompt, without corrections."""
    return asked.messages[0].content


def path_in(asked: Asked) -> str:
    """The file that a request is about."""
    text = first(asked)
    match = re.search(r"# The file\n`([^`]+)`", text) or re.search(r"# The file\n(\S+)\n```", text)
    assert match is not None, text
    return match[1]


def fenced(path: str, text: str) -> str:
    """A reply that gives one file."""
    return f"{path}\n````\n{text}````"


def write_answer(asked: Asked) -> Response:
    return fenced(path_in(asked), f"# {path_in(asked)}\n\nWritten.\n")


def process_answer(asked: Asked) -> Response:
    return fenced(path_in(asked), f"changed {path_in(asked)}\n")


def pages_answer(asked: Asked) -> Response:
    count = int(re.search(r"exactly (\d+) pages?", first(asked))[1])  # type: ignore[index]
    return json.dumps({"pages": [f"part {number}" for number in range(1, count + 1)]})


def page_answer(asked: Asked) -> Response:
    number = re.search(r"# Your step: page (\d+) of", first(asked))[1]  # type: ignore[index]
    return fenced(path_in(asked), f"# Page {number}\n\nText of page {number}.\n")


def test_file_answer(asked: Asked) -> Response:
    path = re.search(r"They go into `([^`]+)`", first(asked))[1]  # type: ignore[index]
    return fenced(path, CALC_TESTS)


test_file_answer.__test__ = False  # type: ignore[attr-defined]  # an answer, not a test

GOOD: dict[str, Answer] = {
    "chat": "An answer.",
    "find_files": '{"files": [{"path": "a.md", "purpose": "first"}, {"path": "docs/b.md", "purpose": "second"}]}',
    "plan_file": "- one part\n- another part",
    "write_file": write_answer,
    "write_code_file": write_answer,
    "define_pages": pages_answer,
    "write_page": page_answer,
    "process_file": process_answer,
    "find_tested": '{"files": [{"path": "calc.py"}]}',
    "plan_tests": "- add\n- sub",
    "write_tests": test_file_answer,
    "edge_cases": test_file_answer,
    "repair_tests": test_file_answer,
    "judge": '{"choice": 1, "reason": "better"}',
    "review": "An answer.",
    "summarise": "All of it was done.",
}


def model_of(**given: Answer) -> ScriptedLLM:
    """A model that answers by prompt name: a text, a list that is used up (its last entry for ever), or a function."""
    answers = {**GOOD, **given}
    left = {name: list(answer) for name, answer in answers.items() if isinstance(answer, list)}

    def respond(asked: Asked) -> Response:
        name = prompt_of(asked)
        if name in left:
            return left[name].pop(0) if len(left[name]) > 1 else left[name][0]
        answer = answers[name]
        return answer(asked) if callable(answer) else answer  # type: ignore[return-value]

    return ScriptedLLM(respond)


def engine(
    folder: Path, model: BaseLLMIntegration, key: str, /, message: str = "Do it.", **options: Any
) -> Engine:
    """A run of a workflow with these options, checked as the command line's are."""
    given = check(key, {"message": message, **options})

    def build(record: RunRecord) -> StepWorkflow[Any]:
        workflow: StepWorkflow[Any] = MODULES[key].build(record.evolve(options=given))
        return workflow

    return Engine(folder, model, build)


def calls(model: ScriptedLLM) -> list[str]:
    """The prompts that were asked, in order."""
    return [prompt_of(asked) for asked in model.requests]
