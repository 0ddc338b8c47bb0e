"""Whether a piece of text reads as a file's path, and what stands around one."""

from __future__ import annotations

import re
from collections.abc import Collection

from windlass.replies.languages import ENDINGS, is_well_known_name

LONGEST = 300
_ASSIGNED = re.compile(r"^(?:file|path|name|filename|filepath|title)=|=[\"']", re.IGNORECASE)
_WORDS = frozenset(
    [
        "new",
        "updated",
        "update",
        "modified",
        "modify",
        "create",
        "created",
        "creating",
        "edit",
        "edited",
        "complete",
        "completed",
        "full",
        "final",
        "the",
        "this",
        "corrected",
        "revised",
        "fixed",
        "file",
        "files",
        "filename",
        "filepath",
        "name",
        "path",
        "source",
        "code",
        "content",
        "contents",
        "module",
        "script",
        "of",
        "in",
        "at",
        "to",
        "step",
        "part",
        "section",
        "here",
        "is",
        "here's",
        "save",
        "saved",
        "as",
        "location",
        "listing",
        "my",
        "our",
        "your",
        "with",
        "into",
        "write",
        "rewrite",
        "rewritten",
        "replace",
        "added",
        "add",
        "version",
        "following",
        "for",
        "now",
        "target",
        "output",
    ]
)


def looks_like_path(text: str, names: Collection[str], *, spaces: bool = False) -> bool:
    """True where a text can only be meant as a file name."""
    if text in names:
        return True
    if not text or len(text) > LONGEST or text.endswith(("/", "\\")) or "://" in text:
        return False
    if any(char.isspace() for char in text) and not (spaces and has_ending(text)):
        return False
    if text[0] in "(=<>|&;{+" or text[-1] in ",;({=>":
        return False
    if _ASSIGNED.search(text):
        return False
    base = re.split(r"[/\\]", text)[-1]
    if "(" in text and not has_ending(text):
        return False
    if has_ending(base) or is_well_known_name(base):
        return True
    if text.startswith(("/", "~/", "../", "./", "\\\\", ".git/")) or re.match(r"[A-Za-z]:[\\/]", text):
        return bool(re.search(r"\w", text))
    return ("/" in text or "\\" in text) and bool(re.fullmatch(r"[\w.@+\-\[\]/\\~\0]+", text))


def has_ending(base: str) -> bool:
    stem, dot, ending = base.rpartition(".")
    return bool(dot) and bool(stem) and ending.lower() in ENDINGS and not stem.endswith("..")


def undecorate(text: str) -> str:
    """Without emphasis, brackets, quotes and arrows around a lone path."""
    text = text.strip()
    for _ in range(6):
        before = text
        text = text.strip().strip("*").strip()
        if (len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`") or (
            len(text) > 1
            and (text[0], text[-1])
            in {
                ("“", "”"),
                ("‘", "’"),
                ("<", ">"),
                ("[", "]"),
                ("(", ")"),
                ("_", "_"),
                ("「", "」"),
                ("【", "】"),
                ("«", "»"),
            }
            and not (text[0] == "_" and text[1] == "_" and text.endswith("__") and len(text) < 5)
        ):
            text = text[1:-1]
        if text.endswith((":", "：")):
            text = text[:-1]
        if text == before:
            break
    return text.strip()


def without_symbols(text: str) -> str:
    """Without leading pictures, arrows and the like."""
    index = 0
    while index < len(text) and not (text[index].isalnum() or text[index] in "._-~/\\`*[<\"'(@“‘#{【「«"):
        index += 1
    return text[index:]


def only_label_words(text: str) -> bool:
    words = re.findall(r"[^\W_]+(?:['’]\w+)?", text)
    return all(word.lower().replace("’", "'") in _WORDS or word.isdigit() for word in words)
