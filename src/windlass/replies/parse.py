"""Reply text -> file changes. Pure; one pass over the reply; raises nothing but ReplyError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from windlass.replies import bare
from windlass.replies.apply import apply_operations
from windlass.replies.document import BOM
from windlass.replies.envelopes import decode_json, looks_like_envelope, operations_of
from windlass.replies.kinds import refusal
from windlass.replies.languages import family_of_path, is_page, is_well_known_name
from windlass.replies.operations import Operation, Whole
from windlass.replies.read import Reader
from windlass.replies.scan import Scan, scan
from windlass.replies.targets import Targets
from windlass.replies.thinking import ends_a_thought, strip_thinking


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
    text, open_thought = strip_thinking(text)
    text = text.lstrip("\n").lstrip(BOM) if text.lstrip("\n").startswith(BOM) else text
    if open_thought:
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
        page = _whole_reply(text, only, targets, found, cut=cut)
        if page is not None:
            return [page]
    enveloped = _json_reply(text, targets, found, cut=cut)
    if enveloped is not None:
        return enveloped
    if not found.items:
        return [_bare_reply(text, targets, cut=cut)]
    if found.open_item is not None:
        raise refusal("truncated", "The reply ends inside a block: its closing line is missing.")
    return Reader(found, targets, cut=cut).operations()


def _whole_reply(text: str, path: str, targets: Targets, found: Scan, *, cut: bool) -> Whole | None:
    """The reply as the asked-for file, where its first line can be nothing else; None where it must be read on."""
    family = family_of_path(path)
    if not bare.starts_like(path, text):
        return None
    if family != "json" and text.lstrip()[:1] in "{[" and looks_like_envelope(text):
        return None
    if family == "json":
        return _bare_json(text, path, targets, cut=cut)
    if family == "diff":
        fenced = [item for item in found.items if item.kind == "fence"]
        if fenced:
            return None
    elif found.items:
        first = found.items[0]
        if first.start == 0 and first.kind in {"patch", "diff", "tag", "edit"}:
            return None
        if Reader(found, targets, cut=cut).names_its_blocks():
            return None
        if not is_page(path):
            if not bare.opens_source(text):
                return None
            # Source that holds fence lines in a docstring, or talk that starts like source.
            if not any(mark in text[:4000] for mark in ('"""', "'''", "/*")):
                raise refusal("ambiguous", f"It is not certain which part of the reply is {path}.", path=path)
            if bare.talk_in(path, "\n".join(found.outside())) is not None:
                raise refusal("ambiguous", f"It is not certain which part of the reply is {path}.", path=path)
        if is_page(path) and any(item.info.lower().startswith(("markdown", "md")) for item in found.items):
            raise refusal(
                "ambiguous",
                f"It is not certain whether {path} is the whole reply or the block inside it.",
                path=path,
            )
    talk = bare.talk_in(path, text)
    if talk is not None:
        raise refusal("ambiguous", f"The reply mixes {path} with talk: {talk.strip()[:80]!r}.", path=path)
    return _checked_bare(text, path, cut=cut)


def _bare_json(text: str, path: str, targets: Targets, *, cut: bool) -> Whole | None:
    decoded = decode_json(text)
    if decoded is None or decoded.failed:
        if cut:
            raise refusal("truncated", f"The reply ends inside {path}.", path=path)
        return None
    if text[decoded.end :].strip():
        return None
    operations = None
    if len(decoded.values) == 1:
        operations = (
            operations_of(decoded.values[0], targets.names) if _names(decoded.values[0], path) else None
        )
    if operations and any(getattr(operation, "path", None) == path for operation in operations):
        return None
    return _checked_bare(text, path, cut=cut)


def _names(value: object, path: str) -> bool:
    """True where the path stands in a JSON value as a key or a text near its top."""
    stack: list[tuple[object, int]] = [(value, 0)]
    while stack:
        entry, depth = stack.pop()
        if isinstance(entry, str):
            if path in entry:
                return True
        elif depth < 6 and isinstance(entry, dict):
            if path in entry or f"./{path}" in entry:
                return True
            stack.extend((inner, depth + 1) for inner in entry.values())
        elif depth < 6 and isinstance(entry, list):
            stack.extend((inner, depth + 1) for inner in entry)
    return False


def _json_reply(text: str, targets: Targets, found: Scan, *, cut: bool) -> list[Operation] | None:
    stripped = text.strip()
    starts = stripped[:1] in ("{", "[")
    if not starts and (found.items or ("\n{" not in text and "\n[" not in text)):
        return None
    decoded = decode_json(text)
    if decoded is None:
        return None
    if decoded.failed:
        if not looks_like_envelope(text[decoded.start : decoded.start + 2000]):
            return None
        if cut:
            raise refusal("truncated", "The reply ends inside its JSON.")
        raise refusal(
            "bad_json",
            "The JSON of the reply cannot be read.",
            "Escape quotes, backslashes and line ends inside strings.",
        )
    operations: list[Operation] = []
    for value in decoded.values:
        files = operations_of(value, targets.names)
        if files is None:
            return None
        operations.extend(files)
    rest = text[decoded.end :]
    if scan(rest).items or scan(text[: decoded.start]).items:
        raise refusal("ambiguous", "The reply holds JSON files and other blocks.")
    return operations


def _bare_reply(text: str, targets: Targets, *, cut: bool) -> Whole:
    path = targets.only
    if path is None:
        if cut:
            raise refusal("truncated", "The reply was cut off before a file came.")
        raise refusal("no_file", "The reply holds no file.")
    family = family_of_path(path)
    page = is_page(path)
    if cut:
        raise refusal("truncated", f"The reply was cut off inside {path}.", path=path)
    if "```" in text or "~~~" in text:
        raise refusal("ambiguous", "The reply has fence marks that frame nothing.", path=path)
    talk = bare.talk_in(path, text)
    if talk is not None:
        if bare.is_talk_only(text) or page:
            raise refusal("no_file", f"The reply is talk, not {path}: {talk.strip()[:80]!r}.", path=path)
        raise refusal("ambiguous", f"The reply mixes {path} with talk: {talk.strip()[:80]!r}.", path=path)
    if not page and not bare.starts_like(path, text) and family is not None and bare.is_talk_only(text):
        raise refusal("no_file", f"The reply does not look like {path}.", path=path)
    if family is None and not is_well_known_name(path.rsplit("/", 1)[-1]) and bare.is_talk_only(text):
        first = text.strip().split("\n", 1)[0]
        if bare.is_prose(first):
            raise refusal("no_file", f"The reply does not look like {path}.", path=path)
    if text.lstrip()[:1] == "{" and family not in {"json", "yaml", None, "style"}:
        decoded = decode_json(text)
        if decoded is not None and not decoded.failed:
            raise refusal("no_file", f"The reply is a JSON object, not {path}.", path=path)
    if looks_like_envelope(text) and family != "json" and text.lstrip()[:1] in "{[":
        raise refusal(
            "bad_json", "The JSON of the reply does not hold files in a form that is known.", path=path
        )
    return _checked_bare(text, path, cut=cut)


def _checked_bare(text: str, path: str, *, cut: bool) -> Whole:
    if cut:
        raise refusal("truncated", f"The reply was cut off inside {path}.", path=path)
    lines = text.split("\n")
    first = next(number for number, line in enumerate(lines) if line.strip())
    last = next(number for number in range(len(lines) - 1, -1, -1) if lines[number].strip())
    return Whole(path, "\n".join(lines[first : last + 1]) + "\n")
