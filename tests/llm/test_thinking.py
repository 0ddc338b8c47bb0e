"""A thinking block at the start is taken out, however the stream is cut; nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.llm.thinking import ThinkingFilter, without_thinking


def in_pieces(text: str, size: int) -> str:
    filtered = ThinkingFilter()
    return "".join(filtered.feed(text[i : i + size]) for i in range(0, len(text), size)) + filtered.end()


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("<think>a</think>b", "b"),
        (" \n<think>a</think>\n\n b\n", "b\n"),
        ("<thinking>a</thinking>b", "b"),
        ("<think>a</thinking>b</think>c", "c"),
        ("<think>never closed", ""),
        ("<think>only</think> \n", ""),
        ("a <think>b</think> c", "a <think>b</think> c"),
        ("<thin", "<thin"),
        ("<thin>x", "<thin>x"),
        ("  text", "  text"),
        ("", ""),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_examples(text: str, visible: str, size: int) -> None:
    assert in_pieces(text, size) == without_thinking(text) == visible


@given(st.text(alphabet="<>/think ab\n"), st.integers(1, 9))
def test_the_cut_does_not_matter(text: str, size: int) -> None:
    assert in_pieces(text, size) == without_thinking(text)


@given(st.text())
def test_text_that_does_not_begin_with_a_tag_is_untouched(text: str) -> None:
    assert without_thinking("x" + text) == "x" + text
