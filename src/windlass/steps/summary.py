"""Say what was done: first what was really run, then the model's words about it."""

from __future__ import annotations

from windlass.prompt import PromptTemplate, PromptTemplateVariable, VariableSource
from windlass.step import BaseStep, StepContext
from windlass.steps.context import CodingState, plan_text
from windlass.steps.testing import count

SUMMARY_PROMPT = """\
Sum up a finished piece of programming work for the person who asked for it.

# Requirement
{{requirement}}

# Files written
{{plan}}

# What was really run
{{facts}}

Write two or three plain sentences: what the program now does and how to use it. Claim nothing about tests
or behaviour beyond the facts above. No headings, no code.
"""


class SummaryStep(BaseStep):
    """The facts, stated by us; the description, by the fast model."""

    name = "summary"
    title = "Summary"
    description = "State what was done and what was run"
    variables = (
        PromptTemplateVariable("requirement", VariableSource.USER_INPUT),
        PromptTemplateVariable("plan"),
        PromptTemplateVariable("facts"),
    )
    prompt_variables = variables
    prompt_template = PromptTemplate(SUMMARY_PROMPT, variables)
    default_prompt = SUMMARY_PROMPT

    @property
    def prompt_name(self) -> str:
        """Its prompt's name."""
        return "coding.summary"

    def process_response(self, response: str) -> str:
        """The reply without outer blank lines."""
        return response.strip()

    async def execute(self, ctx: StepContext[CodingState]) -> str | None:
        """One request to the fast model; the facts come first whatever it says."""
        state = ctx.state
        stated = facts(state)
        prompt = await ctx.render(
            self, requirement=state.requirement.strip(), plan=plan_text(state.plan), facts=stated
        )
        reply = await ctx.ask(prompt, role="fast")
        state.summary = f"{stated}\n\n{self.process_response(reply.text)}"
        return state.summary


def facts(state: CodingState) -> str:
    """What was run and how it ended, from the records alone."""
    if state.report is None:
        return "No tests were run."
    files = ", ".join(state.tests)
    told = f"Ran {files}: {state.report.outcome}"
    return told if not state.repairs else f"{told.rstrip('.')}, after {count(state.repairs, 'repair')}."
