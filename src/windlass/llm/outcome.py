"""What a provider's whole answer comes to, before it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from windlass.llm.base import Usage


@dataclass(frozen=True)
class Outcome:
    """``text`` still holds a thinking block at its start. ``finish`` is ``stop``, ``length``, ``content_filter``,
    ``tool_call``, ``error`` or another word of the provider's; ``ended`` is False when the reply broke off.
    ``priced`` is what the catalogue can count, where it is more than ``usage``."""

    text: str
    finish: str | None
    ended: bool
    usage: Usage
    refusal: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    priced: Any = None
