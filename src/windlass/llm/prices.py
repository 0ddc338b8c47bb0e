"""What a call costs: the catalogue that comes with genai-prices, a stated price, nothing, or unknown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from windlass.llm.base import Price, Usage
from windlass.llm.config import ModelConfig, Target

UNKNOWN = Price("unknown")
FREE = Price("free")

#: Where genai-prices calls a provider by another name than pydantic-ai.
_CATALOGUE_NAMES = {
    "openai-chat": "openai",
    "openai-responses": "openai",
    "google-cloud": "google",
    "bedrock": "aws",
    "xai": "x-ai",
}


def policy(config: ModelConfig, target: Target) -> Price:
    """The price policy of a model, without looking anything up: a ``catalogue`` price has no numbers yet.

    The catalogue goes by name, so it holds only at the provider's own address; anywhere else the price is unknown
    unless the settings state it.
    """
    if config.price is not None:
        return config.price
    if target.provider == "ollama":
        # Ollama runs models called …-cloud on its own servers, whatever the address.
        return FREE if target.local and not target.name.endswith("-cloud") else UNKNOWN
    return Price("catalogue") if target.own else UNKNOWN


def look_up(price: Price, target: Target) -> Price:
    """``price`` with the catalogue's numbers filled in; unknown when the catalogue lacks the model.

    Loads genai-prices' bundled data (about 0.5 s the first time, no network). Where a provider charges more for long
    inputs the highest rate is given, because the numbers bound what a call may cost.
    """
    if price.policy != "catalogue" or price.input_per_million is not None:
        return price
    entry = _entry(target)
    if entry is None:
        return UNKNOWN
    input_rate, output_rate = _highest(entry.input_mtok), _highest(entry.output_mtok)
    if input_rate is None or output_rate is None:
        return UNKNOWN
    return Price("catalogue", input_rate, output_rate, _highest(entry.cache_read_mtok))


def catalogue_cost(target: Target, usage: Usage, details: Any) -> Decimal | None:
    """What a call cost by the catalogue, in USD, with its tiers and cache-write rates; None when it cannot be said.

    ``details`` is pydantic-ai's usage object, which knows more kinds of tokens than :class:`Usage`.
    """
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    from genai_prices import calc_price

    try:
        priced = calc_price(details, target.name, provider_id=_catalogue_name(target))
    except (LookupError, ValueError):
        # Not in the catalogue; or counts that contradict each other, such as more cached tokens than were sent.
        return None
    return priced.total_price


def _entry(target: Target) -> Any | None:
    from datetime import UTC, datetime

    from genai_prices.data_snapshot import get_snapshot

    try:
        _, model = get_snapshot().find_provider_model(target.name, None, _catalogue_name(target), None)
    except LookupError:
        return None
    return model.get_prices(datetime.now(UTC))


def _catalogue_name(target: Target) -> str:
    return _CATALOGUE_NAMES.get(target.provider, target.provider)


def _highest(rate: Any) -> Decimal | None:
    if rate is None or isinstance(rate, Decimal):
        return rate
    return max([Decimal(rate.base), *(Decimal(tier.price) for tier in rate.tiers)])
