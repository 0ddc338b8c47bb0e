"""The end of a reply: what becomes of blocks that no path stands over."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from windlass.replies import wording
from windlass.replies.bodies import joined
from windlass.replies.doubts import is_a_part, refuse_doubtful, refuse_two_files, refuse_use
from windlass.replies.items import Item, Scan
from windlass.replies.kinds import refusal
from windlass.replies.labels import label_above
from windlass.replies.languages import EMPTY_NAMES, family_of_word, fits, is_page
from windlass.replies.operations import Operation, Whole
from windlass.replies.sentences import Clash
from windlass.replies.targets import Targets

#: A block and the lines above it.
Unnamed = tuple[Item, list[str]]


def refuse_unnamed(blocks: Sequence[Unnamed], operations: Sequence[Operation], targets: Targets) -> None:
    """Raise ReplyError where a block beside named ones could be a file; examples of use are left out."""
    given = {operation.text for operation in operations if isinstance(operation, Whole)}
    if all(wording.speaks_of_usage(gap) or joined(item.lines) in given for item, gap in blocks):
        return
    only = targets.only
    if only is not None and any(operation.path == only for operation in operations):
        raise refusal("ambiguous", f"The reply holds {only} and another block without a name.", path=only)
    raise refusal("no_path", "A block of the reply does not say which file it is.")


def refuse_nothing(targets: Targets, *, commands: bool) -> None:
    """Raise ReplyError for a reply without any block that could be a file."""
    only = targets.only
    if commands and only is not None and is_page(only):
        raise refusal("ambiguous", f"It is not certain which part of the reply is {only}.", path=only)
    if commands:
        raise refusal("shell_command", "The reply runs commands instead of giving files.")
    raise refusal("no_file", "The reply holds no file.")


def the_one_file(blocks: Sequence[Unnamed], targets: Targets, found: Scan) -> Whole:
    """The one block without a name as the one file asked for. Raises ReplyError where it may be another."""
    only = targets.only
    if only is None:
        raise refusal("no_path", "A block of the reply does not say which file it is.")
    texts = {joined(item.lines) for item, _ in blocks}
    if len(texts) > 1 and all(wording.is_headed_as_use(gap) for _, gap in blocks[1:]):
        blocks, texts = blocks[:1], {joined(blocks[0][0].lines)}
    if len(texts) > 1:
        raise refusal(
            "ambiguous", f"The reply holds {len(texts)} blocks, and none says that it is {only}.", path=only
        )
    item, gap = blocks[0]
    if not fits(family_of_word(item.info), only):
        raise refusal(
            "ambiguous", f"The only block of the reply is {item.info.split()[0]}, not {only}.", path=only
        )
    label = label_above(gap, targets.names)
    if isinstance(label, Clash) and only not in label.names:
        raise refusal(
            "ambiguous",
            f"The text above the block names {', '.join(label.names[:4])}, not {only}.",
            path=only,
        )
    text = texts.pop()
    if not text.strip() and posixpath.basename(only) not in EMPTY_NAMES:
        raise refusal("empty", f"The block for {only} is empty.", path=only)
    refuse_doubtful(item, only, found, targets.names, targets.known.get(only))
    refuse_two_files(item.lines, only, targets.names)
    refuse_use(item.lines, only, gap)
    return Whole(only, text, labelled=False, part=only in targets.known and is_a_part(gap))
