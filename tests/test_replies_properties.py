"""Properties: what is wrapped comes back, and no text makes the parser do anything but answer or refuse."""

from __future__ import annotations

import string

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.replies_support import CASES
from tests.replies_support_shapes import SHAPES
from tests.replies_support_wrap import CHATTER, NAMED, ONE, TAIL, THOUGHT, TREE
from windlass.replies import KINDS, ReplyError, parse_list, parse_reply

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

#: What frames blocks or stands for left-out text; hypothesis also takes words from our sources.
_MARKS = ("...", "…", "⋮", "=======", "```", "~~~", "SEARCH]", "REPLACE]", "THINK]", "think", "◁")
# Lines of source text: anything but line breaks and such marks.
_LINE = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\ufeff\0<>*"), max_size=30).filter(
    lambda line: not any(mark in line for mark in _MARKS)
)
_WORDS = st.sampled_from(
    [
        "import os",
        "def f(x):",
        "    return x",
        "",
        "x = {'a': 1}",
        "# a comment",
        "\tif x:",
        "    '''doc'''",
        "class A:",
        "@wrap",
        "y = '`'",
    ]
)
_TEXT = st.lists(st.one_of(_WORDS, _LINE), min_size=1, max_size=12).map(
    lambda lines: "X = 1\n" + "\n".join(lines) + "\n"
)
_NAME = st.text(string.ascii_lowercase + string.digits + "_", min_size=1, max_size=8).map(
    lambda stem: f"m_{stem}"
)
_PATH = st.lists(_NAME, min_size=1, max_size=3).map(lambda parts: "/".join(parts) + ".py")
_TREE = st.dictionaries(_PATH, _TEXT, min_size=1, max_size=4)


def parsed(reply: str, asked: list[str] | None) -> dict[str, str | None] | str:
    try:
        return parse_reply(reply, asked_for=asked, known_files={})
    except ReplyError as error:
        return error.kind


@quick
@given(_TEXT, st.sampled_from(sorted(ONE)), _PATH, st.booleans())
def test_one_file_in_any_wrapping_comes_back(text: str, shape: str, path: str, crlf: bool) -> None:
    reply = ONE[shape](path, text)
    if crlf:
        reply = reply.replace("\n", "\r\n")
    got = parsed(reply, [path])
    # A part of the text may look like a placeholder ("rest of code"), which is refused; wrong text never.
    assert got == {path: text} or got == "elision"


@quick
@given(_TREE, st.data())
def test_a_tree_in_any_wrapping_comes_back(tree: dict[str, str], data: st.DataObject) -> None:
    blocks = []
    for path, text in tree.items():
        shape = data.draw(st.sampled_from(sorted(NAMED)))
        blocks.append(NAMED[shape](path, text))
    reply = (
        data.draw(st.sampled_from(["", CHATTER, THOUGHT]))
        + "\n".join(blocks)
        + data.draw(st.sampled_from(["", TAIL]))
    )
    if data.draw(st.booleans()):
        reply = reply.replace("\n", "\r\n")
    asked = data.draw(st.sampled_from([None, list(tree)]))
    got = parsed(reply, asked)
    assert got == tree or got == "elision"


@quick
@given(_TREE, st.sampled_from(sorted(TREE)), st.booleans())
def test_a_tree_as_json_comes_back(tree: dict[str, str], shape: str, chatter: bool) -> None:
    reply = TREE[shape](tree)
    got = parsed((CHATTER + reply + TAIL) if chatter else reply, None)
    assert got == tree or got == "elision"


_PIECES = st.sampled_from(
    ["```", "````", "~~~", "```python", "```diff", "```json\n{", "```bash", "a.py", "`b/c.py`:", "../x", "<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE", "--- a/a.py",
     "+++ b/a.py", "@@ -1 +1 @@", "@@", "-x", "+y", " z", "*** Begin Patch", "*** Update File: a.py", "*** Add File: c.py", "*** End Patch", "*** End of File",
     '<file path="a.py">', "</file>", "<![CDATA[", "]]>", "<think>", "</think>", "{", '{"path": "a.py", "content": "x"}', "[", "# ...", "\\", "\0", "\ud800", "\ufeff", "\r", "\u2028",
     "diff --git a/a.py b/a.py", "rename from a.py", "rename to d.py", "deleted file mode 100644", "> ```", "- a.py", "   ```", "x", "", "Sure!", "---", "# T", '"""']
)  # fmt: skip


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.one_of(_PIECES, st.text(max_size=12)), max_size=25).map("\n".join),
    st.sampled_from(
        [None, [], ["a.py"], ["a.md"], ["a.json"], ["x.patch"], ["a.py", "b/c.py"], ["a.html"], ["Makefile"]]
    ),
    st.sampled_from([{}, {"a.py": "x\nz\n"}, {"a.py": "x\r\nz", "b/c.py": ""}]),
    st.sampled_from(["stop", "length", ""]),
)
@example("[" * 5000, ["a.py"], {}, "stop")
@example('{"a":' * 5000, ["a.json"], {}, "stop")
@example('{"path": "a.py", "content": "x", "n": ' + "9" * 6000 + "}", ["a.py"], {}, "stop")
@example("\ud800`\0`\n```\n\ud800\n```\n", None, {}, "stop")
def test_any_text_ends_in_an_answer_or_a_refusal(
    reply: str, asked: list[str] | None, known: dict[str, str], finish: str
) -> None:
    try:
        got = parse_reply(reply, asked_for=asked, known_files=known, finish_reason=finish)
    except ReplyError as error:
        assert error.kind in KINDS
        assert str(error) and error.correction
    else:
        assert all(asked is None or path in asked for path in got)
        assert all(known.get(path) != text for path, text in got.items())
    assert all(isinstance(item, str) and item for item in parse_list(reply))


#: Replies that take a closed block back further down; cut off before they do, nobody can see that.
TAKEN_BACK = {"think/orphan-after-fence", "passage/final"}


def test_a_reply_cut_anywhere_is_never_written_as_something_else() -> None:
    """Cut off by the limit of tokens, a reply gives a refusal, or exactly what the whole one gives."""
    cuts = 0
    for name, reply, asked, known, *_ in [*CASES, *SHAPES]:
        if asked is None or name in TAKEN_BACK:
            continue
        try:
            whole = parse_reply(reply, asked_for=asked, known_files=known)
        except ReplyError:
            continue
        for cut in range(len(reply)):
            cuts += 1
            try:
                got = parse_reply(reply[:cut], asked_for=asked, known_files=known, finish_reason="length")
            except ReplyError as error:
                assert error.kind in KINDS
            else:
                assert got == whole, (name, cut)
    assert cuts > 5_000


def test_ten_megabytes_in_every_shape() -> None:
    big = "".join(f"x{n} = {n}\n" for n in range(600_000))
    assert parse_reply(f"a.py\n```python\n{big}```\n", asked_for=None, known_files={}) == {"a.py": big}
    many = {f"d{n % 50}/f{n}.py": f"x = {n}\n" for n in range(20_000)}
    reply = "".join(f"{path}\n```python\n{text}```\n\n" for path, text in many.items())
    assert parse_reply(reply, asked_for=None, known_files={}) == many
