"""The words for what can be wrong with a reply, and the reply shapes to show to a model."""

from __future__ import annotations

from windlass.errors import ReplyError

#: kind -> what it means, in the order of the reference page.
KINDS: dict[str, str] = {
    "empty": "nothing but white space or thinking",
    "no_file": "text, but no file in it (an apology, a question, a plan)",
    "truncated": "the reply ends inside a file, a block or a tag",
    "elision": "a placeholder such as '# ... rest unchanged' stands for text that is left out",
    "ambiguous": "more than one reading is possible",
    "no_path": "a block that does not say which file it is",
    "search_not_found": "the SEARCH text is not in the file",
    "search_ambiguous": "the text to replace is in the file more than once",
    "patch_not_found": "the patch's lines are not in the file",
    "unsafe_path": "a file name that is not allowed",
    "missing_file": "an asked-for file is not in the reply",
    "bad_json": "JSON that cannot be read, or has another form than expected",
    "shell_command": "commands to run instead of files",
    "conflict": "two parts of the reply contradict each other, or the workspace",
    "unexpected_file": "only files that were not asked for",
    "delete_not_allowed": "a deletion where files were asked for",
}

#: What stands in the shape for a file's text.
WHOLE_TEXT = "(the complete new text of the file)"

WHOLE_SHAPE = f"""\
Send every file whole, its path on the line above its block:

path/to/file.py
```python
{WHOLE_TEXT}
```

If the text itself holds ``` lines, use a longer fence (````) around it."""

EDIT_SHAPE = """\
Send every edit like this, the SEARCH lines copied exactly from the file:

path/to/file.py
<<<<<<< SEARCH
(lines as they are now)
=======
(lines as they shall be)
>>>>>>> REPLACE"""


def refusal(kind: str, message: str, *hints: str, path: str | None = None, edit: bool = False) -> ReplyError:
    """A ReplyError whose correction is the sentence, the hints, and a shape that would be accepted."""
    parts = [message, *(hint for hint in hints if hint), EDIT_SHAPE if edit else WHOLE_SHAPE]
    return ReplyError(kind, message, correction="\n\n".join(parts), path=path)
