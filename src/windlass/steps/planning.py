"""Plan one file before it is written."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.prompt import PromptTemplateVariable
from windlass.step import StepContext
from windlass.steps.chat import ChatStep
from windlass.steps.documents import FILE_HEAD, FILE_VARIABLES, DocumentState, file_values, work_of

PLAN_FILE_PROMPT = (
    FILE_HEAD
    + """
# Your step: plan the file
Plan what the file will hold: its parts in order, and for each what it says or does. Name what of its present content
stays as it is. Keep the plan short, as a Markdown list; do not write the file itself.
"""
)


class PlanFileStep(ChatStep):
    """The plan of one file, for the step that writes it. It is never saved to the file."""

    name = "plan_file"
    title = "Planning Response"
    description = "Plan the file"
    variables: Sequence[PromptTemplateVariable] = FILE_VARIABLES
    default_prompt = PLAN_FILE_PROMPT

    async def execute(self, ctx: StepContext[DocumentState]) -> str | None:
        """The plan."""
        file = work_of(ctx)
        file.present = await ctx.read(file.path)
        prompt = await ctx.render(self, **file_values(ctx.state, file))
        file.plan = await ctx.ask_for(prompt, self.process_response, what=f"plan for {file.path}")
        return file.plan
