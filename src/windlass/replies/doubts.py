"""What a block is too doubtful to be written for: its end, its nature, its extent."""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Collection, Sequence

from windlass.replies import wording
from windlass.replies.bare import is_talk_only, talk_in
from windlass.replies.items import Item, Scan
from windlass.replies.json_files import decode_json
from windlass.replies.kinds import WHOLE_TEXT, refusal
from windlass.replies.labels import strict_label, unruled
from windlass.replies.languages import (
    family_of_path,
    family_of_word,
    is_language,
    is_page,
    is_source,
    runs_in_a_shell,
)
from windlass.replies.own_names import comment_label
from windlass.replies.talk import apologises, declines, reads_as_talk

_HEREDOC = re.compile(r"\s*(?:[$#>] )?(?:cat|tee)\b.{0,200}<<")
_WRITES = re.compile(
    r"(?:\bopen\(\s*([\"'])([^\"'\n]+)\1\s*,\s*(?:mode\s*=\s*)?[\"'][wax]|"
    r"(?:writeFileSync|writeFile|file_put_contents|File\.write|Path(?=\([^)]*\)\.write_))\(\s*([\"'])([^\"'\n]+)\3)"
)
_STRINGS = re.compile(r"\"[^\"]*\"|'[^']*'")
_NUMBERED = re.compile(r"\s*(\d{1,6})(?:[:|.]|\s|$)")
#: An operator that was escaped for a page: ``a &lt; b``.
_ESCAPED = re.compile(r"[\w)\]] &(?:lt|gt|amp|lt;=|gt;=);? [\w(\"'-]")
#: ``(empty)``, ``[content]``, ``<the file>``.
_PLACEHOLDER = re.compile(r"\s*[\[(<][A-Za-z][\w ]*[\])>]\s*")
_PRINTED = re.compile(r"Traceback \(most recent call last\):|>>> |[│├└]──|\.$|={5,} test session starts")
_CONFLICT = re.compile(r"(?:<{7}|>{7})(?: |$)|\[/?(?:SEARCH|REPLACE)\]\s*$")
_TAG = re.compile(r"</?[A-Za-z][\w:.-]*(?:\s[^<>]*)?>")
_LAST_TAG = re.compile(r"^</[A-Za-z][\w:.-]*>$|<\|\w+\|>$")
_SPEAKER = re.compile(r"(?:assistant|chatgpt)\s*:\s", re.IGNORECASE)
_TREE = re.compile(r"\s*(?:│\s*)*[├└]──? ")
_COMMANDS = (
    "$ ", "pip ", "pip3 ", "npm ", "npx ", "yarn ", "python ", "python3 ", "pytest", "cd ", "git ", "mkdir ", "touch ",
    "curl ", "sed ", "awk ", "cp ", "mv ", "ls ", "poetry ", "pnpm ", "bun ", "apt ", "apt-get ", "brew ", "docker ", "make ", "uv ", "sudo ", "cargo ", "go run", "go test", "node ", "chmod ", "echo ", "rm ",
)  # fmt: skip


def first_filled(lines: Sequence[str]) -> str:
    """The first line that is not blank; empty where all are."""
    return next((line for line in lines if line.strip()), "")


def refuse_doubtful(item: Item, path: str, found: Scan, names: Collection[str], known: str | None) -> None:
    """Raise ReplyError for a block whose end may be that of an inner one, and for a script that would write the file."""
    refuse_script(item.lines, path)
    refuse_frame(item.lines, path, known)
    odd = family_of_path(path) == "python" and sum(line.count('"""') for line in item.lines) % 2 == 1
    page_open = is_page(path) and item.suspicious
    if (item.suspicious and (odd or page_open or _follows_text(item, found, names))) or (
        odd and _later_fence(item, found)
    ):
        raise refusal(
            "ambiguous",
            f"It is not certain where the block of {path} ends: the text holds fence lines of the same length.",
            "Use a longer fence (````) around text that holds ``` lines.",
            path=path,
        )
    if item.nested and not is_page(path):
        before = _line_before_inner(item.lines)
        if before.strip() and strict_label(before, names) is not None:
            raise refusal("ambiguous", f"The block of {path} seems to run into the next file.", path=path)


