"""One file's new content in the many shapes that models send it in, each with the exact text that is meant."""

from __future__ import annotations

import difflib
import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

THOUGHTS = (
    "<think>\nThe tests fail, so first an attempt:\n```python\ndef wrong():\n    return None\n```\n"
    "No, that is not it.\n</think>\n\n"
)


@dataclass(frozen=True)
class Shaped:
    """A reply and the text that the file must have afterwards (line ends as LF)."""

    shape: str
    reply: str
    meant: str


Body = Callable[[str, str | None, str], str | None]


def _ended(text: str) -> str:
    """Between fences a file always ends with one line feed."""
    return text if text.endswith("\n") else text + "\n"


def _fence(text: str, mark: str = "`") -> str:
    longest = max((len(run) for run in re.findall(f"{mark}+", text)), default=0)
    return mark * max(3, longest + 1)


def _fenced(text: str, info: str = "python", mark: str = "`") -> str:
    fence = _fence(text, mark)
    return f"{fence}{info}\n{_ended(text)}{fence}\n"


def bare(path: str, before: str | None, after: str) -> str | None:
    """The file and nothing else. Left out for files that hold fences, whose reply would be another shape."""
    return None if "```" in after or "~~~" in after else _ended(after)


def fenced(path: str, before: str | None, after: str) -> str | None:
    return _fenced(after)


def fenced_plain(path: str, before: str | None, after: str) -> str | None:
    return _fenced(after, info="")


def tildes(path: str, before: str | None, after: str) -> str | None:
    return _fenced(after, mark="~")


def path_above(path: str, before: str | None, after: str) -> str | None:
    return f"{path}\n{_fenced(after)}"


def path_bold(path: str, before: str | None, after: str) -> str | None:
    return f"**{path}**\n\n{_fenced(after, 'py')}"


def path_heading(path: str, before: str | None, after: str) -> str | None:
    return f"### `{path}`\n\n{_fenced(after)}"


def path_file_colon(path: str, before: str | None, after: str) -> str | None:
    return f"File: {path}\n{_fenced(after)}"


def path_dot_slash(path: str, before: str | None, after: str) -> str | None:
    return f"`./{path}`\n{_fenced(after)}"


def info_colon(path: str, before: str | None, after: str) -> str | None:
    return _fenced(after, f"python:{path}")


def info_attribute(path: str, before: str | None, after: str) -> str | None:
    return _fenced(after, f"python filename={path}")


def json_one(path: str, before: str | None, after: str) -> str | None:
    return json.dumps({"path": path, "content": _ended(after)})


def json_files(path: str, before: str | None, after: str) -> str | None:
    return (
        "```json\n" + json.dumps({"files": [{"path": path, "content": _ended(after)}]}, indent=1) + "\n```\n"
    )


def json_tool_call(path: str, before: str | None, after: str) -> str | None:
    arguments = json.dumps({"path": path, "content": _ended(after)})
    return json.dumps({"name": "write_file", "arguments": arguments})


def xml_attribute(path: str, before: str | None, after: str) -> str | None:
    return None if "</file" in after else f'<file path="{path}">\n{_ended(after)}</file>\n'


def xml_cdata(path: str, before: str | None, after: str) -> str | None:
    if "]]>" in after:
        return None
    return (
        f"<files>\n  <file>\n    <path>{path}</path>\n    <content><![CDATA[{_ended(after)}]]></content>\n"
        "  </file>\n</files>\n"
    )


def patch_add(path: str, before: str | None, after: str) -> str | None:
    if before is not None:
        return None
    lines = "".join(f"+{line}\n" for line in _ended(after).splitlines())
    return f"*** Begin Patch\n*** Add File: {path}\n{lines}*** End Patch\n"


def diff_new(path: str, before: str | None, after: str) -> str | None:
    if before is not None:
        return None
    lines = _ended(after).splitlines()
    body = "".join(f"+{line}\n" for line in lines)
    return f"```diff\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n{body}```\n"


def search_new(path: str, before: str | None, after: str) -> str | None:
    if before is not None:
        return None
    return f"{path}\n<<<<<<< SEARCH\n=======\n{_ended(after)}>>>>>>> REPLACE\n"


def search_replace(path: str, before: str | None, after: str) -> str | None:
    blocks = _regions(before, after)
    return None if blocks is None else "\n".join(f"{path}\n{_fenced(_block(*b))}" for b in blocks)


def search_replace_bare(path: str, before: str | None, after: str) -> str | None:
    blocks = _regions(before, after)
    return None if blocks is None else "\n".join(f"{path}\n{_block(*b)}" for b in blocks)


def unified_diff(path: str, before: str | None, after: str) -> str | None:
    if not _editable(before, after):
        return None
    return f"```diff\n{_diff(path, str(before), after)}```\n"


