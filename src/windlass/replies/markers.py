"""The lines that open and close edit blocks, patches and file tags."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence

SEARCH_OPEN = re.compile(
    r"^ {0,3}(?:(<{4,10})[ \t]?(?:SEARCH|ORIGINAL)\b[ \t]*[:>]*[ \t]*(\S.*)?|(-{5,9})[ \t]?SEARCH[ \t]*>?)[ \t]*$",
    re.IGNORECASE,
)
REPLACE_CLOSE = re.compile(
    r"^ {0,3}(?:>{4,10}[ \t]?(?:REPLACE|UPDATED)?\b.{0,40}|>{7}|\+{5,9}[ \t]?REPLACE[ \t]*>?)[ \t]*$",
    re.IGNORECASE,
)
PATCH_OPEN = "*** Begin Patch"
PATCH_CLOSE = "*** End Patch"
TAG_OPEN = re.compile(
    r"^[ \t]*<(file|write_file|write_to_file|create_file|new_file|file_content|source_file|code_file|document|"
    r"boltAction|replace_in_file|edit_file|delete_file|code|codeblock|code_block|artifact|write|save|"
    r"dyad-write|lov-write)\b([^<>\n]{0,600})>",
    re.IGNORECASE,
)
#: Tags that hold a file only where they name its path in so many words.
_SOMETIMES = frozenset(
    ["code", "codeblock", "code_block", "artifact", "write", "save", "dyad-write", "lov-write"]
)
_SURE_ATTRIBUTE = re.compile(
    r"(?:^|\s)(?:file_?path|path|file_?name)\s*=\s*[\"']?[^\"'\s]*\.\w", re.IGNORECASE
)
_INDEX = re.compile(r"\s*(?:index|id)=[\"']?\w+[\"']?\s*")
_PATH_ATTRIBUTE = re.compile(
    r"(?:^|\s)(?:path|file_?path|file_?name|name|file|src)\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'=/][^\s\"'=]*)",
    re.IGNORECASE,
)


class EditIndex:
    """Where edit blocks open and close among some lines."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._opens = [
            number
            for number, line in enumerate(lines)
            if ("<<<<" in line or "-----" in line) and len(line) <= 400 and SEARCH_OPEN.match(line)
        ]
        #: The lines where a block opens.
        self.opening = frozenset(self._opens)
        self._closes: list[int] = []
        if self._opens:
            self._closes = [
                number
                for number, line in enumerate(lines)
                if (">>>>" in line or "+++++" in line) and len(line) <= 400 and REPLACE_CLOSE.match(line)
            ]

    @property
    def first(self) -> int | None:
        """The line where the first block opens."""
        return self._opens[0] if self._opens else None

    def opens_at(self, number: int) -> bool:
        return number in self.opening

    def end_of(self, number: int) -> int | None:
        """The closing line of the block that opens at ``number``; None when it is never closed."""
        close = bisect.bisect_right(self._closes, number)
        following = bisect.bisect_right(self._opens, number)
        if close == len(self._closes):
            return None
        if following < len(self._opens) and self._opens[following] < self._closes[close]:
            return None
        return self._closes[close]


def names_a_file(opened: re.Match[str], lines: list[str], number: int) -> bool:
    if opened.group(1).lower() in _SOMETIMES:
        return bool(_SURE_ATTRIBUTE.search(opened.group(2)))
    if _PATH_ATTRIBUTE.search(opened.group(2)):
        return True
    if opened.group(2).strip().rstrip("/") and not _INDEX.fullmatch(opened.group(2)):
        return False
    rest = lines[number][opened.end() : opened.end() + 600]
    following = (
        rest if rest.strip() else next((line for line in lines[number + 1 : number + 4] if line.strip()), "")
    )
    return bool(re.match(r"\s*<(?:path|file_?path|file_?name|name|source)>", following[:600], re.IGNORECASE))


def tag_path(opened: re.Match[str]) -> str | None:
    """The path attribute of an opening tag."""
    found = _PATH_ATTRIBUTE.search(opened.group(2))
    if found is None:
        return None
    return found.group(1)[1:-1] if found.group(1)[0] in "\"'" else found.group(1).rstrip("/")


def opens_a_structure(line: str) -> bool:
    """True for a line with which a fence, an edit, a patch or a file tag may begin."""
    if line.lstrip(" \t>")[:3] in ("```", "~~~") or line.rstrip() == PATCH_OPEN:
        return True
    return bool(TAG_OPEN.match(line) or (len(line) <= 400 and SEARCH_OPEN.match(line)))
