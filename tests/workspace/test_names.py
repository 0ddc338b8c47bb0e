"""Which names are usable: the corpus, the kinds behind it, and what holds for any text."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.workspace.names import UnsafePath, check_path, collision_key

CORPUS = Path(__file__).parents[2] / "../shared/corpus/paths.jsonl"
CASES = [json.loads(line) for line in CORPUS.read_text().splitlines()] if CORPUS.exists() else []


@pytest.mark.skipif(not CASES, reason="the corpus is not here")
@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case["name"])[:40])
def test_the_corpus(case: dict[str, str]) -> None:
    try:
        outcome, why = "ok", check_path(case["name"])
    except UnsafePath as error:
        outcome, why = "refuse", error.reason
    assert outcome == case["expect"], f"{case['why']} ({why})"


@pytest.mark.parametrize(
    "name",
    [
        # steps and empties
        "",
        ".",
        "...",
        "a/.",
        "a/..",
        "a/",
        "//server/share",
        "a/.../b",
        "\u2024\u2024/x",
        "\u2025/x",
        # separators in disguise
        "a\u2215b",
        "a\u2044b",
        "\ufe68x",
        "a\u2105b",
        "\uff23\uff1ax",
        # streams, URLs and drives
        "a.txt:hidden",
        ".git::$INDEX_ALLOCATION/config",
        "data:text/plain,x",
        "s3://b/k",
        "\\\\server\\share",
        # characters
        "a|b",
        "a>b",
        "a\tb",
        "a\nb",
        "a\rb",
        "a\x85b",
        "a\u2029b",
        "a\u00adb",
        "a\u2066b",
        "a\u200db",
        "a\u061cb",
        "a\ufe0fb",
        "a\u3164b",
        "a\U000e0041b",
        "a\ue000b",
        "a\uffffb",
        # ends
        "dir./x",
        "dir /x",
        "x\u00a0",
        "x\uff0e",
        # options and homes
        "-",
        "a/-x",
        "~",
        "a/~x",
        # version control
        ".Git",
        ".g\u200cit/config",
        "\uff0egit/config",
        ".\uff47it/config",
        "GIT~1",
        "a/GIT~2/x",
        ".\u017fvn/x",
        ".bzr/x",
        "CVS/Entries",
        # devices
        "nul",
        "NUL.tar.gz",
        "com1.log",
        "LPT\u00b2.txt",
        "CONOUT$",
        "con .txt",
        "\uff23\uff2f\uff2e",
        "prn/x",
        # sizes
        "a" * 256,
        "/".join(["d" * 40] * 26),
        "/".join("d" * 33),
    ],
)
def test_refused(name: str) -> None:
    with pytest.raises(UnsafePath) as refusal:
        check_path(name)
    assert refusal.value.name == name
    assert refusal.value.reason


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "...a",
        "a..b",
        "..a",
        "a~",
        "a~1.txt",
        "a-b",
        "#x#",
        "$HOME/x",
        "%APPDATA%",
        "a;b&c",
        "a$(id)",
        "a=b,c+d@e!",
        "[id].tsx",
        "(group)/page.tsx",
        "COM10",
        "com.txt",
        "auxiliary.py",
        "nulls/x",
        "git/config",
        ".gitlab-ci.yml",
        ".gitattributes",
        "x.git",
        "git~x",
        "日本語.md",
        "第一章：開始.md",
        "Ünïcödé/ß.txt",
        "\U0001f600",
        "Wait\u2026.md",
        "a" * 255,
        "/".join("d" * 32),
    ],
)
def test_accepted_as_it_is(name: str) -> None:
    assert check_path(name) == name


@given(st.text(max_size=40) | st.text(alphabet="./\\~-:a \u00b9\u0301\u200b\ufeffgitCON", max_size=12))
def test_any_text_is_accepted_once_and_for_all_or_refused(name: str) -> None:
    try:
        checked = check_path(name)
    except UnsafePath:
        return
    assert checked == unicodedata.normalize("NFC", name)
    assert check_path(checked) == checked
    assert not any(part in ("", ".", "..") for part in checked.split("/"))
    assert collision_key(checked) == collision_key(name)


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(UnsafePath):
        check_path(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("README.md", "readme.MD", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("\ufb01le", "FILE", True),
        ("stra\u00dfe", "STRASSE", True),
        ("a", "b", False),
        ("a/b", "ab", False),
    ],
)
def test_collision_keys(one: str, other: str, same: bool) -> None:
    assert (collision_key(one) == collision_key(other)) is same
