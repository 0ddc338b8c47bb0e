"""A model for unit tests: answers from a list or a function, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from windlass.errors import ModelRefused
from windlass.llm.base import BaseLLMIntegration, CallTags, Message, OnText, Price, Reply, Usage
from windlass.llm.prices import FREE

#: A text, a whole reply, or an error to raise.
Response = str | Reply | Exception


@dataclass(frozen=True)
class Asked:
    """One request that a :class:`ScriptedLLM` got."""

    messages: Sequence[Message]
    tags: CallTags
    streamed: bool

    @property
    def text(self) -> str:
        """The last message, which is the one a step just wrote."""
        return self.messages[-1].content


@dataclass(eq=False)
class ScriptedLLM(BaseLLMIntegration):
    """Answers with ``responses`` in order, or with what the function says to each request.

    An exception in place of a text is raised. Once the list is used up, every further request is refused. Streams in
    pieces of ``chunk`` characters.
    """

    responses: Sequence[Response] | Callable[[Asked], Response]
    model_name: str = "test:scripted"
    price: Price = FREE
    usage: Usage = field(default_factory=lambda: Usage(10, 20))
    chunk: int = 16
    label: str = ""
    concurrency: int | None = None
    max_output_tokens: int = 16_384
    fallbacks: Sequence[BaseLLMIntegration] = ()
    requests: list[Asked] = field(default_factory=list)
    closed: int = 0

    async def request(
        self, messages: Sequence[Message], *, tags: CallTags | None = None, on_text: OnText | None = None
    ) -> Reply:
        """The next response."""
        asked = Asked(tuple(messages), tags or CallTags(), on_text is not None)
        self.requests.append(asked)
        response = self._next(asked)
        if isinstance(response, Exception):
            raise response
        if isinstance(response, str):
            response = Reply(response, self.model_name, self.usage, self.price.cost(self.usage))
        if on_text is not None:
            for start in range(0, len(response.text), self.chunk):
                on_text(response.text[start : start + self.chunk])
        return response

    def _next(self, asked: Asked) -> Response:
        if callable(self.responses):
            return self.responses(asked)
        number = len(self.requests)
        if number > len(self.responses):
            raise ModelRefused(f"The test's list of {len(self.responses)} replies is used up.")
        return self.responses[number - 1]

    async def close(self) -> None:
        """Counts; see ``closed``."""
        self.closed += 1
