"""parse_list: the items of a plain-text list, and nothing else."""

from __future__ import annotations

import pytest

from windlass.replies import extract_markdown_list_items, parse_list


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("- a\n- b\n", ["a", "b"]),
        ("* a\n+ b\n- c", ["a", "b", "c"]),
        ("1. a\n2) b\n10. c", ["a", "b", "c"]),
        ("**1.** a\n**2.** b", ["a", "b"]),
        ("**1. Title**\n**2. Other**: more", ["Title", "**Other**: more"]),
        ("- a\n  goes on\n- b\ngoes on too\n", ["a goes on", "b goes on too"]),
        ("- a\n\n  second paragraph\n- b\n", ["a second paragraph", "b"]),
        ("Here:\n\n- a\n- b\n\nThat is all.\n", ["a", "b"]),
        ("- a\n  - nested\n    more\n- b", ["a", "b"]),
        ("1. a\n   - nested\n2. b", ["a", "b"]),
        ("---\n- a\n***\n- b\n* * *\n", ["a", "b"]),
        ("<think>\n- no\n</think>\n- yes", ["yes"]),
        ("- no\n</think>\n- yes", ["yes"]),
        ("- a\n```\n- code\n```\n- b", ["a", "b"]),
        ("~~~text\n- code\n~~~\n- b", ["b"]),
        ("- [ ] open\n- [x] done", ["open", "done"]),
        ("## Head\n- a\n## Other\n- b", ["a", "b"]),
        ("- a\r\n- b\r\n", ["a", "b"]),
        ("  - a\n  - b\n", ["a", "b"]),
        ("-a\n*b*\n1.5 is a number\n", []),
        ("-\n- a\n", ["a"]),
        ("- **Bold**: text\n", ["**Bold**: text"]),
        ("", []),
        ("no list here", []),
    ],
)
def test_items(text: str, items: list[str]) -> None:
    assert parse_list(text) == items


def test_the_old_name() -> None:
    assert extract_markdown_list_items("- a\n1. b") == ["a", "b"]
