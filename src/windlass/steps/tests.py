"""Write the tests before the code."""

from __future__ import annotations

from windlass.errors import ReplyError
from windlass.prompt import PromptTemplate, PromptTemplateVariable
from windlass.replies import parse_reply
from windlass.step import BaseStep, StepContext
from windlass.steps.context import (
    FILE_FORMAT,
    PROJECT_PARTIAL,
    PROJECT_VARIABLES,
    CodingState,
    plan_text,
    project_values,
)
from windlass.steps.requirement import describe_project

TESTS_PROMPT = (
    PROJECT_PARTIAL
    + """
# Planned files
{{plan}}

# Your step: tests
Write the pytest file `{{path}}`. The planned files do not exist yet; import from them as the plan says.
Check every acceptance criterion, the plain cases first, then edges and errors. Test behaviour that the
requirement states, never details that a right solution could do otherwise. No network, no clock, no files
outside the test's own temporary folder.

"""
    + FILE_FORMAT
)


class TestGenerationStep(BaseStep):
    """Writes the test files of the design. Left out when the person gave tests."""

    __test__ = False  # not a test class, whatever its name

    name = "test_generation"
    title = "Tests"
    description = "Write the tests first"
    variables = (*PROJECT_VARIABLES, PromptTemplateVariable("plan"), PromptTemplateVariable("path"))
    prompt_variables = variables
    prompt_template = PromptTemplate(TESTS_PROMPT, variables)
    default_prompt = TESTS_PROMPT

    @property
    def prompt_name(self) -> str:
        """Its prompt's name."""
        return "coding.tests"

    def process_response(self, response: str) -> dict[str, str | None]:
        """The files of a reply."""
        return parse_reply(response, asked_for=None, known_files={})

    async def execute(self, ctx: StepContext[CodingState]) -> str | None:
        """One request a test file, side by side."""
        state = ctx.state
        if state.options.tests:
            ctx.skip("Tests were given; they are read-only.")
            return None
        project = await describe_project(ctx)

        async def write_one(branch: StepContext[CodingState], path: str) -> str:
            before = await branch.read(path)
            prompt = await branch.render(
                self, **project_values(state, project), plan=plan_text(state.plan), path=path
            )
            texts = await branch.ask_files(
                prompt,
                asked_for=[path],
                known_files={} if before is None else {path: before},
                what=f"test file {path}",
            )
            # A reply that repeats the file as it is names no change.
            if texts.get(path, before) is None:
                raise ReplyError("no_file", f"The model gave no content for {path}.")
            await branch.write(texts)
            return path

        written = await ctx.each(state.tests, write_one, module=lambda path: f"Write {path}")
        return "Wrote " + ", ".join(written)