def refuse_talk(lines: Sequence[str], path: str) -> None:
    """Raise ReplyError for a text that holds an apology or a report, and no source."""
    text = "\n".join(lines).strip("\n")
    if text.strip() == WHOLE_TEXT or (is_source(path) and _PLACEHOLDER.fullmatch(text)):
        raise refusal("elision", f"The block for {path} holds a placeholder, not the file.", path=path)
    if is_page(path):
        said = reads_as_talk(path, text) if declines(text) and apologises(text) else None
    else:
        said = (
            reads_as_talk(path, text) or talk_in(path, text)
            if is_source(path) and len(text) < 2000 and text.strip() and is_talk_only(text)
            else None
        )
    if said is not None:
        raise refusal(
            "no_file", f"The block for {path} holds talk, not the file: {said.strip()[:80]!r}.", path=path
        )


def refuse_frame(lines: Sequence[str], path: str, known: str | None) -> None:
    """Raise ReplyError for source that stands in a frame which is not its own: a tag, JSON, marks of a conflict."""
    family = family_of_path(path)
    if is_page(path) or family == "diff":
        return
    if any(line and line[0] in "<>[" and _CONFLICT.match(line) for line in lines) and not any(
        map(_CONFLICT.match, (known or "").split("\n"))
    ):
        raise refusal(
            "ambiguous", f"The text for {path} holds marks of an edit or a conflict.", path=path, edit=True
        )
    if not is_source(path):
        return
    first = first_filled(lines).strip()
    last = first_filled(lines[::-1]).strip()
    if _is_diff(lines):
        raise refusal(
            "ambiguous",
            f"The text for {path} seems to be a change of it, not the file.",
            path=path,
            edit=True,
        )
    framed = (
        first.lower() in ("copy", "copy code")
        or _is_numbered(lines)
        or (family == "python" and is_escaped(lines))
        or any(map(_ESCAPED.search, lines))
        or (first[:1] == '"' and last[-1:] == '"' and _is_json_string("\n".join(lines)))
        or (is_language(first) and family_of_word(first) == family and not runs_in_a_shell(family))
        or _TAG.match(first)
        or _LAST_TAG.search(last)
        or _SPEAKER.match(first)
        or first.startswith(("```", "~~~", "|", "<"))
    )
    if framed or (first[:1] in ("{", "[") and _is_json("\n".join(lines))):
        raise refusal("ambiguous", f"The text for {path} stands in a frame that is not known.", path=path)


def is_escaped(lines: Sequence[str]) -> bool:
    """True for a text on one line that holds its line ends as ``\\n``."""
    filled = [line for line in lines if line.strip()]
    return len(filled) == 1 and _STRINGS.sub("", filled[0]).count("\\n") > 1


def _is_numbered(lines: Sequence[str]) -> bool:
    """True for lines that are all numbered one after the other, as a viewer shows them."""
    numbers = [_NUMBERED.match(line) for line in lines if line.strip()]
    return len(numbers) > 1 and all(
        found is not None and int(found.group(1)) == number for number, found in enumerate(numbers, 1)
    )


def _is_diff(lines: Sequence[str]) -> bool:
    """True for lines that are all marked as taken away, added or left, as in a diff without its head."""
    marks = {line[0] for line in lines if line.strip()}
    return marks >= {"+", "-"} and marks <= {"+", "-", " "}


def _is_json_string(text: str) -> bool:
    try:
        return "\n" in json.loads(text)
    except ValueError:
        return False


def _is_json(text: str) -> bool:
    decoded = decode_json(text)
    return decoded is not None and not decoded.failed and not text[decoded.end :].strip()


