"""The text of a file, out of the lines of a fence or out of an envelope."""

from __future__ import annotations

from collections.abc import Iterable

from windlass.replies.kinds import refusal
from windlass.replies.languages import family_of_path, is_page
from windlass.replies.scan import scan

#: Families whose files do not hold several escaped line ends in a single line.
_LINED = frozenset(
    ["python", "script", "style", "c", "go", "rust", "java", "ruby", "csharp", "shell", "make", "docker"]
)


def body_text(path: str, body: str, *, data: bool) -> str:
    """The text of a file given inside an envelope; a single fence around all of it is taken off."""
    text = body.replace("\r\n", "\n")
    stripped = text.strip("\n")
    if stripped.lstrip()[:3] in ("```", "~~~"):
        found = scan(stripped)
        whole = len(found.items) == 1 and found.items[0].kind == "fence" and found.items[0].closed
        if whole and found.items[0].start == 0 and found.items[0].end == len(found.lines) - 1:
            item = found.items[0]
            if not is_page(path) or item.info.lower().startswith(("markdown", "md")):
                return joined(item.lines)
        if not is_page(path):
            raise refusal(
                "ambiguous", f"The content of {path} holds fences together with other text.", path=path
            )
    if data:
        if "\n" not in text and text.count("\\n") > 1 and family_of_path(path) in _LINED:
            raise refusal(
                "bad_json", f"The content of {path} is escaped twice: it has no line ends.", path=path
            )
        return text
    if not stripped.strip():
        return ""
    return text if text.endswith("\n") else text + "\n"


def joined(lines: Iterable[str]) -> str:
    """Lines of a fence as the text of a file: every one ends with LF."""
    return "".join(f"{line}\n" for line in lines)
