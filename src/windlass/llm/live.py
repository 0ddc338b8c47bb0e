"""A live model, asked through pydantic-ai. One request is one HTTP request; nothing is retried here."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from windlass.errors import ModelError, ModelRefused, ModelUnavailable, TruncatedReply
from windlass.llm import prices
from windlass.llm.base import BaseLLMIntegration, CallTags, Message, OnText, Price, Reply, Usage
from windlass.llm.config import ModelConfig, Target
from windlass.llm.faults import Teller
from windlass.llm.thinking import ThinkingFilter, without_thinking

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model
    from pydantic_ai.settings import ModelSettings
    from pydantic_ai.usage import RequestUsage

#: More than any call can have, and the most that every table takes.
_MOST_TOKENS = 2**31 - 1


@dataclass(frozen=True)
class Client:
    """A pydantic-ai model and whether it makes up a finish reason that the provider did not send."""

    model: Model
    invents_finish: bool
    http: httpx2.AsyncClient | None
    #: pydantic-ai's settings that every request of this model carries.
    settings: Mapping[str, Any]


class LiveModel(BaseLLMIntegration):
    """A model behind pydantic-ai. The first request imports it and connects; the constructor does neither."""

    def __init__(self, config: ModelConfig, target: Target) -> None:
        self.config = config
        self.target = target
        self.model_name = config.model
        self.max_output_tokens = config.max_output_tokens
        self.concurrency = config.concurrency
        self.requests_per_minute = config.requests_per_minute
        self.tokens_per_minute = config.tokens_per_minute
        self._price = prices.policy(config, target)
        secrets = tuple(
            s for s in (target.api_key, config.api_key, *config.headers.values()) if s and len(s) > 3
        )
        self._tell = Teller(config.model, target, secrets)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: asyncio.Future[Client] | None = None

    @property
    def price(self) -> Price:  # type: ignore[override]
        """USD per million tokens. Reading a catalogue price loads the catalogue (about 0.5 s, once, no network)."""
        self._price = prices.look_up(self._price, self.target)
        return self._price

    @property
    def limits_key(self) -> Hashable:
        """Models that are made anew for each run share the limits of their account."""
        config = self.config
        limits = (config.concurrency, config.requests_per_minute, config.tokens_per_minute)
        return (config.model, self.target.base_url, self.target.api_key, limits)

    async def request(
        self, messages: Sequence[Message], *, tags: CallTags | None = None, on_text: OnText | None = None
    ) -> Reply:
        """One HTTP request; cancelling it closes the connection.

        Raises ModelUnavailable, ModelRefused or TruncatedReply; what had come is on the error as ``partial``.
        """
        client = await self._connected()
        said: list[str] = []
        response: ModelResponse | None = None
        async with (
            self._time_limit(said),
            aclosing(self._exchange(client, messages, tags, on_text, said)) as pieces,
        ):
            async for piece in pieces:
                if not isinstance(piece, str):
                    response = piece
                elif on_text is not None:
                    said.append(piece)
                    on_text(piece)
        assert response is not None
        return self._judge(response, client)

    async def close(self) -> None:
        """Close the connections. The next request opens new ones."""
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop() and not client.cancelled():
            try:
                built = await client
            except ModelError:
                return  # it was never built, so there is nothing to close
            async with built.model:
                pass  # leaving the context is how pydantic-ai closes an HTTP client that it made
            if built.http is not None:
                await built.http.aclose()

    async def _connected(self) -> Client:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # Connections belong to the event loop that opened them. The imports take 1-2 s, so they happen in a
            # thread while the loop goes on drawing.
            self._loop = loop
            self._client = loop.run_in_executor(None, self._build)
        return await asyncio.shield(self._client)

    def _build(self) -> Client:
        try:
            importlib.import_module("pydantic_ai.direct")
            from pydantic_ai.exceptions import UserError

            from windlass.llm.http import new_client
            from windlass.llm.provider import build_model, ends_by_itself, keep_for_good, without_retries
        except ImportError as error:
            raise self._tell.cannot_start(error) from error
        http = new_client()
        try:
            model = build_model(self.target, http)
        except (ImportError, UserError, ValueError) as error:
            raise self._tell.cannot_start(error) from None
        self._price = prices.look_up(
            self._price, self.target
        )  # loaded here, in the thread, not in the event loop
        settings: dict[str, Any] = {
            **self.config.options,
            "max_tokens": self.max_output_tokens,
            "timeout": self.config.timeouts.total,
        }
        keep_for_good()
        if not without_retries(model):
            settings["max_retries"] = 0
        return Client(model, ends_by_itself(model), http, settings)

    @asynccontextmanager
    async def _time_limit(self, said: list[str]) -> AsyncIterator[None]:
        total = self.config.timeouts.total
        deadline = asyncio.timeout(total)
        try:
            async with deadline:
                yield
        except TimeoutError:
            if not deadline.expired():
                raise
            raise self._tell.too_slow("did not finish its reply", total, "".join(said)) from None

    async def _exchange(
        self,
        client: Client,
        messages: Sequence[Message],
        tags: CallTags | None,
        on_text: OnText | None,
        said: list[str],
    ) -> AsyncGenerator[str | ModelResponse]:
        """The pieces of text when someone listens, then the whole response.

        Failures of the call are translated here, where the listener's own cannot be mistaken for them.
        """
        from pydantic_ai.direct import model_request, model_request_stream

        asked, settings = _to_theirs(messages), self._settings(client, tags)
        try:
            if on_text is None:
                yield await model_request(client.model, asked, model_settings=settings)
                return
            limits, thinking = self.config.timeouts, ThinkingFilter()
            async with AsyncExitStack() as stack:
                opening = model_request_stream(client.model, asked, model_settings=settings)
                with self._silence("did not begin to answer", limits.first_token, said):
                    async with asyncio.timeout(limits.first_token):
                        stream = await stack.enter_async_context(opening)
                        events = aiter(stream)
                        event = await anext(events, None)
                while event is not None:
                    if text := thinking.feed(_text_of(event)):
                        yield text
                    with self._silence("did not go on with its reply", limits.between_tokens, said):
                        async with asyncio.timeout(limits.between_tokens):
                            event = await anext(events, None)
                if text := thinking.end():
                    yield text
                yield stream.get()
        except (ModelError, Warning):
            raise
        except Exception as error:
            # Every provider's SDK lets other exceptions through when a server sends nonsense. Whatever it is, the call
            # was made and failed, may have been paid for, and belongs in the journal. `from None`: their messages may
            # quote headers and keys.
            raise self._tell.translate(error, "".join(said)) from None

    @contextmanager
    def _silence(self, what: str, seconds: float, said: list[str]) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise self._tell.too_slow(what, seconds, "".join(said)) from None

    def _settings(self, client: Client, tags: CallTags | None) -> ModelSettings:
        headers = dict(self.config.headers)
        if self.config.tag_requests and tags is not None:
            headers |= tag_headers(tags)
        settings = dict(client.settings)
        if headers:
            settings["extra_headers"] = headers
        return settings  # type: ignore[return-value]

    def _judge(self, response: ModelResponse, client: Client) -> Reply:
        """The reply, or the error that an incomplete, refused or empty one is."""
        text = _whole_text(response)
        usage = _usage(response.usage)
        counted = usage if usage != Usage() else None
        place, finish = self._tell.place, response.finish_reason
        details = response.provider_details or {}
        if finish == "length":
            raise TruncatedReply(
                f"{place} stopped at its output limit ({self.max_output_tokens} tokens): raise max_output_tokens or "
                "ask for less at once.",
                partial=text,
                at_limit=True,
                usage=counted,
            )
        if finish == "content_filter":
            words = details.get("refusal")
            reason = f": {words}" if isinstance(words, str) and words else ""
            raise ModelRefused(
                f"{place} refused to answer{reason}.", partial=text, maybe_paid=True, usage=counted
            )
        if finish == "tool_call":
            raise ModelRefused(
                f"{place} called a tool, but was offered none.", partial=text, maybe_paid=True, usage=counted
            )
        if finish == "error":
            raise ModelUnavailable(f"{place} broke off with an error.", partial=text, usage=counted)
        ended = "finish_reason" in details if client.invents_finish else finish is not None
        if not ended or response.state != "complete":
            # No usage: what had been counted by then is less than what the provider will charge.
            raise TruncatedReply(
                f"The reply of {place} broke off before its end; nothing of it was used.", partial=text
            )
        if not text.strip():
            raise ModelUnavailable(f"{place} sent an empty reply.", usage=counted)
        return Reply(
            text, self.model_name, usage, self._cost(usage, response.usage), "stop", _detail(response)
        )

    def _cost(self, usage: Usage, theirs: RequestUsage) -> Any:
        price = self.price
        if price.policy == "catalogue":
            return prices.catalogue_cost(self.target, usage, theirs)
        return price.cost(usage)


def tag_headers(tags: CallTags) -> dict[str, str]:
    """``X-Windlass-*`` headers, percent-encoded so that any path or name is a legal header value."""
    named = {"Run": tags.run_id, "Step": tags.step, "Prompt": tags.prompt}
    return {f"X-Windlass-{name}": quote(value, safe="/:@[].,;=+ ") for name, value in named.items() if value}


def _to_theirs(messages: Sequence[Message]) -> list[ModelMessage]:
    from pydantic_ai.messages import (
        ModelRequest,
        ModelRequestPart,
        ModelResponse,
        SystemPromptPart,
        TextPart,
        UserPromptPart,
    )

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
    from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


def _whole_text(response: ModelResponse) -> str:
    # Joined without separators, so that the reply equals what was streamed.
    from pydantic_ai.messages import TextPart

    return without_thinking("".join(part.content for part in response.parts if isinstance(part, TextPart)))


def _usage(usage: RequestUsage) -> Usage:
    if usage.unmeasured_requests or not usage.has_values():
        return Usage()
    sent, said, cached = map(_count, (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens))
    if cached is not None and sent is not None and cached > sent:
        cached = None
    # pydantic-ai says 0 both for "no cached tokens" and for "not mentioned".
    return Usage(sent, said, cached or None)


def _count(told: float) -> int | None:
    """A number of tokens; None for what can be none. It comes from the server as it was sent, and a reply that was paid
    for must not be lost to it."""
    return int(told) if 0 <= told <= _MOST_TOKENS and told == int(told) else None


def _detail(response: ModelResponse) -> dict[str, Any]:
    detail = {"provider_model": response.model_name, "response_id": response.provider_response_id}
    return {key: value for key, value in detail.items() if value}