def refuse_two_files(lines: Sequence[str], path: str, names: Collection[str]) -> None:
    """Raise ReplyError where a comment in a block begins another file (``# b.py`` below the text of ``a.py``)."""
    for above, line in itertools.pairwise(lines):
        if len(line) >= 80 or is_page(path):
            continue
        ruled = line.startswith(("==", "--", "~~", "##", "**")) and unruled(line) != line
        if ruled or (not above.strip() and line.startswith(("#", "//", "--"))):
            other = strict_label(line, names) if ruled else comment_label(line, names)
            if other is not None and other.differs_from(path):
                raise refusal(
                    "ambiguous",
                    f"The block of {path} seems to go on with {other.raw!r}.",
                    "Send every file in a block of its own.",
                    path=path,
                )


def refuse_script(lines: Sequence[str], path: str) -> None:
    """Raise ReplyError for commands or a program that would write the file, and for what a program printed."""
    if is_page(path) or runs_in_a_shell(family_of_path(path)):
        return
    first = first_filled(lines)
    if _HEREDOC.match(first) or _writes_itself(lines, path):
        raise refusal(
            "shell_command", f"The text for {path} is a command that writes it, not the file.", path=path
        )
    if _PRINTED.match(first):
        raise refusal("ambiguous", f"The text for {path} is what a program printed, not the file.", path=path)


def _writes_itself(lines: Sequence[str], path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return any(
        name in line
        and (found := _WRITES.search(line)) is not None
        and (found.group(2) or found.group(4)).rpartition("/")[2] == name
        for line in lines[:400]
    )


def refuse_use(lines: Sequence[str], path: str, gap: Sequence[str]) -> None:
    """Raise ReplyError where the one block of a reply shows how the asked-for file is used."""
    module = path.removeprefix("src/").removesuffix(".py").replace("/", ".")
    own = re.compile(rf"(?:from|import) {re.escape(module)}(?:\s|$)")
    imports_itself = path.endswith(".py") and any(map(own.match, lines))
    if (imports_itself and module not in sys.stdlib_module_names) or wording.shows_a_use(gap):
        raise refusal(
            "ambiguous",
            f"The only block of the reply seems to show a use of {path}, not the file.",
            path=path,
        )


def _follows_text(item: Item, found: Scan, names: Collection[str]) -> bool:
    following = found.lines[item.end + 1] if item.end + 1 < len(found.lines) else ""
    return bool(following.strip()) and strict_label(following, names) is None and not _ends_talk(following)


def _ends_talk(line: str) -> bool:
    return line.lstrip()[:1].isalpha() and line.rstrip().endswith((".", ":", "!", "?"))


def _later_fence(item: Item, found: Scan) -> bool:
    return any(
        other.start > item.end and other.kind == "fence" and not other.info for other in found.items[-50:]
    )


def _line_before_inner(lines: Sequence[str]) -> str:
    """The filled line above the first fence inside a block."""
    previous = ""
    for line in lines:
        if line.startswith(("```", "~~~")):
            return previous
        if line.strip():
            previous = line
    return ""


def is_a_part(gap: Sequence[str]) -> bool:
    """True where the words above a block say that it is a part of the file, and not that it is all of it."""
    if not wording.speaks_of_a_part(gap):
        return False
    paragraph = wording.last_paragraph(gap).lower()
    return not any(
        word in paragraph for word in ("full", "complete", "whole", "entire", "new version", "rewritten")
    )


def looks_like_commands(lines: Sequence[str]) -> bool:
    """True for a block of nothing but commands, or one that writes files out of a shell."""
    filled = [line.strip() for line in lines if line.strip()][:40]
    if not filled:
        return False
    if any(line.startswith("cat ") and "<<" in line for line in filled[:5]):
        return True
    return all(line.startswith(_COMMANDS) for line in filled)


def looks_like_output(lines: Sequence[str]) -> bool:
    """True for a block that shows a folder's tree, or what a program printed."""
    return bool(_PRINTED.match(first_filled(lines)) or any(_TREE.match(line) for line in lines[:10]))
