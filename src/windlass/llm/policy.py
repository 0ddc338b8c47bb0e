"""Retries, waiting and fallbacks around a model: what makes one call out of several attempts."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from windlass.errors import ModelError, ModelUnavailable, TruncatedReply
from windlass.llm.base import BaseLLMIntegration, CallTags, Message, OnText, Reply
from windlass.llm.limits import Gates, Sleep

#: Characters in a token, to estimate what a call will count for under tokens_per_minute.
_CHARS_PER_TOKEN = 4


class Attempts(Protocol):
    """Told about every attempt, in order; numbers count from 1 over all models of the call.

    ``started`` comes before the request: an exception from it (no budget left) ends the call, and nothing is sent.
    Each started attempt ends in ``succeeded`` or ``failed``, except one that is cancelled, which has neither.
    """

    async def started(self, model: BaseLLMIntegration, number: int) -> None:
        """About to send a request: reserve, journal."""

    async def succeeded(self, model: BaseLLMIntegration, number: int, reply: Reply) -> None:
        """The whole reply is here: journal, settle."""

    async def failed(
        self, model: BaseLLMIntegration, number: int, error: ModelError, retry_in: float | None
    ) -> None:
        """The attempt failed: ``error`` carries partial text, usage and whether it may have been paid.

        ``retry_in``: seconds until the same model is asked again, None when it will not be.
        """

    def restarted(self) -> None:
        """Text that was streamed is void, because another attempt begins: clear it."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently a model is asked. Seconds.

    The wait before attempt n+1 is drawn evenly from 0 to ``base * 2**(n-1)``, at most ``longest`` ("full jitter",
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), and never less than the provider asked
    for, up to ``retry_after_cap``.
    """

    attempts: int = 7
    base: float = 1.0
    longest: float = 30.0
    retry_after_cap: float = 60.0

    def wait(self, number: int, error: ModelError, drawn: float) -> float:
        """Seconds to wait after attempt ``number`` (from 1); ``drawn`` is a random number from 0 to 1."""
        backoff = drawn * min(self.longest, self.base * 2.0 ** (number - 1))
        asked = getattr(error, "retry_after", None) or 0.0
        return max(backoff, min(asked, self.retry_after_cap))


@dataclass(frozen=True)
class Asker:
    """Asks models under a policy. One per process, so that runs share each model's limits."""

    policy: RetryPolicy = RetryPolicy()
    gates: Gates = field(default_factory=Gates)
    sleep: Sleep = asyncio.sleep
    draw: Callable[[], float] = random.random

    async def ask(
        self,
        model: BaseLLMIntegration,
        messages: Sequence[Message],
        attempts: Attempts,
        *,
        tags: CallTags | None = None,
        on_text: OnText | None = None,
    ) -> Reply:
        """A whole reply from ``model``, or from its fallbacks in order when it stays unavailable.

        Only what may pass is tried again: ModelUnavailable, and a reply that broke off. ModelRefused and a reply
        that reached its output limit are raised at once, as is whatever ``attempts`` raises. When nothing is left to
        try, raises the last model's error, which then says how often it was tried.
        """
        call = _Call(self, messages, attempts, tags, on_text)
        candidates = [model, *model.fallbacks]
        for place, candidate in enumerate(candidates, start=1):
            reply = await call.ask(candidate, has_fallback=place < len(candidates))
            if reply is not None:
                return reply
        raise call.gave_up()


@dataclass
class _Call:
    """One call under way."""

    asker: Asker
    messages: Sequence[Message]
    attempts: Attempts
    tags: CallTags | None
    on_text: OnText | None
    number: int = 0
    streamed: bool = False
    error: ModelError | None = None

    async def ask(self, model: BaseLLMIntegration, *, has_fallback: bool) -> Reply | None:
        """The reply, or None when the model stays unavailable."""
        policy = self.asker.policy
        for tried in range(1, policy.attempts + 1):
            if self.streamed:
                self.streamed = False
                self.attempts.restarted()
            self.number += 1
            try:
                reply = await self._attempt(model)
            except ModelError as error:
                self.error = error
                wait = policy.wait(tried, error, self.asker.draw())
                again = _may_pass(error) and tried < policy.attempts
                if again and has_fallback and _asks_too_long(error, policy):
                    again = False
                await self.attempts.failed(model, self.number, error, wait if again else None)
                if not _may_pass(error):
                    raise
                if not again:
                    return None
                await self.asker.sleep(wait)
            else:
                await self.attempts.succeeded(model, self.number, reply)
                return reply
        return None

    async def _attempt(self, model: BaseLLMIntegration) -> Reply:
        expected = sum(len(message.content) for message in self.messages) // _CHARS_PER_TOKEN
        async with self.asker.gates.of(model).admit(expected) as ticket:
            await self.attempts.started(model, self.number)
            on_text = None if self.on_text is None else self._pass_on
            reply = await model.request(self.messages, tags=self.tags, on_text=on_text)
            ticket.tokens = (reply.usage.input_tokens or expected) + (reply.usage.output_tokens or 0)
            return reply

    def _pass_on(self, text: str) -> None:
        self.streamed = True
        assert self.on_text is not None
        self.on_text(text)

    def gave_up(self) -> ModelError:
        """The last error, saying how often it was tried."""
        error = self.error
        assert error is not None
        if self.number == 1:
            return error
        told = copy.copy(error)
        told.args = (f"{error} Tried {self.number} times.",)
        return told


def _may_pass(error: ModelError) -> bool:
    return isinstance(error, ModelUnavailable) or (isinstance(error, TruncatedReply) and not error.at_limit)


def _asks_too_long(error: ModelError, policy: RetryPolicy) -> bool:
    # A fallback is sooner there than a provider that wants us to stay away for longer than we ever wait.
    return (getattr(error, "retry_after", None) or 0.0) > policy.retry_after_cap
