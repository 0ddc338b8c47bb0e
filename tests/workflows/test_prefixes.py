"""How much a prompt cache could serve, against the plain definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from windlass.journal import Entry, EntryState
from windlass.prefixes import cacheable_tokens, shared_prefixes


def plainly(texts: list[str]) -> list[int]:
    def common(one: str, other: str) -> int:
        length = 0
        while length < min(len(one), len(other)) and one[length] == other[length]:
            length += 1
        return length

    return [max((common(text, e) for e in texts[:n]), default=0) for n, text in enumerate(texts)]


@given(st.lists(st.text("ab", max_size=12), max_size=12))
def test_the_longest_beginning_sent_before(texts: list[str]) -> None:
    assert shared_prefixes(texts) == plainly(texts)


def test_tokens_are_the_share_of_what_the_provider_counted() -> None:
    def entry(content: str, tokens: int | None) -> Entry:
        request = {"messages": [{"role": "user", "content": content}]}
        return Entry("r", "p", "model", "d", EntryState.DONE, request=request, input_tokens=tokens)

    alike = [entry("x" * 1000, 250), entry("x" * 1000, 250)]
    assert cacheable_tokens(alike) == 250
    half = [entry("x" * 1000, 250), entry("x" * 500 + "y" * 500, None)]
    assert 120 <= cacheable_tokens(half) <= 130
    assert cacheable_tokens(alike[:1]) == 0
