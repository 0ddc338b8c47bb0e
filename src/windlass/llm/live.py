"""A live model. One request is one HTTP request; nothing is retried here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, Protocol
from urllib.parse import quote

from windlass.errors import ModelError, ModelRefused, ModelUnavailable, TruncatedReply
from windlass.llm import prices
from windlass.llm.base import BaseLLMIntegration, CallTags, Message, OnText, Price, Reply, Usage
from windlass.llm.config import ModelConfig, Target
from windlass.llm.faults import Teller
from windlass.llm.outcome import Outcome
from windlass.llm.provider import NO_KEY
from windlass.llm.thinking import ThinkingFilter, without_thinking


class Client(Protocol):
    """What asks the provider: :class:`windlass.llm.wire.Wire` or :class:`windlass.llm.theirs.Theirs`.

    ``timeout`` is seconds without a sign of life. Whatever they raise is told by :class:`windlass.llm.faults.Teller`.
    """

    async def plain(self, messages: Sequence[Message], headers: Mapping[str, str], timeout: float) -> Outcome:
        """The whole reply at once."""

    def stream(
        self, messages: Sequence[Message], headers: Mapping[str, str], timeout: float
    ) -> AsyncGenerator[str | Outcome]:
        """Pieces of text as they come ("" for a sign of life without any), then what they add up to."""

    async def close(self) -> None:
        """Close the connections."""


class LiveModel(BaseLLMIntegration):
    """A model behind HTTP. The first request imports what it needs and connects; the constructor does neither."""

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
        outcome: Outcome | None = None
        async with (
            self._time_limit(said),
            aclosing(self._exchange(client, messages, tags, on_text, said)) as pieces,
        ):
            async for piece in pieces:
                if not isinstance(piece, str):
                    outcome = piece
                elif on_text is not None:
                    said.append(piece)
                    on_text(piece)
        assert outcome is not None
        return self._judge(outcome)

    async def close(self) -> None:
        """Close the connections. The next request opens new ones."""
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop() and not client.cancelled():
            try:
                built = await client
            except ModelError:
                return  # it was never built, so there is nothing to close
            await built.close()

    async def _connected(self) -> Client:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # Connections belong to the event loop that opened them. The imports take 1-2 s, so they happen in a
            # thread while the loop goes on drawing.
            self._loop = loop
            self._client = loop.run_in_executor(None, self._build)
        return await asyncio.shield(self._client)

    def _build(self) -> Client:
        client = self._wire() or self._theirs()
        # Loaded here, in the thread, not in the event loop.
        self._price = prices.look_up(self._price, self.target)
        return client

    def _wire(self) -> Client | None:
        """For a server that is not OpenAI's: nearly all speak chat completions, few the Responses API. What an alias
        sets in ``options`` is in pydantic-ai's words, so it goes through pydantic-ai."""
        target = self.target
        if target.provider not in ("openai", "openai-chat") or target.own or self.config.options:
            return None
        assert target.base_url is not None
        from windlass.llm.wire import Wire

        return Wire(target.base_url, target.name, target.api_key or NO_KEY, self.max_output_tokens)

    def _theirs(self) -> Client:
        try:
            from pydantic_ai.exceptions import UserError

            from windlass.llm.theirs import Theirs
        except ImportError as error:
            raise self._tell.cannot_start(error) from error
        settings = {**self.config.options, "max_tokens": self.max_output_tokens}
        try:
            return Theirs(self.target, settings)
        except (ImportError, UserError, ValueError) as error:
            raise self._tell.cannot_start(error) from None

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
    ) -> AsyncGenerator[str | Outcome]:
        """The pieces of text when someone listens, then what the whole comes to.

        Failures of the call are translated here, where the listener's own cannot be mistaken for them.
        """
        headers, limits = self._headers(tags), self.config.timeouts
        try:
            if on_text is None:
                yield await client.plain(messages, headers, limits.total)
                return
            thinking = ThinkingFilter()
            async with aclosing(client.stream(messages, headers, limits.total)) as pieces:
                with self._silence("did not begin to answer", limits.first_token, said):
                    async with asyncio.timeout(limits.first_token):
                        piece = await anext(pieces, None)
                while isinstance(piece, str):
                    if text := thinking.feed(piece):
                        yield text
                    with self._silence("did not go on with its reply", limits.between_tokens, said):
                        async with asyncio.timeout(limits.between_tokens):
                            piece = await anext(pieces, None)
                if text := thinking.end():
                    yield text
                assert piece is not None
                yield piece
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

    def _headers(self, tags: CallTags | None) -> dict[str, str]:
        headers = dict(self.config.headers)
        if self.config.tag_requests and tags is not None:
            headers |= tag_headers(tags)
        return headers

    def _judge(self, outcome: Outcome) -> Reply:
        """The reply, or the error that an incomplete, refused or empty one is."""
        text = without_thinking(outcome.text)
        usage, place, finish = outcome.usage, self._tell.place, outcome.finish
        counted = usage if usage != Usage() else None
        if finish == "length":
            raise TruncatedReply(
                f"{place} stopped at its output limit ({self.max_output_tokens} tokens): raise max_output_tokens or "
                "ask for less at once.",
                partial=text,
                at_limit=True,
                usage=counted,
            )
        if finish == "content_filter":
            reason = f": {outcome.refusal}" if outcome.refusal else ""
            raise ModelRefused(
                f"{place} refused to answer{reason}.", partial=text, maybe_paid=True, usage=counted
            )
        if finish == "tool_call":
            raise ModelRefused(
                f"{place} called a tool, but was offered none.", partial=text, maybe_paid=True, usage=counted
            )
        if finish == "error":
            raise ModelUnavailable(f"{place} broke off with an error.", partial=text, usage=counted)
        if not outcome.ended:
            # No usage: what had been counted by then is less than what the provider will charge.
            raise TruncatedReply(
                f"The reply of {place} broke off before its end; nothing of it was used.", partial=text
            )
        if not text.strip():
            raise ModelUnavailable(f"{place} sent an empty reply.", usage=counted)
        cost = self._cost(usage, outcome.priced)
        return Reply(text, self.model_name, usage, cost, "stop", dict(outcome.detail))

    def _cost(self, usage: Usage, priced: Any) -> Any:
        price = self.price
        if price.policy == "catalogue":
            return prices.catalogue_cost(self.target, usage, priced)
        return price.cost(usage)


def tag_headers(tags: CallTags) -> dict[str, str]:
    """``X-Windlass-*`` headers, percent-encoded so that any path or name is a legal header value."""
    named = {"Run": tags.run_id, "Step": tags.step, "Prompt": tags.prompt}
    return {f"X-Windlass-{name}": quote(value, safe="/:@[].,;=+ ") for name, value in named.items() if value}
