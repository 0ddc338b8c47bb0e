"""What the files of a diff or a patch mean in the workspace: change, write, rename or delete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from windlass.replies.bodies import joined
from windlass.replies.hunks import unusable
from windlass.replies.kinds import refusal
from windlass.replies.operations import Delete, Operation, Patch, Whole
from windlass.replies.sentences import Label
from windlass.replies.targets import Targets
from windlass.replies.unified import FilePatch, read_unified
from windlass.replies.v4a import read_v4a


def patch_operations(lines: Sequence[str], targets: Targets) -> Iterator[Operation]:
    """The operations of a V4A patch. Raises ReplyError where one cannot be meant."""
    for operation in read_v4a(lines):
        path = targets.resolve(operation.path, existing=operation.verb != "Add")
        if operation.verb == "Add":
            text = joined(operation.lines)
            _refuse_overwrite(path, text, targets)
            yield Whole(path, text, exact=True)
        elif operation.verb == "Delete":
            yield Delete(path)
        else:
            move_to = targets.resolve(operation.move_to) if operation.move_to else None
            if not operation.hunks and move_to is None:
                raise unusable(f"The patch changes nothing in {path}.", path)
            yield Patch(path, operation.hunks, move_to=move_to)


def diff_operations(lines: Sequence[str], targets: Targets, label: Label | None) -> Iterator[Operation]:
    """The operations of a unified diff; ``label`` = the path above it. Raises ReplyError like the above."""
    patches = read_unified(lines)
    if not patches:
        raise unusable("The diff holds no hunk that could be applied.")
    for patch in patches:
        yield _unnamed(patch, targets, label) if not patch.named else _named(patch, targets, label)


def _unnamed(patch: FilePatch, targets: Targets, label: Label | None) -> Operation:
    written = label.raw if label is not None else targets.only
    if written is None and len(targets.known) == 1:
        written = next(iter(targets.known))
    if written is None:
        raise refusal("no_path", "A diff does not say which file it is for.", edit=True)
    return Patch(targets.resolve(written, existing=True), patch.hunks)


def _named(patch: FilePatch, targets: Targets, label: Label | None) -> Operation:
    old = _header_path(patch.old, "a/", targets)
    new = _header_path(patch.new, "b/", targets)
    if new is None:
        if old is None:
            raise refusal("no_path", "A diff names /dev/null on both sides.", edit=True)
        return Delete(old, patch.hunks)
    if old is None:
        return _addition(new, patch, targets)
    if patch.rename:
        return Patch(old, patch.hunks, move_to=new)
    if old != new:
        if new in targets.known and old not in targets.known:
            return Patch(new, patch.hunks)
        raise refusal(
            "conflict", f"The diff goes from {old} to {new} and does not say that it renames.", edit=True
        )
    if label is not None and label.strict and label.differs_from(new):
        raise refusal("conflict", f"The diff of {new} stands under the name {label.raw!r}.", edit=True)
    return Patch(new, patch.hunks)


def _addition(path: str, patch: FilePatch, targets: Targets) -> Whole:
    text = joined(text for hunk in patch.hunks for text in hunk.added)
    if any(hunk.old for hunk in patch.hunks):
        raise unusable(f"The diff adds {path}, but expects lines in it.", path)
    if patch.hunks and patch.hunks[-1].new_without_newline:
        text = text.removesuffix("\n")
    _refuse_overwrite(path, text, targets)
    return Whole(path, text, exact=True)


def _refuse_overwrite(path: str, text: str, targets: Targets) -> None:
    known = targets.known.get(path)
    if known is not None and known.strip() and known.replace("\r\n", "\n") != text:
        raise refusal(
            "conflict", f"The patch adds {path}, but there is such a file already.", path=path, edit=True
        )


def _header_path(written: str | None, prefix: str, targets: Targets) -> str | None:
    """A name of a diff's header, without git's ``a/`` or ``b/`` unless such a folder is known."""
    if written is None:
        return None
    if written.startswith(prefix) and written not in targets.names:
        written = written[2:]
    return targets.resolve(written, existing=True)
