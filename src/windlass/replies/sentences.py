"""Which file a sentence above a block introduces, if it can introduce nothing else."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from windlass.replies.languages import is_well_known_name
from windlass.replies.pathlike import LONGEST, has_ending, looks_like_path

CODE_SPAN = re.compile(r"(`{1,5})([^`]+)\1")
_OTHER_PURPOSE = re.compile(
    r"\b(?:tests?|specs?|usage|examples?|documentation|docs|sample|demo|fixtures?|mocks?|stubs?|helpers?|output|"
    r"readme|config\w*|call\w*|import\w*|use[sd]?|using|run\w*|depends?|unlike|like|similar|instead|without|from|"
    r"not|leave|keep|before|after|alongside|next to|beside|via|by|called|read\w*|see|test\w*)\b",
    re.IGNORECASE,
)
_INTRODUCES = re.compile(
    r"(?:\b(?:version|contents?|code|source|text|implementation)\s+(?:of|for|in)\s+(?:the\s+|your\s+)?(?:new\s+|file\s+)?"
    r"|\b(?:tests?|specs?)\s+(?:are\s+)?in(?:to)?\s+(?:the\s+)?(?:new\s+|file\s+)?"
    r"|\b(?:here(?:'s|\u2019s| is| are)|below is|this is|now|then|and|finally|first|next,?)\s+(?:(?:the|your|a|an|my|our|new|updated|corrected|fixed|full|complete|"
    r"final|revised|whole|entire|rewritten|modified|improved|file)\s+)*"
    r"|\b(?:create|created|creating|write|writing|rewrite|save (?:it |this )?(?:as|to|in)|saved (?:as|to|in)|put (?:it|this) (?:in|into))\s+(?:(?:the|a|new|file|called|named)\s+)*"
    r"|\bfile\s+(?:called\s+|named\s+)?)[*_`(\"']*$",
    re.IGNORECASE,
)
_CALLED = re.compile(r"\bfile\s+(?:called|named)\b", re.IGNORECASE)
_TESTS_THEMSELVES = re.compile(
    r"\b(?:tests?|specs?)\s+(?:are\s+)?in(?:to)?\s+(?:the\s+)?(?:new\s+|file\s+)?[*_`(\"']*$", re.IGNORECASE
)


@dataclass(frozen=True)
class Label:
    """A path as the model wrote it. ``strict`` = nothing but the path was there; else a sentence named it."""

    raw: str
    strict: bool
    partial: bool = False
    drop_first_line: bool = False
    comment: bool = False

    def differs_from(self, path: str) -> bool:
        """True where the last parts of the two paths differ; models leave out folders, or make them up."""
        return _base(self.raw) != _base(path)


@dataclass(frozen=True)
class Clash:
    """The text above a block names several paths."""

    names: tuple[str, ...]


def _base(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def mentions(paragraph: str, names: Collection[str]) -> list[tuple[str, int, int]]:
    """Every path a sentence mentions, with where: (name, start, end)."""
    found: list[tuple[str, int, int]] = []
    taken: list[tuple[int, int]] = []
    for span in CODE_SPAN.finditer(paragraph):
        taken.append((span.start(), span.end()))
        name = span.group(2).strip()
        base = re.split(r"[/\\]", name)[-1]
        if (
            name in names
            or ((has_ending(base) or is_well_known_name(base)) and looks_like_path(name, names, spaces=True))
            or (name.startswith(("../", "/", "~/", ".git/")) and looks_like_path(name, names))
        ):
            found.append((name, span.start(), span.end()))
    covered = 0
    for word in re.finditer(r"\S+", paragraph):
        while covered < len(taken) and taken[covered][1] <= word.start():
            covered += 1
        if covered < len(taken) and taken[covered][0] < word.end() and "`" in word.group():
            continue
        name = word.group().strip("*_\"'“”‘’()[]<>,;:!?").rstrip(".")
        if "://" in word.group() or name.startswith("www."):
            continue
        if name in names or (has_ending(re.split(r"[/\\]", name)[-1]) and looks_like_path(name, names)):
            found.append((name, word.start(), word.end()))
    return found


def sentence_label(line: str, names: Collection[str]) -> Label | Clash | None:
    """The one path a sentence introduces a block with (``Here is the new version of `x.py`:``).

    Most sentences that mention a file say where something belongs, or what a block is about ("the tests
    for `x.py`"), so only the forms that can introduce nothing but the file itself count.
    """
    if len(line) > 4 * LONGEST:
        return None
    found = mentions(line, names)
    distinct = tuple(dict.fromkeys(name for name, _, _ in found))
    if not distinct:
        return None
    if len(distinct) > 1:
        return Clash(distinct)
    name, start, end = found[-1]
    before = re.split(r"(?<=[.!?:;])\s", line[:start])[-1]
    after = line[end:].strip().strip("*_`)")
    if _OTHER_PURPOSE.search(_CALLED.sub(" ", _TESTS_THEMSELVES.sub(" ", before))):
        return None
    if not _INTRODUCES.search(before) or not (after.endswith(":") or not after.strip(".")):
        return None
    if len(after.split()) > 12 or (
        _OTHER_PURPOSE.search(after.split(",")[0]) and "that" not in after.split(",")[0].split()
    ):
        return None
    return Label(name, strict=False)
