"""Say what a document run did: first the facts, which are ours, then the fast model's words about them."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.ids import sha256_hex
from windlass.prompt import PromptTemplateVariable, VariableSource
from windlass.step import StepContext
from windlass.steps.chat import ChatStep
from windlass.steps.context import bullets
from windlass.steps.documents import DocumentState

SUMMARISE_PROMPT = """\
Sum up a finished piece of work for the person who asked for it.

# What the person asked
{{message}}

# What was really done
{{facts}}

Write two or three plain sentences. Claim nothing beyond the facts above; where something failed, say so first.
No headings.
"""

#: Files whose outcome is listed one by one.
_LISTED = 200


class SummariseStep(ChatStep):
    """One request to the fast model, whatever the main model is."""

    name = "summarise"
    title = "Summarize"
    description = "State what was done"
    variables: Sequence[PromptTemplateVariable] = (
        PromptTemplateVariable("message", VariableSource.USER_INPUT),
        PromptTemplateVariable("facts"),
    )
    default_prompt = SUMMARISE_PROMPT

    async def execute(self, ctx: StepContext[DocumentState]) -> str | None:
        """The facts, then the words."""
        state = ctx.state
        prompt = await ctx.render(self, message=state.options.message.strip(), facts=state.facts)
        words = await at_facts(ctx).ask_for(prompt, self.process_response, role="fast", what="summary")
        state.summary = f"{state.facts}\n\n{words}"
        return state.summary


def at_facts(ctx: StepContext[DocumentState]) -> StepContext[DocumentState]:
    """Where the words about these facts are recorded: a run that goes on after a failure has other facts to tell."""
    return ctx.recording_at(f"{ctx.path}[{sha256_hex(ctx.state.facts)[:8]}]")


def file_facts(state: DocumentState) -> str:
    """What became of each file, from the records alone."""
    lines = []
    for file in state.work.values():
        if file.error:
            lines.append(f"{file.path}: failed: {file.error}")
        else:
            lines.append(f"{file.path}: {file.change or 'not reached'}")
    failed = [line for line in lines if ": failed: " in line]
    shown = lines if len(lines) <= _LISTED else [*failed, f"{len(lines) - len(failed)} others: done"]
    done = len(lines) - len(failed)
    head = f"{done} of {len(lines)} file{'' if len(lines) == 1 else 's'} done" + (
        f", {len(failed)} failed:" if failed else ":"
    )
    return f"{head}\n{bullets(shown)}"
