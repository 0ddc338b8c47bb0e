"""What the coding steps share: the state of a run, and the part of the prompt that they all begin with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pydantic

from windlass.errors import StepFailed
from windlass.prompt import PromptTemplateVariable, VariableSource
from windlass.testreport import TestReport

#: Text that a prompt may carry from files, in characters; more is refused rather than cut.
MAX_CONTEXT = 600_000

#: The coding workflow fills this in; the same words first in every prompt let providers reuse their cache.
PROJECT_PARTIAL = """\
You are working on one Python project, step by step, with other steps before and after yours.

# Requirement
{{requirement}}

# Acceptance criteria
{{criteria}}

# Project
{{project}}
"""

FILE_FORMAT = """\
Answer with the file's path alone on a line, then the whole file in one fenced code block, and nothing
else. Never shorten it, and never write a comment such as "rest unchanged" in place of code."""

PROJECT_VARIABLES = (
    PromptTemplateVariable("requirement", VariableSource.USER_INPUT, allow_llm_refinement=True),
    PromptTemplateVariable("criteria"),
    PromptTemplateVariable("project", allow_code_context_building=True),
)


class PlannedFile(pydantic.BaseModel):
    """A file that the design asks for."""

    path: str
    purpose: str = ""
    depends_on: list[str] = pydantic.Field(default_factory=list)


@dataclass(frozen=True)
class CodingOptions:
    """What a coding run was asked for. ``files`` bound what may be written when given; ``tests`` are read-only."""

    requirement: str
    files: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    max_repairs: int = 3
    #: Go on without asking a person.
    assume_yes: bool = False
    #: Files to bring into the workspace before the first step: text by path.
    imports: Mapping[str, str] = field(default_factory=dict)


@dataclass
class CodingState:
    """What the steps of one coding run hand on to each other."""

    options: CodingOptions
    requirement: str
    criteria: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    plan: list[PlannedFile] = field(default_factory=list)
    #: Test files, read-only from the moment they are known.
    tests: list[str] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    report: TestReport | None = None
    repairs: int = 0
    summary: str = ""

    @property
    def targets(self) -> list[str]:
        """The files that implementation and repair may write."""
        return [file.path for file in self.plan]


def bullets(lines: Sequence[str], empty: str = "(none stated)") -> str:
    """Lines as a Markdown list."""
    return "\n".join(f"- {line}" for line in lines) or empty


def show_files(files: Mapping[str, str], empty: str = "(none)") -> str:
    """Files for a prompt: each path on a line, then its text in a fence that its content cannot close."""
    parts = []
    for path, text in files.items():
        longest = max(map(len, re.findall("`+", text)), default=0)
        fence = "`" * max(3, longest + 1)
        parts.append(
            f"{path}\n{fence}\n{text if text.endswith(chr(10)) or not text else text + chr(10)}{fence}"
        )
    shown = "\n\n".join(parts)
    if len(shown) > MAX_CONTEXT:
        raise StepFailed(
            f"The files to show the model hold {len(shown):,} characters, more than {MAX_CONTEXT:,}; "
            "name fewer or smaller ones with --file."
        )
    return shown or empty


def plan_text(plan: Sequence[PlannedFile]) -> str:
    """The design as a Markdown list."""
    return bullets([f"`{file.path}`: {file.purpose or 'no purpose stated'}" for file in plan])


def project_values(state: CodingState, listing: str) -> dict[str, str]:
    """The values of :data:`PROJECT_PARTIAL`."""
    return {
        "requirement": state.requirement.strip(),
        "criteria": bullets(state.criteria),
        "project": listing,
    }
