"""The plan that each document workflow begins with: pure functions of what it was asked.

The plan's shape and module names are those that existing clients know; see :mod:`windlass.plan`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from windlass.errors import ArgumentError
from windlass.plan import PlanStep, build_plan
from windlass.vocabulary import extract_file_name

CHAT, WRITE, WRITE_PAGES = "Chat Workflow", "Write Workflow", "Write Pages Workflow"
AUTO, WRITE_TESTS = "Auto Workflow", "Write Tests Workflow"

#: Most pages that one run writes.
MAX_PAGES = 100


def generate_chat_workflow(
    initial_message: str,
    file_references: Sequence[str] | None,
    selected_messages: Sequence[str] | None,
    model: str,
) -> dict[str, Any]:
    """The plan of a chat. ValueError for an empty message or model."""
    return build_plan(CHAT, chat_steps(initial_message, file_references, selected_messages, model))


def generate_write_workflow(
    initial_message: str,
    file_references: Sequence[str] | None,
    selected_messages: Sequence[str] | None,
    model: str,
) -> dict[str, Any]:
    """The plan of writing one file; it grows when more are found. ValueError for an empty message or model."""
    return build_plan(WRITE, write_steps(initial_message, file_references, selected_messages, model))


def generate_write_pages_workflow(
    initial_message: str,
    page_count: int,
    file_references: Sequence[str] | None,
    selected_messages: Sequence[str] | None,
    model: str,
) -> dict[str, Any]:
    """The plan of a file of ``page_count`` pages. ValueError for an empty message or model, or no page."""
    return build_plan(
        WRITE_PAGES, pages_steps(initial_message, page_count, file_references, selected_messages, model)
    )


def generate_auto_workflow(
    file_references: Sequence[str] | None, selected_messages: Sequence[str] | None, model: str
) -> dict[str, Any]:
    """The plan of doing something to each file. ValueError for an empty list of files or model."""
    return build_plan(AUTO, auto_steps(file_references, selected_messages, model))


def generate_write_tests_workflow(
    initial_message: str,
    file_references: Sequence[str] | None,
    selected_messages: Sequence[str] | None,
    model: str,
) -> dict[str, Any]:
    """The plan of testing one file; it grows by what the run does. ValueError for an empty message or model."""
    return build_plan(WRITE_TESTS, tests_steps(initial_message, file_references, selected_messages, model))


def chat_steps(
    message: str, files: Sequence[str] | None, selected: Sequence[str] | None, model: str
) -> list[PlanStep]:
    """The one step of a chat."""
    asked = _asked(message, files, selected, model)
    return [PlanStep("chat_step", "Chat", "Answer the message", asked)]


def write_steps(
    message: str, files: Sequence[str] | None, selected: Sequence[str] | None, model: str
) -> list[PlanStep]:
    """Plan, write, summarise: for the first file. Further ones come as they are found."""
    asked = _asked(message, files, selected, model)
    return [
        PlanStep("planning_step[1]", "Planning Response", "Plan the file", asked),
        PlanStep("writing_step[1]", "Writing to File", "Write the file", {"model": model}),
        PlanStep("summary_step", "Summarize", "State what was written"),
    ]


def pages_steps(
    message: str,
    page_count: int,
    files: Sequence[str] | None,
    selected: Sequence[str] | None,
    model: str,
) -> list[PlanStep]:
    """Define the pages, then one step a page, then the summary."""
    asked = _asked(message, files, selected, model)
    if isinstance(page_count, bool) or not isinstance(page_count, int) or page_count < 1:
        raise ArgumentError(
            f"The page count must be a whole number from 1 to {MAX_PAGES}, not {page_count!r}."
        )
    pages = [page_step(number) for number in range(1, page_count + 1)]
    return [
        PlanStep("define_step", "Define Pages", "Say what each page holds", {**asked, "pages": page_count}),
        *pages,
        PlanStep("summary_step", "Summarize", "State what was written"),
    ]


def page_step(number: int) -> PlanStep:
    """The step of one page, counted from 1."""
    return PlanStep(
        f"page_step[{number}]", f"Save to File - Page {number}", f"Write page {number}", {"page": number}
    )


def auto_steps(files: Sequence[str] | None, selected: Sequence[str] | None, model: str) -> list[PlanStep]:
    """One step a file, then the summary. Files that share a base name are told apart by their whole path."""
    if not files:
        raise ArgumentError("The list of files is empty; name at least one file.")
    _check("model", model)
    bases = Counter(extract_file_name(name) for name in files)
    steps = []
    for name in files:
        base = extract_file_name(name)
        shown = base if bases[base] == 1 else name
        parameters = {"file_references": [name], "model": model, "selected_message_ids": list(selected or ())}
        steps.append(PlanStep(f"process_step[{name}]", f"Process {shown}", f"Process {name}", parameters))
    return [*steps, PlanStep("summary_step", "Summarize", "State what was done to each file")]


def tests_steps(
    message: str, files: Sequence[str] | None, selected: Sequence[str] | None, model: str
) -> list[PlanStep]:
    """Name the test file, write it, summarise: for the first file under test."""
    asked = _asked(message, files, selected, model)
    return [
        PlanStep("name_step", "Generate File Name", "Find what to test, and name the test file", asked),
        PlanStep("tests_step[1]", "Write Tests", "Write the tests", {"model": model}),
        PlanStep("summary_step", "Summarize Tests", "State what is really covered"),
    ]


def _asked(
    message: str, files: Sequence[str] | None, selected: Sequence[str] | None, model: str
) -> Mapping[str, Any]:
    _check("message", message)
    _check("model", model)
    return {
        "user_message": message,
        "file_references": list(files or ()),
        "selected_message_ids": list(selected or ()),
        "model": model,
    }


def _check(what: str, text: Any) -> None:
    if not isinstance(text, str) or not text.strip():
        raise ArgumentError(f"The {what} is empty.")
