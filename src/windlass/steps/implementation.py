"""Write the planned files: those that do not depend on each other side by side."""

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
    PlannedFile,
    plan_text,
    project_values,
    show_files,
)
from windlass.steps.design import waves
from windlass.steps.guard import refuse_steering
from windlass.steps.requirement import describe_project

IMPLEMENTATION_PROMPT = (
    PROJECT_PARTIAL
    + """
# Planned files
{{plan}}

# Tests that must pass (read-only)
{{tests}}

# Finished files that yours may import
{{files}}

# Your step: implementation
Write `{{path}}`: {{purpose}}
Its present content:
{{present}}

Keep what is there and still needed. Write complete, plain, working Python for Python 3.11; use the standard
library unless the project already depends on more.

"""
    + FILE_FORMAT
)


class ImplementationStep(BaseStep):
    """Writes each planned file, given the tests, the finished files it depends on and its present content."""

    name = "implementation"
    title = "Implementation"
    description = "Write the planned files"
    variables = (
        *PROJECT_VARIABLES,
        *(PromptTemplateVariable(n) for n in ("plan", "tests", "files", "path", "purpose", "present")),
    )
    prompt_variables = variables
    prompt_template = PromptTemplate(IMPLEMENTATION_PROMPT, variables)
    default_prompt = IMPLEMENTATION_PROMPT

    @property
    def prompt_name(self) -> str:
        """Its prompt's name."""
        return "coding.implementation"

    def process_response(self, response: str) -> dict[str, str | None]:
        """The files of a reply."""
        return parse_reply(response, asked_for=None, known_files={})

    async def execute(self, ctx: StepContext[CodingState]) -> str | None:
        """Wave by wave, in the order of the dependencies."""
        state = ctx.state
        project = await describe_project(ctx)
        tests = show_files(await ctx.read_files(state.tests))

        for wave in waves(state.plan):
            by_path = {file.path: file for file in wave}

            async def write_one(
                branch: StepContext[CodingState], path: str, by_path: dict[str, PlannedFile] = by_path
            ) -> None:
                file = by_path[path]
                before = await branch.read(path)
                needed = await branch.read_files([d for d in file.depends_on if d != path])
                prompt = await branch.render(
                    self,
                    **project_values(state, project),
                    plan=plan_text(state.plan),
                    tests=tests,
                    files=show_files(needed),
                    path=path,
                    purpose=file.purpose or "what the requirement asks of it",
                    present="(it does not exist yet)" if before is None else show_files({path: before}),
                )
                known = {} if before is None else {path: before}

                def read(text: str) -> dict[str, str | None]:
                    texts = parse_reply(text, asked_for=[path], known_files=known)
                    refuse_steering(texts, known, state.options)
                    return texts

                texts = await branch.ask_for(prompt, read, what=f"content for {path}")
                if texts.get(path, "") is None:
                    raise ReplyError(
                        "delete_not_allowed",
                        f"The model wants to delete {path}, which it was asked to write.",
                    )
                await branch.write(texts)

            await ctx.each(list(by_path), write_one, module=lambda path: f"Write {path}")
        return "Wrote " + ", ".join(state.targets)
