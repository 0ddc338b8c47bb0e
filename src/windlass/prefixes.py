"""How much of what a run sends could come from a provider's prompt cache: beginnings that were sent before."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from typing import Any

from windlass.journal import Entry

#: Characters in a token, where the provider did not count.
_CHARS_PER_TOKEN = 4


def request_text(messages: Iterable[Any]) -> str:
    """A request's messages as one text, as they follow each other on the wire."""
    return "".join(f"\0{message['role']}\0{message['content']}" for message in messages)


def shared_prefixes(texts: Sequence[str]) -> list[int]:
    """For each text, the length of the longest beginning that it shares with an earlier one, in characters."""
    earlier: list[str] = []
    lengths = []
    for text in texts:
        # Among sorted texts, the one that shares the most stands directly before or after.
        at = bisect.bisect_left(earlier, text)
        lengths.append(max((_common(text, other) for other in earlier[max(0, at - 1) : at + 1]), default=0))
        earlier.insert(at, text)
    return lengths


def cacheable_tokens(entries: Sequence[Entry]) -> int:
    """Input tokens of a run that were, byte for byte, the beginning of an earlier request of the same run.

    What a fork took over was sent by another run. An estimate: the share of each request's characters, of the tokens that the provider counted for it.
    """
    calls = [entry for entry in entries if entry.kind == "model"]
    texts = [request_text(entry.request["messages"]) for entry in calls]
    total = 0.0
    for entry, text, shared in zip(calls, texts, shared_prefixes(texts), strict=True):
        if entry.copied_from is not None:
            continue
        tokens = entry.input_tokens if entry.input_tokens is not None else len(text) / _CHARS_PER_TOKEN
        total += tokens * shared / len(text)
    return round(total)


def _common(one: str, other: str) -> int:
    """Length of the common beginning, found by halving: comparing slices is far quicker than characters."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
