"""Run the tests in the sandbox; repair what fails, as long as that changes anything."""

from __future__ import annotations

from collections.abc import Mapping

from windlass.errors import ReplyError, StepFailed
from windlass.prompt import PromptTemplate, PromptTemplateVariable, VariableSource
from windlass.replies import parse_reply
from windlass.step import BaseStep, StepContext
from windlass.steps.context import FILE_FORMAT, CodingState, show_files
from windlass.steps.guard import refuse_steering
from windlass.testreport import TestReport

REPAIR_PROMPT = """\
You repair a Python project whose tests fail.

# Requirement
{{requirement}}

# Tests (read-only)
{{tests}}

# Files you may change
{{files}}

# What the tests say
{{failure}}

# Your step: repair
Find the cause in the files above before you change anything. Change only what is wrong; the tests stay as they are.
You may answer with whole files, or with SEARCH/REPLACE blocks whose SEARCH part is copied exactly from the file.

""" + FILE_FORMAT.replace("Answer with", "For a whole file, answer with")


class TestingStep(BaseStep):
    """Runs the tests; while they fail, the repair sub-step changes the files and they run again."""

    __test__ = False  # not a test class, whatever its name

    name = "testing"
    title = "Testing"
    description = "Run the tests in the sandbox"
    runs_substeps = True
    default_prompt = "Run the tests of the project and repair what fails."

    @property
    def prompt_name(self) -> str:
        """Its prompt's name. The step itself asks no model; the name is kept for the record."""
        return "coding.testing"

    def process_response(self, response: str) -> str:
        """The reply as it is: the step itself asks no model."""
        return response

    async def execute(self, ctx: StepContext[CodingState]) -> str | None:
        """Ends well only when every test passed; StepFailed says why it stopped."""
        state = ctx.state
        seen: set[str] = set()
        state.report = await ctx.run_tests(state.tests)
        repair = self.steps.get("repair")
        while not state.report.ok:
            report = state.report
            if report.signature in seen:
                raise StepFailed(
                    f"The same failure came twice, so repairing stopped after {state.repairs}: {report.outcome}"
                )
            if repair is None or state.repairs >= state.options.max_repairs:
                raise StepFailed(f"Tests still fail after {count(state.repairs, 'repair')}: {report.outcome}")
            seen.add(report.signature)
            state.repairs += 1
            await ctx.run(repair, key=str(state.repairs), module=f"Repair {state.repairs}")
            state.report = await ctx.run_tests(state.tests)
        return state.report.outcome


class RepairStep(BaseStep):
    """One repair: the failing output and the present files go in, corrected files come out."""

    name = "repair"
    title = "Repair"
    description = "Change the files so that the tests pass"
    variables = (
        PromptTemplateVariable("requirement", VariableSource.USER_INPUT),
        *(PromptTemplateVariable(n) for n in ("tests", "files", "failure")),
    )
    prompt_variables = variables
    prompt_template = PromptTemplate(REPAIR_PROMPT, variables)
    default_prompt = REPAIR_PROMPT

    @property
    def prompt_name(self) -> str:
        """Its prompt's name."""
        return "coding.repair"

    def process_response(self, response: str) -> dict[str, str | None]:
        """The files of a reply."""
        return parse_reply(response, asked_for=None, known_files={})

    async def execute(self, ctx: StepContext[CodingState]) -> str | None:
        """Ask for changes to the planned files and write them, all or none."""
        state = ctx.state
        assert state.report is not None
        files = await ctx.read_files(state.targets)
        prompt = await ctx.render(
            self,
            requirement=state.requirement.strip(),
            tests=show_files(await ctx.read_files(state.tests)),
            files=show_files(files),
            failure=describe_failure(state.report),
        )

        def read(text: str) -> dict[str, str | None]:
            changed = read_repair(text, state.targets, files)
            refuse_steering(changed, files, state.options)
            return changed

        texts = await ctx.ask_for(prompt, read, what="repair")
        await ctx.write(texts)
        return "Changed " + ", ".join(sorted(texts)) if texts else "Changed nothing."


def read_repair(text: str, targets: list[str], files: Mapping[str, str]) -> dict[str, str | None]:
    """The changed files of a repair reply: any of the targets, not necessarily all. Raises ReplyError."""
    if len(targets) == 1:
        return parse_reply(text, asked_for=targets, known_files=files)
    changed = parse_reply(text, asked_for=None, known_files=files)
    for path in changed:
        if path not in targets:
            raise ReplyError(
                "unexpected_file",
                f"{path} may not be changed here; only {', '.join(targets)}.",
                path=path,
            )
    return changed


def describe_failure(report: TestReport) -> str:
    """The outcome and the output, for a model."""
    return f"{report.outcome}\n\n```\n{report.output.strip()}\n```"


def count(number: int, noun: str) -> str:
    """``1 repair``, ``2 repairs``, ``no repair``."""
    if number == 0:
        return f"no {noun}"
    return f"{number} {noun}" + ("" if number == 1 else "s")
