"""Reply text -> file changes. Pure; one pass over the reply; raises nothing but ReplyError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from windlass.replies.apply import apply_operations
from windlass.replies.document import BOM
from windlass.replies.json_replies import json_reply
from windlass.replies.kinds import refusal
from windlass.replies.operations import Operation
from windlass.replies.read import Reader
from windlass.replies.scan import scan
from windlass.replies.targets import Targets
from windlass.replies.thinking import ends_a_thought, strip_thinking, strip_turn_marks
from windlass.replies.unframed import bare_reply, whole_reply


def parse_reply(
    reply: str,
    *,
    asked_for: Sequence[str] | None,
    known_files: Mapping[str, str],
    finish_reason: str = "stop",
) -> dict[str, str | None]:
    """The files a model's reply changes: path -> whole new text, None = delete. Only files that differ.

    ``asked_for`` bounds what may be written (None = any path inside the workspace); ``known_files`` maps
    the paths the model may edit to their present text; ``finish_reason`` is the provider's (``length`` =
    cut off). New files end lines with LF; an existing file keeps its line endings and byte-order mark.

    Raises ReplyError, with one of :data:`KINDS` and a correction to send to the model, where the reply
    cannot be turned into files without guessing. Nothing else is raised, whatever the text.
    """
    targets = Targets(asked_for, known_files)
    cut = finish_reason == "length"
    text = reply.replace("\r\n", "\n").lstrip(BOM)
    if not text.strip():
        raise refusal("truncated" if cut else "empty", "The reply is empty.")
    text, unanswered = strip_turn_marks(text, known_files.values())
    text, open_thought = strip_thinking(text)
    text = text.lstrip("\n").lstrip(BOM) if text.lstrip("\n").startswith(BOM) else text
    if open_thought or unanswered:
        raise refusal("truncated", "The reply ends inside its thinking.")
    if not text.strip():
        raise refusal("truncated" if cut else "empty", "The reply holds nothing but thinking.")
    operations = _operations(text, targets, cut=cut)
    changed = apply_operations(operations, targets)
    for path, new in changed.items():
        # Cut off there, a fence that opens the answer looks like the one that closes a draft in the thinking.
        if cut and new is not None and ends_a_thought(new) and not ends_a_thought(known_files.get(path, "")):
            raise refusal("truncated", f"The reply was cut off where {path} cannot be told from thinking.")
    return changed


def _operations(text: str, targets: Targets, *, cut: bool) -> list[Operation]:
    only = targets.only
    found = scan(text)
    if only is not None:
        page = whole_reply(text, only, targets, found, cut=cut)
        if page is not None:
            return [page]
    enveloped = json_reply(text, targets, found, cut=cut)
    if enveloped is not None:
        return enveloped
    if not found.items:
        return [bare_reply(text, targets, cut=cut)]
    if found.open_item is not None:
        raise refusal("truncated", "The reply ends inside a block: its closing line is missing.")
    return Reader(found, targets, cut=cut).operations()
