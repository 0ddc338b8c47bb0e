"""An edit keeps the line ends, byte order mark and last line of the file it changes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.errors import WorkspaceError
from windlass.workspace.text import to_bytes, to_text

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60) | st.lists(
    st.sampled_from(["a", "b c", "", "\r", "\ufeff"]), max_size=8
).flatmap(lambda parts: st.sampled_from(["\n", "\r\n"]).map(lambda newline: newline.join(parts)))


@pytest.mark.parametrize(
    ("new", "existing", "expected"),
    [
        ("a\nb\n", None, b"a\nb\n"),
        ("a\r\nb\r\n", None, b"a\nb\n"),
        ("\ufeffa\n", None, b"a\n"),
        ("a", None, b"a"),
        ("a\n", b"", b"a\n"),
        ("a\nb\n", b"x\r\ny\r\n", b"a\r\nb\r\n"),
        ("a\r\nb\r\n", b"x\r\ny\r\n", b"a\r\nb\r\n"),
        ("a\r\nb\n", b"x\r\ny\r\n", b"a\r\nb\r\n"),
        ("a\r\nb\r\n", b"x\ny\n", b"a\nb\n"),
        ("a\r\nb\nc\n", b"x\r\ny\n", b"a\r\nb\nc\n"),
        ("a\n", b"\xef\xbb\xbfx\n", b"\xef\xbb\xbfa\n"),
        ("\ufeffa\n", b"\xef\xbb\xbfx\n", b"\xef\xbb\xbfa\n"),
        ("\ufeffa\n", b"x\n", b"a\n"),
        ("a\n", b"x", b"a"),
        ("a\r\n", b"x\r\ny", b"a"),
        ("a", b"x\n", b"a\n"),
        ("a", b"x\r\n", b"a\r\n"),
        ("", b"x\n", b""),
        ("one\rtwo\n", b"x\n", b"one\rtwo\n"),
        ("one\r", b"x\n", b"one\n"),
        ("a", b"x\r\ny\n", b"a\n"),
    ],
)
def test_the_existing_file_sets_the_style(new: str, existing: bytes | None, expected: bytes) -> None:
    assert to_bytes(new, existing) == expected


@given(new=texts, existing=st.none() | texts.map(str.encode))
def test_doing_it_twice_changes_nothing_more(new: str, existing: bytes | None) -> None:
    once = to_bytes(new, existing)
    assert to_bytes(to_text("f", once), existing) == once


@given(texts)
def test_writing_back_what_was_read_changes_nothing(text: str) -> None:
    data = text.encode()
    once = to_bytes(to_text("f", data), data)
    assert once == data or text.startswith("\ufeff\ufeff")


@given(new=texts, existing=texts)
def test_only_line_ends_marks_and_the_last_newline_differ(new: str, existing: str) -> None:
    def bare(text: str) -> str:
        return re.sub(r"\r*\n", "\n", text).lstrip("\ufeff").rstrip("\r\n")

    assert bare(to_bytes(new, existing.encode()).decode()) == bare(new)


@pytest.mark.parametrize(
    ("new", "existing", "says"),
    [
        ("a", b"\x89PNG\0\0", "a.txt is a binary file"),
        ("a", b"caf\xe9", "a.txt is not UTF-8 text"),
        ("a\0b", None, "a.txt would hold a NUL"),
        ("a\ud800b", None, "a.txt would hold half a character"),
    ],
)
def test_what_is_not_text_is_refused_by_name(new: str, existing: bytes | None, says: str) -> None:
    with pytest.raises(WorkspaceError, match=says):
        to_bytes(new, existing, path="a.txt")


def test_reading_drops_the_mark_and_keeps_line_ends() -> None:
    assert to_text("f", b"\xef\xbb\xbfa\r\nb") == "a\r\nb"
