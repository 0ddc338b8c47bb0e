"""Write one planned file."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.prompt import PromptTemplateVariable
from windlass.step import StepContext
from windlass.steps.answers import produce, render
from windlass.steps.documents import (
    FILE_HEAD,
    FILE_VARIABLES,
    PROSE_FORMAT,
    DocumentState,
    Instruction,
    code_format,
    file_values,
    read_file_reply,
    work_of,
)
from windlass.steps.save_file import SaveFileStep
from windlass.vocabulary import is_coding_file

_PLAN = """
# The plan for it
{{plan}}
"""

WRITE_FILE_PROMPT = (
    FILE_HEAD
    + _PLAN
    + """
# Your step: write the file
Write `{{path}}` as planned. Keep what is there and still needed.
{{form}}
"""
)

WRITE_CODE_FILE_PROMPT = (
    FILE_HEAD
    + _PLAN
    + """
# Your step: write the code
Write `{{path}}` as planned. Write complete, plain, working code in the style of what is there; keep what is there
and still needed.
{{form}}
"""
)

WRITE_VARIABLES = (*FILE_VARIABLES, PromptTemplateVariable("plan"), PromptTemplateVariable("form"))
WRITE_CODE = Instruction("documents.write_code_file", WRITE_CODE_FILE_PROMPT, WRITE_VARIABLES)


class WriteFileStep(SaveFileStep):
    """Writes one file from its plan and its present content; code with instructions of its own."""

    name = "write_file"
    title = "Writing to File"
    description = "Write the file"
    variables: Sequence[PromptTemplateVariable] = WRITE_VARIABLES
    default_prompt = WRITE_FILE_PROMPT

    async def execute(self, ctx: StepContext[DocumentState]) -> str | None:
        """Ask for the file, read it from the reply, save it."""
        file = work_of(ctx)
        form = code_format(file.present) if is_coding_file(file.path) else PROSE_FORMAT
        values = {**file_values(ctx.state, file), "plan": file.plan, "form": form}
        if is_coding_file(file.path):
            prompt = await render(ctx, WRITE_CODE, **values)
        else:
            prompt = await ctx.render(self, **values)
        file.text = await produce(
            ctx,
            prompt,
            lambda text: read_file_reply(text, file.path, file.present),
            what=f"content for {file.path}",
            form=form,
        )
        return await self.save(ctx, file)
