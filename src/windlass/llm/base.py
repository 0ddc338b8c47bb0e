"""The seam to language models: one request in, one whole reply out, text passed on as it comes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Literal

#: Called with each piece of text as it arrives.
OnText = Callable[[str], None]


@dataclass(frozen=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Usage:
    """Tokens of one call, as the provider counted them; None = the provider did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None


@dataclass(frozen=True)
class Reply:
    """A whole reply. ``cost_usd`` is None when no price is known, never a guess.

    ``finish_reason`` is ``"stop"`` for a reply that reached its end; anything else never leaves the seam as a
    Reply but as TruncatedReply or ModelRefused.
    """

    text: str
    model: str
    usage: Usage = field(default_factory=Usage)
    cost_usd: Decimal | None = None
    finish_reason: str = "stop"
    detail: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON for the journal; :meth:`from_dict` gives back an equal reply."""
        return {
            "text": self.text,
            "model": self.model,
            "usage": asdict(self.usage),
            "cost_usd": None if self.cost_usd is None else str(self.cost_usd),
            "finish_reason": self.finish_reason,
            "detail": dict(self.detail),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reply:
        """The reply that :meth:`to_dict` described."""
        cost = data.get("cost_usd")
        return cls(
            text=data["text"],
            model=data["model"],
            usage=Usage(**data.get("usage", {})),
            cost_usd=None if cost is None else Decimal(cost),
            finish_reason=data.get("finish_reason", "stop"),
            detail=data.get("detail", {}),
        )


@dataclass(frozen=True)
class CallTags:
    """Where a request comes from; sent as ``X-Windlass-*`` headers when ``tag_requests`` is set, and
    what a scripted session may be keyed by.

    ``call`` is which of the step's calls this is, from 0; None = not said. It is not sent.
    """

    run_id: str = ""
    step: str = ""
    prompt: str = ""
    call: int | None = None


@dataclass(frozen=True)
class Price:
    """USD per million tokens, and where it comes from: catalogue, fixed, free, or unknown (both None)."""

    policy: Literal["catalogue", "fixed", "free", "unknown"]
    input_per_million: Decimal | None = None
    output_per_million: Decimal | None = None
    #: None = the provider has no cheaper rate for cached input (or it is not known).
    cached_per_million: Decimal | None = None

    def cost(self, usage: Usage) -> Decimal | None:
        """What the call cost in USD, or None when the price or the token counts are not known."""
        if self.policy == "free":
            return Decimal(0)
        if self.input_per_million is None or self.output_per_million is None:
            return None
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        cached = usage.cached_tokens or 0
        cached_rate = (
            self.cached_per_million if self.cached_per_million is not None else self.input_per_million
        )
        total = (
            (usage.input_tokens - cached) * self.input_per_million
            + cached * cached_rate
            + usage.output_tokens * self.output_per_million
        )
        return total / Decimal(1_000_000)


class BaseLLMIntegration(ABC):
    """One model, ready to be asked. Constructors do no I/O and import nothing heavy.

    Attributes: ``model_name`` (what to show and record), ``price``, ``max_output_tokens`` (the bound used for
    worst-case cost and sent to the provider), ``label`` (an extra word to show with every
    result, such as "scripted example, not a live model", or empty), ``concurrency`` (calls at once, None = no bound).
    """

    model_name: str
    price: Price = Price("unknown")
    max_output_tokens: int = 16_384
    label: str = ""
    concurrency: int | None = None
    #: What the provider allows this account, None = not limited here.
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    #: Models to ask instead, in order, when this one stays unavailable.
    fallbacks: Sequence[BaseLLMIntegration] = ()

    @property
    def limits_key(self) -> Hashable:
        """Models with equal keys share their limits; by default each has its own."""
        return self

    @abstractmethod
    async def request(
        self, messages: Sequence[Message], *, tags: CallTags | None = None, on_text: OnText | None = None
    ) -> Reply:
        """One HTTP request, no retries. Streams to ``on_text`` when it is given, else asks for one plain answer.

        Raises ModelUnavailable, ModelRefused or TruncatedReply, each with one sentence.
        """

    async def process_input_messages(self, messages: Sequence[Message | str]) -> str:
        """The reply's text to these messages (a bare string is a user's message)."""
        whole = [Message("user", m) if isinstance(m, str) else m for m in messages]
        return (await self.request(whole)).text

    async def close(self) -> None:  # noqa: B027  (most models hold nothing)
        """Give back connections. Safe to call twice."""


#: Makes an integration when it is first needed.
Factory = Callable[[], BaseLLMIntegration]
Ask = Callable[[Sequence[Message]], Awaitable[Reply]]
