"""Say what each structure of a reply asks for: which file, and what to do with it."""

from __future__ import annotations

from windlass.errors import ReplyError
from windlass.replies import labels, wording
from windlass.replies.bare import opens_source
from windlass.replies.block import Block, Verdict
from windlass.replies.bodies import joined
from windlass.replies.doubts import (
    first_filled,
    is_a_part,
    looks_like_commands,
    looks_like_output,
    refuse_doubtful,
    refuse_two_files,
)
from windlass.replies.edit_blocks import EditBlocks
from windlass.replies.items import Item, Scan
from windlass.replies.json_replies import json_block
from windlass.replies.kinds import refusal
from windlass.replies.languages import (
    family_of_path,
    family_of_word,
    fits,
    is_page,
    is_source,
    runs_in_a_shell,
)
from windlass.replies.markers import PATCH_OPEN, TAG_OPEN, EditIndex
from windlass.replies.operations import Operation, Whole
from windlass.replies.own_names import own_label
from windlass.replies.patches import diff_operations, patch_operations
from windlass.replies.pathlike import looks_like_path
from windlass.replies.scan import scan
from windlass.replies.sentences import Clash, Label
from windlass.replies.tags import operations_of_tag
from windlass.replies.targets import Targets
from windlass.replies.unnamed import Unnamed, refuse_nothing, refuse_unnamed, the_one_file
from windlass.replies.v4a import until_end

_DEEPEST = 3
_CLOSING_TAGS = frozenset({"</file>", "</content>", "</write_file>", "</write_to_file>", "</document>"})


