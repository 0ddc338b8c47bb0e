"""One prompt, one reply, one judgement: the workflow behind a comparison's plain cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from windlass.config import WorkflowTemplateStepsConfig
from windlass.errors import StepFailed
from windlass.journal import RunRecord
from windlass.prompt import PromptTemplate
from windlass.step import BaseStep, StepContext
from windlass.trials import judge
from windlass.workflow import StepWorkflow


@dataclass(frozen=True)
class TrialState:
    """The prompt on trial, the values it is filled with, and what is expected of the reply."""

    prompt: str
    values: Mapping[str, str]
    expect: Mapping[str, Any]


class TrialStep(BaseStep):
    """Asks once and judges the reply."""

    name = "trial"
    title = "Trial"
    description = "Ask once and judge the reply"
    default_prompt = "A trial has the text of the prompt that it tries."

    @property
    def prompt_name(self) -> str:
        """The prompt on trial."""
        state = getattr(getattr(self, "workflow", None), "trial_state", None)
        return state.prompt if state is not None else "trial"

    def process_response(self, response: str) -> str:
        """The reply as it is."""
        return response

    async def execute(self, ctx: StepContext[TrialState]) -> str | None:
        """StepFailed says in which way the reply is not as expected."""
        resolved = self.resolve_prompt(ctx.effects.run_id)
        known = PromptTemplate(resolved.content).names
        prompt = await ctx.render(self, **{k: v for k, v in ctx.state.values.items() if k in known})
        reply = await ctx.ask(prompt)
        problem = judge(self.process_response(reply.text), ctx.state.expect)
        if problem is not None:
            raise StepFailed(f"Not as expected: {problem}.")
        return "As expected."


class TrialWorkflow(StepWorkflow[TrialState]):
    """One step: ask and judge."""

    name = "trial_workflow"
    title = "Trial"
    config: WorkflowTemplateStepsConfig = {"steps": {"trial_step": {"step_class": TrialStep}}}  # noqa: RUF012

    def __init__(self, state: TrialState, *, run_id: str) -> None:
        self.trial_state = state
        super().__init__(run_id=run_id)

    def new_state(self) -> TrialState:
        """The trial itself."""
        return self.trial_state


def build(record: RunRecord) -> TrialWorkflow:
    """The workflow of a stored run."""
    options = record.options
    (name,) = options["prompt_texts"]
    return TrialWorkflow(TrialState(name, options["values"], options["expect"]), run_id=record.run_id)
