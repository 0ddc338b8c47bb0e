"""Answer a message."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.errors import ReplyError
from windlass.prompt import PromptTemplateVariable
from windlass.replies.thinking import strip_thinking
from windlass.step import StepContext
from windlass.steps.answers import produce
from windlass.steps.documents import (
    EXCHANGES,
    HEAD_VARIABLES,
    INTRO,
    MESSAGE,
    REFERENCES,
    DocumentState,
    DocumentStep,
    head_values,
)

CHAT_PROMPT = (
    INTRO
    + REFERENCES
    + EXCHANGES
    + MESSAGE
    + """
# Your step: answer
Answer the person directly, in their language. Say so where you do not know something.
"""
)


class ChatStep(DocumentStep):
    """One answer, passed on as it comes when somebody watches. ``role`` says which model gives it."""

    name = "chat"
    title = "Chat"
    description = "Answer the message"
    variables: Sequence[PromptTemplateVariable] = HEAD_VARIABLES
    default_prompt = CHAT_PROMPT
    role = "main"

    def process_response(self, response: str) -> str:
        """The answer without thinking and outer blank lines. ReplyError when nothing is left."""
        return plain_answer(response)

    async def execute(self, ctx: StepContext[DocumentState]) -> str | None:
        """The answer."""
        prompt = await ctx.render(self, **head_values(ctx.state))
        ctx.state.answer = await produce(
            ctx,
            prompt,
            self.process_response,
            what="answer",
            form="Answer with the improved answer alone.",
            role=self.role,
        )
        return ctx.state.answer


def plain_answer(response: str) -> str:
    """A reply's text without thinking and outer blank lines. ReplyError when nothing is left."""
    text, open_thought = strip_thinking(response)
    if open_thought or not text.strip():
        raise ReplyError("empty", "The reply holds no answer; give one.")
    return text.strip()