class Reader:
    """Reads the structures of one reply in order; remembers what one says about the next."""

    def __init__(self, found: Scan, targets: Targets, *, cut: bool, depth: int = 0) -> None:
        self._found = found
        self._targets = targets
        self._cut = cut
        self._depth = depth
        self._operations: list[Operation] = []
        self._unnamed: list[Unnamed] = []
        self._edits = EditBlocks(targets)
        self._pending: str | None = None
        self._commands = False

    def operations(self) -> list[Operation]:
        """Everything the reply asks for. Raises ReplyError where a block cannot be read, or belongs nowhere."""
        carried: list[str] = []
        for index, item in enumerate(self._found.items):
            if not item.closed:
                raise refusal("truncated", "The reply ends inside a block: its closing line is missing.")
            gap = [*carried, *self._found.gap(index, index - 1)][-wording.FAR :]
            carried = gap if self._item(item, gap) is Verdict.PASSED else []
        self._refuse_stray_tags()
        self._settle()
        return self._operations

    def _item(self, item: Item, gap: list[str]) -> Verdict:
        names = self._targets.names
        if item.kind == "fence":
            return self._fence(item, gap)
        if item.kind == "edit":
            self._edits.about(labels.label_above(gap, names), self._take_pending())
            self._operations.append(self._edits.read(item.lines))
        elif item.kind == "patch":
            self._operations.extend(patch_operations(item.lines, self._targets))
        elif item.kind == "diff":
            self._operations.extend(diff_operations(item.lines, self._targets, None))
        else:
            self._operations.extend(operations_of_tag(item.lines, names))
        return Verdict.TAKEN

    def _fence(self, item: Item, gap: list[str]) -> Verdict:
        """Read a fence: the first reading that fits decides, from the surest to the weakest sign."""
        lines = list(item.lines)
        label, word = self._label(item, gap), family_of_word(item.info)
        block = Block(item, lines, gap, label, self._pending, first_filled(lines), word)
        readings = (
            self._as_lone_path,
            self._as_edits,
            self._as_named,
            self._as_envelope,
            self._as_diff,
            self._as_wrapped_reply,
            self._as_script,
            self._as_named_by_a_sentence,
            self._as_named_by_a_comment,
            self._as_output_or_commands,
            self._as_the_past,
        )
        for reading in readings:
            verdict = reading(block)
            if verdict is not None:
                return verdict
        self._unnamed.append((item, gap))
        return Verdict.TAKEN

    def _label(self, item: Item, gap: list[str]) -> Label | Clash | None:
        names = self._targets.names
        info = labels.info_label(item.info, names)
        above = labels.label_above(gap, names)
        if info is None:
            return above
        if isinstance(above, Label) and above.strict and above.differs_from(info.raw):
            raise refusal("conflict", f"One block is called {above.raw!r} and {info.raw!r}.")
        return info

    def _take_pending(self) -> str | None:
        pending, self._pending = self._pending, None
        return pending

    # -- readings of a fence ---------------------------------------------------------------------------

    def _as_lone_path(self, block: Block) -> Verdict | None:
        """A block that holds a path and nothing else names the block after it."""
        if block.strict is None and sum(bool(line.strip()) for line in block.lines) == 1:
            text = block.first.strip().strip("`*:")
            if looks_like_path(text, self._targets.names) and family_of_path(text) is not None:
                self._pending = text
                return Verdict.TAKEN
        self._pending = None
        return None

    def _as_edits(self, block: Block) -> Verdict | None:
        index = EditIndex(block.lines)
        start = index.first
        if start is None:
            return None
        above = [line for line in block.lines[:start] if line.strip()]
        own = labels.strict_label(above[0], self._targets.names) if above else None
        if len(above) > 1 or (above and own is None):
            page = is_page(block.label.raw) if isinstance(block.label, Label) else block.word == "markdown"
            if page or block.strict is not None:
                return None
            raise refusal("ambiguous", "A block mixes edit markers with other text.", edit=True)
        self._edits.about(own or block.label, block.pending)
        self._operations.extend(self._edits.read_fenced(block.lines, index, start))
        return Verdict.TAKEN

    def _as_named(self, block: Block) -> Verdict | None:
        if block.strict is not None:
            return self._named(block, block.strict)
        if block.pending is not None and block.label is None:
            return self._named(block, Label(block.pending, strict=True))
        return None

    def _as_envelope(self, block: Block) -> Verdict | None:
        """Files as JSON or inside tags."""
        only, word, first = self._targets.only, block.word, block.first
        if first.lstrip()[:1] in ("{", "[") and word in {None, "json", "output", "script"}:
            operations = json_block(block.lines, self._targets, claimed=word in {None, "json"})
            if operations is None:
                return None
            self._operations.extend(operations)
            return Verdict.TAKEN
        tagged = word in {None, "markup", "output"} and TAG_OPEN.match(first)
        if not tagged and first.strip().lower() not in {"<files>", "<documents>"}:
            return None
        if only is not None and family_of_path(only) == "markup" and only not in "\n".join(block.lines[:8]):
            return None
        return self._inner_reply(block.lines, {"tag"})

    def _as_diff(self, block: Block) -> Verdict | None:
        only, first, lines = self._targets.only, block.first, block.lines
        named_otherwise = block.strict is not None and block.strict.raw != only
        if only is not None and family_of_path(only) == "diff" and not named_otherwise:
            return None
        if first.strip() == PATCH_OPEN:
            self._operations.extend(patch_operations(until_end(lines[lines.index(first) :]), self._targets))
            return Verdict.TAKEN
        if block.word == "diff" and first.startswith("*** ") and "File:" in first:
            self._operations.extend(patch_operations(lines, self._targets))
            return Verdict.TAKEN
        if block.word != "diff" and not block.opens_diff():
            return None
        label = block.label if isinstance(block.label, Label) else None
        self._operations.extend(diff_operations(block.trimmed(), self._targets, label))
        return Verdict.TAKEN

    def _as_wrapped_reply(self, block: Block) -> Verdict | None:
        """A whole reply inside an outer fence."""
        if block.item.info and block.word not in {"markdown", "output"}:
            return None
        if any(is_page(path) for path in self._targets.asked or ()):
            return None
        if not any(line.lstrip(" >").startswith(("```", "~~~")) for line in block.lines):
            return None
        only = self._targets.only
        if only is not None and is_source(only) and opens_source(block.first):
            return None
        return self._inner_reply(block.lines, {"fence", "edit", "patch", "diff", "tag"})

    def _as_script(self, block: Block) -> Verdict | None:
        only = self._targets.only
        if not runs_in_a_shell(block.word) or (only is not None and fits(block.word, only)):
            return None
        for number, line in enumerate(block.lines):
            if line.strip() == PATCH_OPEN:
                self._operations.extend(patch_operations(until_end(block.lines[number:]), self._targets))
                return Verdict.TAKEN
        self._commands = True
        return Verdict.PASSED

    def _as_named_by_a_sentence(self, block: Block) -> Verdict | None:
        only, label = self._targets.only, block.label
        if isinstance(label, Clash):
            concerns = only is None or only in label.names
            if concerns and (block.word == "output" or wording.speaks_of_usage(block.gap)):
                return Verdict.PASSED
            self._unnamed.append((block.item, block.gap))
            return Verdict.TAKEN
        return self._named(block, label) if label is not None else None

    def _as_named_by_a_comment(self, block: Block) -> Verdict | None:
        if block.word == "markdown":
            return None
        comment = own_label(block.lines, block.word, self._targets)
        if comment is None:
            return None
        only = self._targets.only
        # A comment is weak evidence: where one file is asked for, it must not lead elsewhere by its folder.
        if only is not None and not comment.differs_from(only) and not comment.drop_first_line:
            return None
        return self._named(block, comment)

    def _as_output_or_commands(self, block: Block) -> Verdict | None:
        only = self._targets.only
        if block.word == "output" and not (only is not None and fits(block.word, only)):
            return Verdict.PASSED
        if (not block.item.info or block.word == "output") and looks_like_output(block.lines):
            return Verdict.PASSED
        asks_for_script = only is not None and runs_in_a_shell(family_of_path(only))
        if not block.item.info and looks_like_commands(block.lines) and not asks_for_script:
            self._commands = True
            return Verdict.PASSED
        return None

    def _as_the_past(self, block: Block) -> Verdict | None:
        return Verdict.TAKEN if wording.speaks_of_the_past(block.gap) else None

    def _named(self, block: Block, label: Label) -> Verdict:
        """A block that a path stands over: the whole file, a diff of it, or something that only concerns it."""
        path, word = self._targets.resolve(label.raw), block.word
        if wording.speaks_of_the_past(block.gap):
            return Verdict.TAKEN
        if label.partial:
            raise refusal(
                "elision", f"The block for {path} says that it is only a part of the file.", path=path
            )
        fitting = fits(word, path)
        if runs_in_a_shell(word) and not fitting and family_of_path(path) is not None:
            self._commands = True
            return Verdict.PASSED
        if word == "output" and not fitting and not label.strict:
            return Verdict.PASSED
        if family_of_path(path) != "diff":
            if self._as_diff(block) is Verdict.TAKEN:
                return Verdict.TAKEN
            if word == "diff":
                raise refusal(
                    "patch_not_found", f"The diff for {path} has no lines to change.", path=path, edit=True
                )
        if not label.strict and not fitting:
            self._unnamed.append((block.item, block.gap))
            return Verdict.TAKEN
        known = self._targets.known.get(path)
        refuse_doubtful(block.item, path, self._found, self._targets.names, known)
        if label.comment:
            refuse_two_files(block.lines, path, self._targets.names)
        self._operations.append(
            Whole(
                path,
                joined(block.without_path_comment(label, known or "")),
                labelled=label.strict or self._targets.only is None,
                weak=not label.strict,
                part=known is not None and not label.comment and is_a_part(block.gap),
                another=wording.offers_another(block.gap),
            )
        )
        return Verdict.TAKEN

    def _inner_reply(self, lines: list[str], kinds: set[str]) -> Verdict | None:
        """Read a block as a reply of its own; None where its structures are the text of a file."""
        if self._depth >= _DEEPEST:
            return None
        inner = scan("\n".join(lines))
        if not inner.items or any(item.kind not in kinds for item in inner.items):
            return None
        reader = Reader(inner, self._targets, cut=self._cut, depth=self._depth + 1)
        try:
            self._operations.extend(reader.operations())
        except ReplyError as error:
            # Blocks that are no files of their own belong to the text of the outer one.
            if error.kind in {"no_file", "shell_command", "no_path"}:
                return None
            raise
        return Verdict.TAKEN

    # -- the end of the reply --------------------------------------------------------------------------

    def _refuse_stray_tags(self) -> None:
        if not any(item.kind == "tag" for item in self._found.items):
            return
        for line in self._found.outside():
            if line.strip().lower() in _CLOSING_TAGS:
                raise refusal(
                    "ambiguous", f"It is not certain where a file ends: {line.strip()} comes once too often."
                )

    def _settle(self) -> None:
        """Give the one block without a name to the one file asked for, or refuse."""
        targets = self._targets
        if self._operations:
            refuse_unnamed(self._unnamed, self._operations, targets)
        elif self._unnamed:
            self._operations.append(the_one_file(self._unnamed, targets, self._found))
        else:
            refuse_nothing(targets, commands=self._commands)
        if self._cut and (targets.asked is None or any(is_page(path) for path in targets.asked)):
            raise refusal("truncated", "The reply was cut off; more of it may be missing.")
