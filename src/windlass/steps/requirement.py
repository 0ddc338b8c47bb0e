"""Understand the requirement: acceptance criteria, open questions, and a person's say."""

from __future__ import annotations

from typing import Any

import pydantic

from windlass.errors import StepFailed
from windlass.prompt import PromptTemplate, PromptTemplateVariable, VariableSource
from windlass.step import BaseStep, StepContext
from windlass.steps.context import CodingState, bullets, show_files
from windlass.typed import read_json

_FORMAT = """\
Answer with one JSON object and nothing else:
{"acceptance_criteria": ["one checkable sentence", "…"], "open_questions": ["only what cannot be decided sensibly without asking"]}
"""

REQUIREMENT_PROMPT = (
    """\
You prepare a programming task for the developers who will carry it out in Python.

# Requirement
{{requirement}}

# Project
{{project}}

# How to approach it
1. Read the requirement twice. Keep every name, signature, format and message that it states.
2. Write down what must be true when the work is done: one checkable sentence each, edge cases and errors included.
3. Choose the plain reading wherever there is one; ask only where two readings lead to different programs.

"""
    + _FORMAT
)

REFINE_PROMPT = (
    """\
A programming task was discussed with the person who wants it.

# Requirement
{{requirement}}

# Acceptance criteria so far
{{criteria}}

# Questions that were asked
{{questions}}

# What the person answered
{{answers}}

Bring the acceptance criteria up to date with the answers; leave out questions that are settled.

"""
    + _FORMAT
)


class Refined(pydantic.BaseModel):
    """What a model makes of a requirement."""

    acceptance_criteria: list[str] = pydantic.Field(default_factory=list)
    open_questions: list[str] = pydantic.Field(default_factory=list)


def _read(response: str) -> Refined:
    try:
        return read_json(response, Refined)
    except ValueError:
        # A reply in plain words still cost money and the requirement itself is known: go on with that.
        return Refined()


class RequirementStep(BaseStep):
    """Turns the person's words into acceptance criteria and open questions."""

    name = "requirement"
    title = "Requirement"
    description = "Work out acceptance criteria and open questions"
    runs_substeps = True
    requirement_variable = PromptTemplateVariable(
        "requirement", VariableSource.USER_INPUT, allow_code_context_building=True, allow_llm_refinement=True
    )
    variables = (requirement_variable, PromptTemplateVariable("project", allow_code_context_building=True))
    prompt_variables = variables
    prompt_template = PromptTemplate(REQUIREMENT_PROMPT, variables)
    default_prompt = REQUIREMENT_PROMPT

    @property
    def prompt_name(self) -> str:
        """Its prompt's name."""
        return "coding.requirement"

    def construct_prompt(self, requirement: str = "", **values: Any) -> str:
        """The prompt for this requirement, with the way to approach it. Raises TemplateError when it is empty."""
        if not requirement.strip():
            raise StepFailed("The requirement is empty; say what the program must do.")
        values.setdefault("project", "(empty)")
        return super().construct_prompt(requirement=requirement, **values)

    def process_response(self, response: str) -> Refined:
        """The criteria and questions; a reply that holds no JSON gives neither."""
        return _read(response)

    async def execute(self, ctx: StepContext[CodingState]) -> str | None:
        """Ask once, then let the refine sub-step have the person's say."""
        state = ctx.state
        project = await describe_project(ctx)
        prompt = await ctx.render(self, requirement=state.requirement, project=project)
        refined = self.process_response((await ctx.ask(prompt)).text)
        state.criteria, state.questions = refined.acceptance_criteria, refined.open_questions
        for sub in self.steps.values():
            await ctx.run(sub)
        return bullets(state.criteria, "No acceptance criteria beyond the requirement itself.")


class RefineStep(BaseStep):
    """Shows what was understood; a person may approve, answer or rewrite it."""

    name = "refine"
    title = "Refine"
    description = "Let a person approve, answer or edit"
    variables = (
        PromptTemplateVariable("requirement", VariableSource.USER_INPUT),
        *(PromptTemplateVariable(n) for n in ("criteria", "questions", "answers")),
    )
    prompt_variables = variables
    prompt_template = PromptTemplate(REFINE_PROMPT, variables)
    default_prompt = REFINE_PROMPT

    @property
    def prompt_name(self) -> str:
        """Its prompt's name."""
        return "coding.refine"

    def process_response(self, response: str) -> Refined:
        """The criteria brought up to date."""
        return _read(response)

    async def execute(self, ctx: StepContext[CodingState]) -> str | None:
        """Nothing to do with ``--yes``, or when nobody is there and nothing is open; else ask the person."""
        state = ctx.state
        if state.options.assume_yes:
            return "Went on without asking."
        if not ctx.can_ask and not state.questions:
            return "Nothing to ask."
        answer = await ctx.ask_person(
            "requirement",
            "Is this what you want?" if not state.questions else "Please answer the open questions.",
            {
                "requirement": state.requirement,
                "acceptance_criteria": state.criteria,
                "open_questions": state.questions,
            },
        )
        if answer.action == "reject":
            raise StepFailed("The requirement was rejected; nothing was written.")
        if answer.action == "edit":
            state.requirement = answer.text
        if answer.action == "approve" or not answer.text.strip():
            return "Approved."
        prompt = await ctx.render(
            self,
            requirement=state.requirement,
            criteria=bullets(state.criteria),
            questions=bullets(state.questions),
            answers=answer.text
            if answer.action == "answer"
            else "(The person rewrote the requirement above.)",
        )
        refined = self.process_response((await ctx.ask(prompt)).text)
        if answer.action == "answer":
            state.requirement = (
                f"{state.requirement.rstrip()}\n\nAnswers from the person:\n{answer.text.strip()}"
            )
        if refined.acceptance_criteria:
            state.criteria = refined.acceptance_criteria
        state.questions = refined.open_questions
        return bullets(state.criteria)


async def describe_project(ctx: StepContext[CodingState]) -> str:
    """The listing of the workspace, and the whole text of the files that the person named."""
    names = await ctx.list_files()
    if not names:
        return "(an empty folder)"
    given = [n for n in (*ctx.state.options.files, *ctx.state.options.tests) if n in names]
    shown = names[:400]
    listing = "\n".join(shown) + (f"\n… and {len(names) - 400} more" if len(names) > 400 else "")
    if not given:
        return f"Files:\n{listing}"
    return f"Files:\n{listing}\n\n{show_files(await ctx.read_files(given))}"
