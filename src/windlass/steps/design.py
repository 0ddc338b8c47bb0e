"""Decide which files the work needs, what each is for, and which depends on which."""

from __future__ import annotations

import re

import pydantic

from windlass.errors import StepFailed, UnsafePath
from windlass.prompt import PromptTemplate, PromptTemplateVariable
from windlass.step import BaseStep, StepContext
from windlass.steps.context import (
    PROJECT_PARTIAL,
    PROJECT_VARIABLES,
    CodingState,
    PlannedFile,
    plan_text,
    project_values,
)
from windlass.steps.guard import steering
from windlass.steps.requirement import describe_project
from windlass.typed import read_json
from windlass.workspace import check_path

DESIGN_PROMPT = (
    PROJECT_PARTIAL
    + """
# Your step: design
Decide which files to create or change. Prefer few files; use the project's own layout where it has one.
{{bounds}}
List under "files" the source files only, each with one sentence on what it must offer (names, signatures, errors), and
in "depends_on" the listed files it imports. List under "tests" the pytest file or files that will check the work.

Answer with one JSON object and nothing else:
{"files": [{"path": "slug.py", "purpose": "…", "depends_on": []}], "tests": [{"path": "test_slug.py", "purpose": "…"}]}
"""
)


class Design(pydantic.BaseModel):
    """The files of the work."""

    files: list[PlannedFile]
    tests: list[PlannedFile] = pydantic.Field(default_factory=list)


_LIST_LINE = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+[`*]*([\w./-]+\.\w+)[`*]*\s*[:–—-]?\s*(.*)$", re.MULTILINE)


class ArchitectureDesignStep(BaseStep):
    """Gives the typed list of files with their purposes."""

    name = "design"
    title = "Design"
    description = "Decide on the files and their purposes"
    variables = (*PROJECT_VARIABLES, PromptTemplateVariable("bounds"))
    prompt_variables = variables
    prompt_template = PromptTemplate(DESIGN_PROMPT, variables)
    default_prompt = DESIGN_PROMPT

    @property
    def prompt_name(self) -> str:
        """Its prompt's name."""
        return "coding.design"

    def process_response(self, response: str) -> Design:
        """The design, from JSON or from a plain list of ``path: purpose``. ValueError when it is neither."""
        try:
            return read_json(response, Design)
        except ValueError as error:
            listed = [PlannedFile(path=p, purpose=why.strip()) for p, why in _LIST_LINE.findall(response)]
            if not listed:
                raise ValueError(str(error)) from None
            tests = [f for f in listed if is_test(f.path)]
            return Design(files=[f for f in listed if f not in tests], tests=tests)

    async def execute(self, ctx: StepContext[CodingState]) -> str | None:
        """Ask for the design; a plan that names a file it may not is sent back."""
        state, options = ctx.state, ctx.state.options
        bounds = f"Only these files may be written: {', '.join(options.files)}." if options.files else ""
        prompt = await ctx.render(self, **project_values(state, await describe_project(ctx)), bounds=bounds)

        def read(response: str) -> Design:
            try:
                return check_design(self.process_response(response), state)
            except ValueError:
                if not options.files:
                    raise
                # The person has said which files: an unreadable plan is no reason to pay again.
                ctx.notice("The plan could not be used as it was; going on with the files that were named.")
                return Design(files=[PlannedFile(path=p) for p in options.files])

        design = await ctx.ask_for(prompt, read, what="plan")
        state.plan = in_dependency_order(design.files)
        state.tests = list(options.tests) or [f.path for f in design.tests]
        if not state.tests:
            state.tests = [default_test_path(state.plan[0].path)]
        return plan_text(state.plan)


def is_test(path: str) -> bool:
    """Whether pytest would look into a file of that name by itself."""
    base = path.rsplit("/", 1)[-1]
    return base.endswith(".py") and (base.startswith("test_") or base.endswith("_test.py"))


def default_test_path(source: str) -> str:
    """Where the tests of a source file go when the design names none."""
    stem = source.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return f"test_{stem}.py"


def check_design(design: Design, state: CodingState) -> Design:
    """The design with its paths checked. ValueError says what to change."""
    bounds, given_tests = set(state.options.files), set(state.options.tests)
    files: dict[str, PlannedFile] = {}
    for file in design.files:
        path = _clean(file.path)
        if path in given_tests or (is_test(path) and path not in bounds):
            continue
        if bounds and path not in bounds:
            raise ValueError(f"{path} may not be written; only {', '.join(sorted(bounds))}.")
        reason = steering(path, state.options)
        if reason is not None:
            raise ValueError(f"{reason} Leave it out of the plan.")
        if path in files:
            raise ValueError(f"{path} is listed twice; list every file once.")
        depends = [_clean(d) for d in file.depends_on]
        files[path] = PlannedFile(path=path, purpose=file.purpose, depends_on=depends)
    if not files:
        raise ValueError('the plan lists no source file; list at least one under "files".')
    tests = {
        p: PlannedFile(path=p, purpose=f.purpose) for f in design.tests if (p := _clean(f.path)) not in files
    }
    for path in tests:
        if not is_test(path):
            raise ValueError(f"{path} is no pytest file name; call it test_….py.")
    return Design(files=list(files.values()), tests=list(tests.values()))


def _clean(path: str) -> str:
    try:
        return check_path(path.strip().removeprefix("./"))
    except UnsafePath as error:
        raise ValueError(str(error)) from None


def in_dependency_order(files: list[PlannedFile]) -> list[PlannedFile]:
    """Files after what they depend on, else as listed; a circle is left as listed."""
    return [file for wave in waves(files) for file in wave]


def waves(files: list[PlannedFile]) -> list[list[PlannedFile]]:
    """Groups of files that can be written side by side: each depends only on earlier groups."""
    left = list(files)
    done: set[str] = set()
    known = {file.path for file in files}
    result = []
    while left:
        ready = [f for f in left if all(d in done or d not in known or d == f.path for d in f.depends_on)]
        # A circle cannot be ordered: write the rest together, each from its purpose.
        group = ready or left
        result.append(group)
        done.update(f.path for f in group)
        left = [f for f in left if f not in group]
    if not result:
        raise StepFailed("The plan holds no file.")
    return result
