"""parse_reply against the shared corpora and the cases beyond them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.replies_support import ADD, CASES, KNOWN, edit, fence
from tests.replies_support_names import NAMES
from tests.replies_support_shapes import SHAPES
from tests.replies_support_wrap import NAMED, ONE, TREE, mark_for
from windlass.replies import KINDS, ReplyError, parse_reply
from windlass.replies.kinds import WHOLE_TEXT

CORPUS = Path(__file__).parents[1] / "../shared/corpus"


def rows(name: str) -> list[dict[str, Any]]:
    path = CORPUS / name
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


REPLIES = rows("replies.jsonl")
REAL = rows("real_replies.jsonl")
HUMANEVAL = rows("humaneval.jsonl")
needs_corpus = pytest.mark.skipif(not REPLIES, reason="the shared corpus is not beside the repository")


def outcome(row: dict[str, Any]) -> dict[str, Any]:
    try:
        return parse_reply(
            row["reply"],
            asked_for=row["asked_for"],
            known_files=row["known_files"],
            finish_reason=row["finish_reason"],
        )
    except ReplyError as error:
        return {"error": error.kind}


def met(row: dict[str, Any], got: dict[str, Any]) -> bool:
    return got == row["expect"] or got in (row.get("alt") or [])


@needs_corpus
@pytest.mark.parametrize("row", [pytest.param(row, id=row["id"]) for row in REPLIES])
def test_corpus_case(row: dict[str, Any]) -> None:
    assert met(row, outcome(row))


@needs_corpus
def test_no_wrong_content_is_written_from_the_corpus() -> None:
    wrong = [row["id"] for row in REPLIES if not met(row, got := outcome(row)) and "error" not in got]
    assert wrong == []


@pytest.mark.parametrize("case", [pytest.param(case, id=case[0]) for case in [*CASES, *SHAPES, *NAMES]])
def test_case(case: tuple[Any, ...]) -> None:
    _, reply, asked, known, expected, *finish = case
    accepted = expected if isinstance(expected, tuple) else (expected,)
    changes = [one for one in accepted if isinstance(one, dict)]
    kinds = {kind for one in accepted if isinstance(one, frozenset) for kind in one}
    try:
        got = parse_reply(
            reply, asked_for=asked, known_files=known, finish_reason=finish[0] if finish else "stop"
        )
    except ReplyError as error:
        assert error.kind in kinds, str(error)
    else:
        assert got in changes


# -- genuine replies -----------------------------------------------------------------------------------


def from_searches(row: dict[str, Any]) -> tuple[dict[str, str], dict[str, str] | None]:
    """Files in which the peer's edits can be applied, and what they become by them."""
    known: dict[str, str] = {}
    edits = [part for part in row.get("peer_parse") or [] if part["path"]]
    paths = real_paths(row, edits)
    for part, path in zip(edits, paths, strict=True):
        if part["search"].strip() and part["search"] not in known.get(path, ""):
            known[path] = (
                known.get(path, "") + part["search"] + f"\n# {len(known.get(path, ''))} lies between\n"
            )
    if not edits:
        return known, None
    after = dict(known)
    for part, path in zip(edits, paths, strict=True):
        if part["search"].strip():
            after[path] = after[path].replace(part["search"], part["replace"], 1)
        else:
            after[path] = after.get(path, "") + part["replace"]
    return known, {path: text for path, text in after.items() if text != known.get(path)}


def real_paths(row: dict[str, Any], edits: list[dict[str, str]]) -> list[str]:
    """The peer takes ``<source>python`` for a path; the real one stands on the line above each."""
    lines = row["reply"].split("\n")
    above = [lines[n - 1].strip() for n, line in enumerate(lines) if re.fullmatch(r"<source>\w*", line)]
    last = ""
    paths = []
    for part in edits:
        if part["path"].startswith("<"):
            last = above.pop(0) if above else last
        paths.append(last if part["path"].startswith("<") else part["path"])
    return paths


def compare(row: dict[str, Any]) -> str:
    known, expected = from_searches(row)
    try:
        got = parse_reply(row["reply"], asked_for=None, known_files=known)
    except ReplyError as error:
        assert error.kind in KINDS
        assert error.correction
        return f"refused ({error.kind}), peer {'parses' if expected is not None else 'finds nothing'}"
    if expected is None:
        return "parsed, peer finds nothing"
    return "same" if got == expected else "different"


