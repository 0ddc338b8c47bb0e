"""Do one thing to one file, knowing nothing of the others."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.errors import WorkspaceError
from windlass.prompt import PromptTemplateVariable
from windlass.step import StepContext
from windlass.steps.answers import produce
from windlass.steps.documents import (
    HEAD,
    HEAD_VARIABLES,
    PROSE_FORMAT,
    DocumentState,
    code_format,
    head_values,
    read_file_reply,
    show_present,
    work_of,
)
from windlass.steps.save_file import SaveFileStep
from windlass.vocabulary import is_coding_file

PROCESS_FILE_PROMPT = (
    HEAD
    + """
# Your step: one file
The person asks the above for each of several files. Do it for the one file below and no other; what need not change
stays as it is. When nothing in it has to change, answer with the file as it is.
{{form}}

# The file
{{present}}
"""
)


class ProcessFileStep(SaveFileStep):
    """Sends one file with the message, and writes what comes back to the file's own path."""

    name = "process_file"
    title = "Process"
    description = "Process one file"
    variables: Sequence[PromptTemplateVariable] = (
        *HEAD_VARIABLES,
        PromptTemplateVariable("form"),
        PromptTemplateVariable("present"),
    )
    default_prompt = PROCESS_FILE_PROMPT

    async def execute(self, ctx: StepContext[DocumentState]) -> str | None:
        """Read the file, ask, save."""
        file = work_of(ctx)
        file.present = await ctx.read(file.path)
        if file.present is None:
            raise WorkspaceError(f"There is no file {file.path} in the workspace.")
        form = code_format(file.present) if is_coding_file(file.path) else PROSE_FORMAT
        prompt = await ctx.render(self, **head_values(ctx.state), form=form, present=show_present(file))
        file.text = await produce(
            ctx,
            prompt,
            lambda text: read_file_reply(text, file.path, file.present),
            what=f"content for {file.path}",
            form=form,
        )
        return await self.save(ctx, file)
