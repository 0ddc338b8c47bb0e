"""What a block is too doubtful to be written for: its end, its nature, its extent."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from windlass.replies import wording
from windlass.replies.items import Item, Scan
from windlass.replies.kinds import refusal
from windlass.replies.labels import strict_label
from windlass.replies.languages import family_of_path, is_page, runs_in_a_shell

_HEREDOC = re.compile(r"\s*(?:[$#>] )?(?:cat|tee)\b.{0,200}<<")
_COMMANDS = (
    "$ ", "pip ", "pip3 ", "npm ", "npx ", "yarn ", "python ", "python3 ", "pytest", "cd ", "git ", "mkdir ", "touch ",
    "curl ", "docker ", "make ", "uv ", "sudo ", "cargo ", "go run", "go test", "node ", "chmod ", "echo ", "rm ",
)  # fmt: skip


def first_filled(lines: Sequence[str]) -> str:
    """The first line that is not blank; empty where all are."""
    return next((line for line in lines if line.strip()), "")


def refuse_doubtful(item: Item, path: str, found: Scan, names: Collection[str]) -> None:
    """Raise ReplyError for a block whose end may be that of an inner one, and for a script that would write the file."""
    if _HEREDOC.match(first_filled(item.lines)) and not (
        is_page(path) or runs_in_a_shell(family_of_path(path))
    ):
        raise refusal(
            "shell_command", f"The block for {path} is a command that writes it, not the file.", path=path
        )
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