@pytest.mark.skipif(not REAL, reason="the shared corpus is not beside the repository")
def test_real_replies_parse_or_are_refused_and_agree_with_the_peer() -> None:
    counts = Counter(compare(row) for row in REAL)
    assert sum(counts.values()) == len(REAL) == 373
    assert counts["different"] == 0, counts
    assert counts["same"] >= 280, counts


# -- genuine programs in many shapes -------------------------------------------------------------------


def shapes(text: str) -> dict[str, tuple[str, str]]:
    """shape -> (path, reply)"""
    path = "src/solution.py"
    made = {name: (path, wrap(path, text)) for name, wrap in {**ONE, **NAMED}.items()}
    made |= {name: (path, wrap({path: text})) for name, wrap in TREE.items()}
    made["bare"] = (path, text)
    made |= {
        f"{name}, CRLF": (path, reply.replace("\n", "\r\n")) for name, (path, reply) in list(made.items())
    }
    for name, (_, reply) in list(made.items()):
        if name.split(",")[0] in {*NAMED, "json fenced"}:
            made[f"{name}, thinking"] = (path, "<think>\n```python\ndraft\n```\n</think>\n" + reply)
            made[f"{name}, chatter"] = (path, "Certainly! Here it is.\n\n" + reply + "\nI hope this helps.\n")
    inner = fence(text, "python")
    made["nested"] = ("docs/a.md", fence(f"# Solution\n\n{inner}\nThat is all.\n", "markdown"))
    made["nested, longer"] = (
        "docs/a.md",
        fence(f"# Solution\n\n{inner}\nThat is all.\n", "markdown", "````"),
    )
    return made


@pytest.mark.skipif(not HUMANEVAL, reason="the shared corpus is not beside the repository")
def test_genuine_programs_come_back_byte_for_byte() -> None:
    wrong: list[str] = []
    seen = 0
    for row in HUMANEVAL:
        text = row["prompt"].strip("\n") + "\n" + row["canonical_solution"].rstrip("\n") + "\n"
        for name, (path, reply) in shapes(text).items():
            expected = f"# Solution\n\n{fence(text)}\nThat is all.\n" if path.endswith(".md") else text
            if name.startswith("bare"):
                expected = re.sub(r"(?:\n[ \t]*)+\Z", "\n", text)
            seen += 1
            try:
                got: object = parse_reply(reply, asked_for=[path], known_files={})
            except ReplyError as error:
                got = error.kind
            if got != {path: expected}:
                wrong.append(f"{row['task_id']} {name}: {got!r:.120}")
    assert wrong == []
    assert seen >= 82 * 12


@pytest.mark.skipif(not HUMANEVAL, reason="the shared corpus is not beside the repository")
def test_genuine_programs_still_pass_their_check() -> None:
    programs = []
    for row in HUMANEVAL:
        reply = "Here:\n\n" + fence(row["prompt"] + row["canonical_solution"]) + "\nDone."
        text = parse_reply(reply, asked_for=["s.py"], known_files={})["s.py"]
        programs.append(f"{text}\n{row['test']}\ncheck({row['entry_point']})\n")
    runner = "import json, sys\nfor program in json.load(sys.stdin):\n    exec(program, {'__name__': 'checked'})\nprint('passed')\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", runner], input=json.dumps(programs), capture_output=True, text=True
    )
    assert done.stdout.strip() == "passed", done.stderr[-2000:]


# -- what the model is told ----------------------------------------------------------------------------


def refused(reply: str, asked: list[str] | None, known: dict[str, str]) -> ReplyError:
    with pytest.raises(ReplyError) as caught:
        parse_reply(reply, asked_for=asked, known_files=known)
    return caught.value


def test_a_search_that_is_not_there_shows_the_closest_lines_with_numbers() -> None:
    error = refused("area.py\n" + edit("    return math.pi * r ** r\n", "x\n"), None, KNOWN)
    assert error.kind == "search_not_found"
    assert error.path == "area.py"
    assert re.search(r"^ +5 \|     return math\.pi \* r \* r$", error.correction, re.MULTILINE)
    assert "<<<<<<< SEARCH" in error.correction


