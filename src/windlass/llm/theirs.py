"""A model asked through pydantic-ai, which knows every provider and what each of its models takes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    SystemPromptPart,
    TextPart,
    TextPartDelta,
    UserPromptPart,
)

from windlass.llm.base import Message, Usage
from windlass.llm.config import Target
from windlass.llm.outcome import Outcome
from windlass.llm.provider import build_model, ends_by_itself

if TYPE_CHECKING:
    from pydantic_ai.settings import ModelSettings
    from pydantic_ai.usage import RequestUsage


class Theirs:
    """Asks one model; ``settings`` are pydantic-ai's. Raises its, the SDK's and the HTTP library's errors."""

    def __init__(self, target: Target, settings: Mapping[str, Any]) -> None:
        self._model = build_model(target)
        self._settings = settings
        self._invents_finish = ends_by_itself(self._model)

    async def close(self) -> None:
        """Close the connections."""
        async with self._model:
            pass  # leaving the context is how pydantic-ai closes the HTTP client it made

    async def plain(self, messages: Sequence[Message], headers: Mapping[str, str], timeout: float) -> Outcome:
        """The whole reply at once."""
        response = await model_request(
            self._model, _to_theirs(messages), model_settings=self._with(headers, timeout)
        )
        return self._outcome(response)

    async def stream(
        self, messages: Sequence[Message], headers: Mapping[str, str], timeout: float
    ) -> AsyncGenerator[str | Outcome]:
        """Pieces of text as they come ("" for a sign of life without any), then what they add up to."""
        opening = model_request_stream(
            self._model, _to_theirs(messages), model_settings=self._with(headers, timeout)
        )
        async with opening as stream:
            async for event in stream:
                yield _text_of(event)
            yield self._outcome(stream.get())

    def _with(self, headers: Mapping[str, str], timeout: float) -> ModelSettings:
        settings: dict[str, Any] = {**self._settings, "max_retries": 0, "timeout": timeout}
        if headers:
            settings["extra_headers"] = dict(headers)
        return settings  # type: ignore[return-value]

    def _outcome(self, response: ModelResponse) -> Outcome:
        details = response.provider_details or {}
        words = details.get("refusal")
        finish = response.finish_reason
        ended = "finish_reason" in details if self._invents_finish else finish is not None
        detail = {"provider_model": response.model_name, "response_id": response.provider_response_id}
        return Outcome(
            # Joined without separators, so that the reply equals what was streamed.
            "".join(part.content for part in response.parts if isinstance(part, TextPart)),
            finish,
            ended=ended and response.state == "complete",
            usage=_usage(response.usage),
            refusal=words if isinstance(words, str) else "",
            detail={key: value for key, value in detail.items() if value},
            priced=response.usage,
        )


def _to_theirs(messages: Sequence[Message]) -> list[ModelMessage]:
    theirs: list[ModelMessage] = []
    pending: list[ModelRequestPart] = []
    for message in messages:
        if message.role == "assistant":
            if pending:
                theirs.append(ModelRequest(parts=pending))
                pending = []
            theirs.append(ModelResponse(parts=[TextPart(message.content)]))
        elif message.role == "system":
            pending.append(SystemPromptPart(message.content))
        else:
            pending.append(UserPromptPart(message.content))
    if pending:
        theirs.append(ModelRequest(parts=pending))
    return theirs


def _text_of(event: Any) -> str:
    """The text that a stream event adds to the reply; thinking and tool calls add none."""
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


def _usage(usage: RequestUsage) -> Usage:
    if usage.unmeasured_requests or not usage.has_values():
        return Usage()
    # pydantic-ai says 0 both for "no cached tokens" and for "not mentioned".
    return Usage(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens or None)
