"""Wrap files the way models do, for tests that expect the very same files back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

CHATTER = "Sure! Here is what you asked for.\n\n"
TAIL = "\nLet me know if anything should change.\n"
THOUGHT = "<think>\nA draft first:\n```python\npass\n```\nNo.\n</think>\n\n"


def longest_run(text: str, char: str) -> int:
    best = run = 0
    for letter in text:
        run = run + 1 if letter == char else 0
        best = max(best, run)
    return best


def mark_for(text: str, char: str = "`") -> str:
    return char * max(3, longest_run(text, char) + 1)


def fenced(text: str, info: str = "python", char: str = "`") -> str:
    mark = mark_for(text, char)
    return f"{mark}{info}\n{text}{mark}\n"


def indented(block: str, by: str) -> str:
    return "".join(f"{by}{line}\n" if line else "\n" for line in block.split("\n")[:-1])


#: Shapes for one file whose path is known from the request.
ONE: dict[str, Callable[[str, str], str]] = {
    "fence": lambda path, text: fenced(text),
    "fence without info": lambda path, text: fenced(text, ""),
    "tilde": lambda path, text: fenced(text, "python", "~"),
    "longer fence": lambda path, text: (
        "``" + fenced(text).replace("\n" + mark_for(text) + "\n", "\n``" + mark_for(text) + "\n")
    ),
    "chatter": lambda path, text: CHATTER + fenced(text) + TAIL,
    "thinking": lambda path, text: THOUGHT + fenced(text),
    "list": lambda path, text: "1. Create the file:\n\n" + indented(fenced(text), "   "),
}

#: Shapes that name the path themselves; they can be strung together for several files.
NAMED: dict[str, Callable[[str, str], str]] = {
    "path above": lambda path, text: f"{path}\n{fenced(text)}",
    "backticks above": lambda path, text: f"`{path}`:\n\n{fenced(text)}",
    "bold above": lambda path, text: f"**{path}**\n{fenced(text)}",
    "heading above": lambda path, text: f"### `{path}`\n\nThis is the file.\n\n{fenced(text)}",
    "file above": lambda path, text: f"File: {path}\n{fenced(text)}",
    "info colon": lambda path, text: fenced(text, f"python:{path}"),
    "info attribute": lambda path, text: fenced(text, f'python title="{path}"'),
    "tag": lambda path, text: f'<file path="{path}">\n{text}</file>\n',
    "edit": lambda path, text: f"{path}\n<<<<<<< SEARCH\n=======\n{text}>>>>>>> REPLACE\n",
    "edit in fence": lambda path, text: (
        f"{path}\n```python\n<<<<<<< SEARCH\n=======\n{text}>>>>>>> REPLACE\n```\n"
    ),
    "patch": lambda path, text: f"*** Begin Patch\n*** Add File: {path}\n{_plus(text)}*** End Patch\n",
    "diff": lambda path, text: fenced(
        f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{text.count(chr(10))} @@\n{_plus(text)}", "diff"
    ),
}


def _plus(text: str) -> str:
    return "".join(f"+{line}\n" for line in text.split("\n")[:-1])


#: Shapes for a whole tree.
TREE: dict[str, Callable[[Mapping[str, str]], str]] = {
    "json files": lambda tree: json.dumps(
        {"files": [{"path": path, "content": text} for path, text in tree.items()]}
    ),
    "json mapping": lambda tree: json.dumps(dict(tree), ensure_ascii=False, indent=1),
    "json fenced": lambda tree: fenced(
        json.dumps([{"path": path, "content": text} for path, text in tree.items()]) + "\n", "json"
    ),
}