def test_a_search_that_is_there_twice_lists_the_places() -> None:
    error = refused("a.py\n" + edit("x\n", "y\n"), None, {"a.py": "x\na\nx\n"})
    assert error.kind == "search_ambiguous"
    assert "lines 1, 3" in str(error)
    assert "    1 | x" in error.correction and "    3 | x" in error.correction


def test_a_patch_that_does_not_fit_shows_the_closest_lines() -> None:
    error = refused(
        fence(
            "--- area.py\n+++ area.py\n@@ -4,2 +4,2 @@\n def area(q):\n-    return math.pi * r * r\n+    0\n",
            "diff",
        ),
        None,
        KNOWN,
    )
    assert error.kind == "patch_not_found"
    assert "4 | def area(r):" in error.correction


@pytest.mark.parametrize("reply", ["I cannot do that.", fence(ADD) + fence("y = 1\n"), "a.py\n```python\nx"])
def test_every_correction_ends_with_a_shape_that_is_accepted(reply: str) -> None:
    error = refused(reply, ["area.py"], {})
    shape = error.correction.split("Send every file whole")[1]
    block = shape[shape.index("path/to/file.py") : shape.index("If the text itself")]
    filled = block.replace(WHOLE_TEXT, "x = 1")
    assert filled != block
    assert parse_reply(filled, asked_for=None, known_files={}) == {"path/to/file.py": "x = 1\n"}
    with pytest.raises(ReplyError):
        parse_reply(block, asked_for=None, known_files={})
    page = block.replace("file.py", "file.md").replace("```python", "````")
    with pytest.raises(ReplyError):
        parse_reply(page.replace("```\n", "````\n"), asked_for=None, known_files={})


def test_nothing_is_returned_when_one_of_several_edits_fails() -> None:
    reply = "area.py\n" + edit("import math\n", "import cmath\n") + "\nother.py\n" + edit("nope\n", "x\n")
    error = refused(reply, None, {**KNOWN, "other.py": "a\n"})
    assert error.kind == "search_not_found"
    assert error.path == "other.py"


def test_later_searches_see_what_earlier_edits_made() -> None:
    steps = "".join(
        f"a.txt\n{edit(f'line {n}' + chr(10), f'LINE {n}' + chr(10) + 'more' + chr(10))}\n"
        for n in (5, 1, 3, 4, 0)
    )
    before = "".join(f"line {n}\n" for n in range(6))
    expected = "".join(f"line {n}\n" if n == 2 else f"LINE {n}\nmore\n" for n in range(6))
    assert parse_reply(steps, asked_for=None, known_files={"a.txt": before}) == {"a.txt": expected}


def test_a_change_by_layout_keeps_later_searches_right() -> None:
    before = "def f():\n    a = 1\n    b = 2\n    c = 3\n    d = 4\n"
    reply = (
        "f.py\n"
        + edit("a = 1\n", "a = 10\naa = 11\n")
        + "\n"
        + edit("    d = 4\n", "    d = 40\n")
        + "\n"
        + edit("    c = 3\n", "")
    )
    assert parse_reply(reply, asked_for=None, known_files={"f.py": before}) == {
        "f.py": "def f():\n    a = 10\n    aa = 11\n    b = 2\n    d = 40\n"
    }


# -- our own sources -----------------------------------------------------------------------------------

SOURCES = Path(__file__).parents[1] / "src/windlass"


def test_our_own_sources_come_back_from_every_shape() -> None:
    """Files that hold markers, placeholders and thinking tags as text: hardly one is refused, none comes back changed."""
    refused: list[tuple[str, str, str]] = []
    total = 0
    for file in sorted(SOURCES.rglob("*.py")):
        path, text = file.relative_to(SOURCES.parent).as_posix(), file.read_text(encoding="utf-8")
        mark = mark_for(text)
        block = f"{mark}python\n{text}{mark}\n"
        for shape, reply in {
            "labelled": f"{path}\n{block}",
            "fence": f"Here is the file:\n\n{block}\nDone.",
            "tag": f'<file path="{path}">\n{text}</file>\n',
            "json": json.dumps({"files": [{"path": path, "content": text}]}),
            "bare": text,
        }.items():
            total += 1
            try:
                assert parse_reply(reply, asked_for=[path], known_files={}) == {path: text}, (path, shape)
            except ReplyError as error:
                refused.append((path, shape, error.kind))
    assert len(refused) * 20 < total, refused