def unified_diff_git(path: str, before: str | None, after: str) -> str | None:
    if not _editable(before, after):
        return None
    return f"diff --git a/{path} b/{path}\nindex 0123abc..4567def 100644\n{_diff(path, str(before), after)}"


def unified_diff_wrong_numbers(path: str, before: str | None, after: str) -> str | None:
    if _regions(before, after) is None:
        return None
    diff = _diff(path, str(before), after)
    return "```diff\n" + re.sub(r"^@@ -\d+", "@@ -900", diff, flags=re.MULTILINE) + "```\n"


def patch_update(path: str, before: str | None, after: str) -> str | None:
    blocks = _regions(before, after)
    if blocks is None:
        return None
    hunks = []
    for old, new in blocks:
        body = [
            line for line in difflib.ndiff(old.splitlines(), new.splitlines()) if not line.startswith("?")
        ]
        hunks.append("@@\n" + "".join(f"{line[0]}{line[2:]}\n" for line in body))
    return f"*** Begin Patch\n*** Update File: {path}\n{''.join(hunks)}*** End Patch\n"


def _editable(before: str | None, after: str) -> bool:
    return bool(before) and str(before).endswith("\n") and after.endswith("\n") and before != after


def _regions(before: str | None, after: str) -> list[tuple[str, str]] | None:
    """(old, new) texts whose old part occurs exactly once in the file, or None where there is nothing to edit."""
    if not _editable(before, after):
        return None
    old, new = str(before).splitlines(keepends=True), after.splitlines(keepends=True)
    for context in (1, 2, 4, 8, 16, 64, 1000):
        groups = difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(context)
        blocks = [("".join(old[g[0][1] : g[-1][2]]), "".join(new[g[0][3] : g[-1][4]])) for g in groups]
        if all(part.strip() and str(before).count(part) == 1 for part, _ in blocks):
            return blocks
    return None


def _block(old: str, new: str) -> str:
    return f"<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n"


def _diff(path: str, before: str, after: str) -> str:
    return "".join(
        difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{path}", f"b/{path}"
        )
    )


WHOLE: dict[str, Body] = {
    body.__name__: body
    for body in (
        bare, fenced, fenced_plain, tildes, path_above, path_bold, path_heading, path_file_colon, path_dot_slash,
        info_colon, info_attribute, json_one, json_files, json_tool_call, xml_attribute, xml_cdata, patch_add,
        diff_new, search_new,
    )
}  # fmt: skip
EDITS: dict[str, Body] = {
    body.__name__: body
    for body in (
        search_replace, search_replace_bare, unified_diff, unified_diff_git, unified_diff_wrong_numbers, patch_update,
    )
}  # fmt: skip
#: Shapes that say which file they mean, needed where a reply could mean several.
LABELLED = frozenset({*WHOLE, *EDITS} - {"bare", "fenced", "fenced_plain", "tildes"})

#: What comes with a reply. The bare file takes no chatter: nobody could tell the two apart.
DRESS: dict[str, Callable[[str], str]] = {
    "plain": lambda reply: reply,
    "chatter": lambda reply: (
        f"Sure! Here is the corrected file.\n\n{reply}\nLet me know if anything else is needed.\n"
    ),
    "thinking": lambda reply: THOUGHTS + reply,
    "crlf": lambda reply: reply.replace("\n", "\r\n"),
}


def shaped(
    path: str,
    before: str | None,
    after: str,
    *,
    prefer: Sequence[str],
    dress: str = "plain",
    labelled: bool = False,
) -> Shaped:
    """The reply in the first shape of ``prefer`` that fits this change, else fenced with the path above.

    ``before`` is the file's present text with LF line ends, None where it does not exist.
    """
    for name in (*prefer, "path_above"):
        if labelled and name not in LABELLED:
            continue
        reply = {**WHOLE, **EDITS}[name](path, before, after)
        if reply is not None:
            worn = "plain" if name == "bare" and dress == "chatter" else dress
            if name.startswith("json") and worn == "crlf":
                worn = "plain"
            meant = after.strip("\n") + "\n" if name == "bare" else _ended(after)
            return Shaped(f"{name}+{worn}", DRESS[worn](reply), meant)
    raise AssertionError("path_above fits every change")


def rotation(number: int, *, edits: bool) -> tuple[list[str], str]:
    """Shapes to prefer and what they wear, for the ``number``-th reply of a series; all get their turn."""
    names = list(EDITS) if edits else list(WHOLE)
    start = number % len(names)
    order = [*names[start:], *names[:start]]
    dresses = list(DRESS)
    return order, dresses[(number // len(names) + number) % len(dresses)]


def shuffled(seed: str, *, edits: bool) -> tuple[list[str], str]:
    """The same, by the luck of ``seed``."""
    chance = random.Random(seed)
    names = list(EDITS) if edits else list(WHOLE)
    chance.shuffle(names)
    return names, chance.choice(list(DRESS))
