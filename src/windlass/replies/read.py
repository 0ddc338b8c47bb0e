"""Say what each structure of a reply asks for: which file, and what to do with it."""

from __future__ import annotations

import posixpath
import re

from windlass.errors import ReplyError
from windlass.replies import labels, wording
from windlass.replies.diffs import FilePatch, read_unified, read_v4a
from windlass.replies.edits import read_edit
from windlass.replies.envelopes import (
    decode_json,
    joined,
    looks_like_envelope,
    operations_of,
    operations_of_tag,
)
from windlass.replies.kinds import refusal
from windlass.replies.labels import Clash, Label
from windlass.replies.languages import (
    EMPTY_NAMES,
    family_of_path,
    family_of_word,
    fits,
    is_page,
    runs_in_a_shell,
)
from windlass.replies.operations import Change, Delete, Operation, Patch, Whole
from windlass.replies.pathlike import looks_like_path
from windlass.replies.scan import PATCH_OPEN, TAG_OPEN, EditIndex, Item, Scan, scan
from windlass.replies.targets import Targets

_DEEPEST = 3
_HEREDOC = re.compile(r"\s*(?:[$#>] )?(?:cat|tee)\b.{0,200}<<")


class Reader:
    """Reads the structures of one reply in order; remembers the path that edits without one belong to."""

    def __init__(self, found: Scan, targets: Targets, *, cut: bool, depth: int = 0) -> None:
        self._found = found
        self._targets = targets
        self._cut = cut
        self._depth = depth
        self._operations: list[Operation] = []
        self._unlabelled: list[tuple[Item, list[str]]] = []
        self._shell = 0
        self._output = 0
        self._edit_path: str | None = None
        self._pending_path: str | None = None

    def names_its_blocks(self) -> bool:
        """True where a fence of the reply carries the asked-for path."""
        only = self._targets.only
        for index, item in enumerate(self._found.items):
            if item.kind != "fence":
                continue
            label = labels.info_label(item.info, self._targets.names)
            if label is None:
                above = labels.label_above(self._found.gap(index, index - 1), self._targets.names)
                label = above if isinstance(above, Label) and above.strict else None
            if label is not None and (
                only is None or posixpath.basename(label.raw) == posixpath.basename(only)
            ):
                return True
        return False

    def operations(self) -> list[Operation]:
        """Everything the reply asks for. Raises ReplyError where a block cannot be read, or belongs nowhere."""
        carried: list[str] = []
        for index, item in enumerate(self._found.items):
            if not item.closed:
                raise refusal("truncated", "The reply ends inside a block: its closing line is missing.")
            # A block that is passed over (a command, an output) leaves the label above it to the next one.
            gap = [*carried, *self._found.gap(index, index - 1)][-wording.FAR :]
            used = True
            if item.kind == "fence":
                used = self._fence(item, gap)
            elif item.kind == "edit":
                self._edit(item, gap)
            elif item.kind == "patch":
                self._v4a(item.lines)
            elif item.kind == "diff":
                self._unified(list(item.lines), None)
            else:
                self._operations.extend(operations_of_tag(list(item.lines), self._targets.names))
            carried = [] if used else gap
        self._stray_tags()
        self._settle_unlabelled()
        if self._cut and (self._targets.asked is None or any(is_page(path) for path in self._targets.asked)):
            raise refusal("truncated", "The reply was cut off; more of it may be missing.")
        return self._operations

    # -- one structure ---------------------------------------------------------------------------------

    def _fence(self, item: Item, gap: list[str]) -> bool:
        """Read one fence. False when it is passed over, so that a label above it stays for the next."""
        lines = list(item.lines)
        label = self._label(item, gap)
        first = next((line for line in lines if line.strip()), "")
        word = family_of_word(item.info)
        only = self._targets.only
        if self._is_lone_path(lines, label):
            self._pending_path = first.strip().strip("`*:")
            return True
        pending, self._pending_path = self._pending_path, None
        if self._edits_inside(item, lines, label, gap, pending):
            return True
        if isinstance(label, Label) and label.strict:
            return self._labelled(item, lines, label, gap, word)
        if pending is not None and label is None:
            return self._labelled(item, lines, Label(pending, strict=True), gap, word)
        if self._envelope_inside(item, lines, word, first):
            return True
        if self._diff_inside(item, lines, word, first, label):
            return True
        if self._wrapped_reply(item, lines):
            return True
        if runs_in_a_shell(word) and not (only is not None and fits(word, only)):
            if any(line.strip() == PATCH_OPEN for line in lines):
                start = next(number for number, line in enumerate(lines) if line.strip() == PATCH_OPEN)
                self._v4a(_until_end_patch(lines[start:]))
                return True
            self._shell += 1
            return False
        if isinstance(label, Clash):
            concerns = only is None or only in label.names
            if concerns and (word == "output" or wording.speaks_of_usage(gap)):
                self._output += 1
                return False
            self._unlabelled.append((item, gap))
            return True
        if isinstance(label, Label):
            return self._labelled(item, lines, label, gap, word)
        comment = None if word == "markdown" else labels.comment_label(first, self._targets.names)
        if comment is not None and self._takes_comment(comment):
            return self._labelled(item, lines, comment, gap, word)
        if word == "output" and not (only is not None and fits(word, only)):
            self._output += 1
            return False
        if (
            not item.info
            and _looks_like_commands(lines)
            and not (only is not None and runs_in_a_shell(family_of_path(only)))
        ):
            self._shell += 1
            return False
        self._unlabelled.append((item, gap))
        return True

    def _label(self, item: Item, gap: list[str]) -> Label | Clash | None:
        names = self._targets.names
        info = labels.info_label(item.info, names)
        above = labels.label_above(gap, names)
        if info is None:
            return above
        if isinstance(above, Label) and above.strict and self._differ(above.raw, info.raw):
            raise refusal("conflict", f"One block is called {above.raw!r} and {info.raw!r}.")
        return info

    def _differ(self, one: str, two: str) -> bool:
        return posixpath.basename(one.replace("\\", "/")) != posixpath.basename(two.replace("\\", "/"))

    def _takes_comment(self, comment: Label) -> bool:
        only = self._targets.only
        if only is None:
            return True
        # A comment is weak evidence: where one file is asked for, it must not lead elsewhere by its folder.
        return self._differ(comment.raw, only) or comment.drop_first_line

    def _labelled(self, item: Item, lines: list[str], label: Label, gap: list[str], word: str | None) -> bool:
        path = self._targets.resolve(label.raw)
        only = self._targets.only
        if wording.speaks_of_the_past(gap):
            self._output += 1
            return True
        if label.partial:
            raise refusal(
                "elision", f"The block for {path} says that it is only a part of the file.", path=path
            )
        if runs_in_a_shell(word) and not fits(word, path) and family_of_path(path) is not None:
            self._shell += 1
            return False
        if word == "output" and not fits(word, path) and not label.strict:
            self._output += 1
            return False
        first = next((line for line in lines if line.strip()), "")
        if family_of_path(path) != "diff" and self._diff_inside(item, lines, word, first, label):
            return True
        if word == "diff" and family_of_path(path) != "diff":
            raise refusal(
                "patch_not_found", f"The diff for {path} has no lines to change.", path=path, edit=True
            )
        if not label.strict and not fits(word, path):
            self._unlabelled.append((item, gap))
            return True
        self._guard_close(item, path)
        known = self._targets.known.get(path)
        part = (
            known is not None and not label.comment and wording.speaks_of_a_part(gap) and not _says_whole(gap)
        )
        body = lines
        if label.drop_first_line and lines and not (known or "").startswith(first):
            number = lines.index(first)
            body = lines[:number] + lines[number + 1 :]
        self._operations.append(
            Whole(path, joined(body), labelled=label.strict or only is None, weak=not label.strict, part=part)
        )
        return True

    def _guard_close(self, item: Item, path: str) -> None:
        """Refuse a block whose end may be that of an inner one, and a script that would write the file."""
        first = next((line for line in item.lines if line.strip()), "")
        if _HEREDOC.match(first) and not is_page(path) and not runs_in_a_shell(family_of_path(path)):
            raise refusal(
                "shell_command", f"The block for {path} is a command that writes it, not the file.", path=path
            )
        odd = family_of_path(path) == "python" and sum(line.count('"""') for line in item.lines) % 2 == 1
        page_open = is_page(path) and item.suspicious
        if (item.suspicious and (odd or page_open or self._follows_text(item))) or (
            odd and self._later_fence(item)
        ):
            raise refusal(
                "ambiguous",
                f"It is not certain where the block of {path} ends: the text holds fence lines of the same length.",
                "Use a longer fence (````) around text that holds ``` lines.",
                path=path,
            )
        if item.nested and not is_page(path):
            inner = [line for line in item.lines if line.startswith(("```", "~~~"))]
            before = _line_before(item.lines, inner[0]) if inner else ""
            if labels.strict_label(before, self._targets.names) is not None and before.strip():
                raise refusal("ambiguous", f"The block of {path} seems to run into the next file.", path=path)

    def _follows_text(self, item: Item) -> bool:
        following = self._found.lines[item.end + 1] if item.end + 1 < len(self._found.lines) else ""
        return (
            bool(following.strip())
            and labels.strict_label(following, self._targets.names) is None
            and not _ends_talk(following)
        )

    def _later_fence(self, item: Item) -> bool:
        return any(
            other.start > item.end and other.kind == "fence" and not other.info
            for other in self._found.items[-50:]
        )

    def _is_lone_path(self, lines: list[str], label: Label | Clash | None) -> bool:
        filled = [line for line in lines if line.strip()]
        if len(filled) != 1 or (isinstance(label, Label) and label.strict):
            return False
        text = filled[0].strip().strip("`*:")
        return looks_like_path(text, self._targets.names) and family_of_path(text) is not None

    def _edits_inside(
        self, item: Item, lines: list[str], label: Label | Clash | None, gap: list[str], pending: str | None
    ) -> bool:
        index = EditIndex(lines)
        start = index.first
        if start is None:
            return False
        above = [line for line in lines[:start] if line.strip()]
        page = is_page(label.raw) if isinstance(label, Label) else family_of_word(item.info) == "markdown"
        if len(above) > 1 or (above and labels.strict_label(above[0], self._targets.names) is None):
            if page or (isinstance(label, Label) and label.strict):
                return False
            raise refusal("ambiguous", "A block mixes edit markers with other text.", edit=True)
        own = labels.strict_label(above[0], self._targets.names) if above else None
        if own is not None:
            self._edit_path = own.raw
        elif isinstance(label, Label):
            self._edit_path = label.raw
        elif pending is not None:
            self._edit_path = pending
        elif isinstance(label, Clash):
            self._edit_path = None
        self._edit_lines(lines, start, index)
        return True

    def _edit_lines(self, lines: list[str], start: int, index: EditIndex) -> None:
        number = start
        while number < len(lines):
            line = lines[number]
            if index.opens_at(number):
                end = index.end_of(number)
                if end is None:
                    raise refusal("truncated", "An edit block is not closed.", edit=True)
                self._add_edit(lines[number : end + 1])
                number = end + 1
                continue
            if line.strip():
                own = labels.strict_label(line, self._targets.names)
                if own is None:
                    raise refusal(
                        "ambiguous",
                        f"A line between edits belongs to none: {line.strip()[:80]!r}.",
                        edit=True,
                    )
                self._edit_path = own.raw
            number += 1

    def _edit(self, item: Item, gap: list[str]) -> None:
        label = labels.label_above(gap, self._targets.names)
        if isinstance(label, Label):
            self._edit_path = label.raw
        elif self._pending_path is not None:
            self._edit_path = self._pending_path
        elif isinstance(label, Clash):
            self._edit_path = None
        self._pending_path = None
        self._add_edit(list(item.lines))

    def _add_edit(self, lines: list[str]) -> None:
        edit = read_edit(lines, page=is_page(self._edit_path or self._targets.only or "x.md"))
        written = edit.path or self._edit_path
        if written is None:
            path = self._targets.only
            if path is None and len(self._targets.known) == 1 and edit.search:
                path = next(iter(self._targets.known))
            if path is None:
                raise refusal("no_path", "An edit block does not say which file it is for.", edit=True)
        else:
            path = self._targets.resolve(written, existing=bool(edit.search))
        self._operations.append(Change(path, edit))

    def _v4a(self, lines: object) -> None:
        for operation in read_v4a(list(lines)):  # type: ignore[call-overload]
            path = self._targets.resolve(operation.path, existing=operation.verb != "Add")
            if operation.verb == "Add":
                self._refuse_overwrite(path, joined(operation.lines))
                self._operations.append(Whole(path, joined(operation.lines), exact=True))
            elif operation.verb == "Delete":
                self._operations.append(Delete(path))
            else:
                target = self._targets.resolve(operation.move_to) if operation.move_to else None
                if not operation.hunks and target is None:
                    raise refusal(
                        "patch_not_found", f"The patch changes nothing in {path}.", path=path, edit=True
                    )
                self._operations.append(Patch(path, operation.hunks, move_to=target))

    def _refuse_overwrite(self, path: str, text: str) -> None:
        known = self._targets.known.get(path)
        if known is not None and known.strip() and known.replace("\r\n", "\n") != text:
            raise refusal(
                "conflict", f"The patch adds {path}, but there is such a file already.", path=path, edit=True
            )

    def _unified(self, lines: list[str], label: Label | None) -> None:
        patches = read_unified(lines)
        if not patches:
            raise refusal("patch_not_found", "The diff holds no hunk that could be applied.", edit=True)
        for patch in patches:
            self._file_patch(patch, label)

    def _file_patch(self, patch: FilePatch, label: Label | None) -> None:
        targets = self._targets
        if not patch.named:
            written = label.raw if label is not None else targets.only
            if written is None and len(targets.known) == 1:
                written = next(iter(targets.known))
            if written is None:
                raise refusal("no_path", "A diff does not say which file it is for.", edit=True)
            self._operations.append(Patch(targets.resolve(written, existing=True), patch.hunks))
            return
        old, new = patch.old, patch.new
        if old is None and new is None:
            raise refusal("no_path", "A diff names /dev/null on both sides.", edit=True)
        old_path = self._diff_path(old, "a/") if old is not None else None
        new_path = self._diff_path(new, "b/") if new is not None else None
        if new_path is None:
            assert old_path is not None
            self._operations.append(Delete(old_path, patch.hunks))
        elif old_path is None:
            text = joined(text for hunk in patch.hunks for text in hunk.added)
            if any(hunk.old for hunk in patch.hunks):
                raise refusal(
                    "patch_not_found",
                    f"The diff adds {new_path}, but expects lines in it.",
                    path=new_path,
                    edit=True,
                )
            if patch.hunks and patch.hunks[-1].new_without_newline:
                text = text.removesuffix("\n")
            self._refuse_overwrite(new_path, text)
            self._operations.append(Whole(new_path, text, exact=True))
        elif patch.rename:
            self._operations.append(Patch(old_path, patch.hunks, move_to=new_path))
        elif old_path != new_path:
            if new_path in targets.known and old_path not in targets.known:
                self._operations.append(Patch(new_path, patch.hunks))
            else:
                raise refusal(
                    "conflict",
                    f"The diff goes from {old_path} to {new_path} and does not say that it renames.",
                    edit=True,
                )
        else:
            if label is not None and label.strict and self._differ(label.raw, new_path):
                raise refusal(
                    "conflict", f"The diff of {new_path} stands under the name {label.raw!r}.", edit=True
                )
            self._operations.append(Patch(new_path, patch.hunks))

    def _diff_path(self, written: str, prefix: str) -> str:
        """A name of a diff's header, without git's ``a/`` or ``b/`` unless such a folder is known."""
        if written.startswith(prefix) and written not in self._targets.names:
            written = written[2:]
        return self._targets.resolve(written, existing=True)

    # -- what a fence may hold -------------------------------------------------------------------------

    def _envelope_inside(self, item: Item, lines: list[str], word: str | None, first: str) -> bool:
        only = self._targets.only
        if first.lstrip()[:1] in ("{", "[") and word in {None, "json", "output", "script"}:
            text = "\n".join(lines)
            decoded = decode_json(text)
            if decoded is None:
                return False
            if decoded.failed:
                if (
                    looks_like_envelope(text[:2000])
                    and (only is None or family_of_path(only) != "json")
                    and word in {"json", None}
                ):
                    raise refusal(
                        "bad_json",
                        "The JSON of the reply cannot be read.",
                        "Escape quotes, backslashes and line ends inside strings.",
                    )
                return False
            if text[decoded.end :].strip() or text[: decoded.start].strip():
                return False
            gathered: list[Operation] = []
            for value in decoded.values:
                found = operations_of(value, self._targets.names)
                if found is None:
                    return False
                gathered.extend(found)
            if (
                only is not None
                and family_of_path(only) == "json"
                and not any(operation.path == only for operation in gathered)
            ):
                return False
            self._operations.extend(gathered)
            return True
        if (word in {None, "markup", "output"} and TAG_OPEN.match(first)) or first.strip().lower() in {
            "<files>",
            "<documents>",
        }:
            if only is not None and family_of_path(only) == "markup" and only not in "\n".join(lines[:8]):
                return False
            return self._inner_reply(lines, {"tag"})
        return False

    def _diff_inside(
        self, item: Item, lines: list[str], word: str | None, first: str, label: Label | Clash | None
    ) -> bool:
        only = self._targets.only
        if (
            only is not None
            and family_of_path(only) == "diff"
            and not (isinstance(label, Label) and label.strict and label.raw != only)
        ):
            return False
        if first.strip() == PATCH_OPEN or (word == "diff" and first.startswith("*** ") and "File:" in first):
            if first.strip() == PATCH_OPEN:
                lines = _until_end_patch(lines[lines.index(first) :])
            self._v4a(lines)
            return True
        headed = first.startswith(("diff --git ", "@@ ", "--- ")) and any(
            line.startswith("@@") for line in lines
        )
        if word == "diff" or (headed and (first.startswith(("diff --git ", "@@ -")) or _has_header(lines))):
            self._unified(_untrimmed(lines), label if isinstance(label, Label) else None)
            return True
        return False

    def _wrapped_reply(self, item: Item, lines: list[str]) -> bool:
        """A whole reply inside an outer fence."""
        only = self._targets.only
        word = family_of_word(item.info)
        if (item.info and word not in {"markdown", "output"}) or (only is not None and is_page(only)):
            return False
        if not any(line.lstrip(" >").startswith(("```", "~~~")) for line in lines):
            return False
        if self._targets.asked is not None and any(is_page(path) for path in self._targets.asked):
            return False
        return self._inner_reply(lines, {"fence", "edit", "patch", "diff", "tag"})

    def _inner_reply(self, lines: list[str], kinds: set[str]) -> bool:
        if self._depth >= _DEEPEST:
            return False
        inner = scan("\n".join(lines))
        if not inner.items or any(item.kind not in kinds for item in inner.items):
            return False
        reader = Reader(inner, self._targets, cut=self._cut, depth=self._depth + 1)
        try:
            self._operations.extend(reader.operations())
        except ReplyError as error:
            # Blocks that are no files of their own belong to the text of the outer one.
            if error.kind in {"no_file", "shell_command", "no_path"}:
                return False
            raise
        return True

    # -- the end of the reply --------------------------------------------------------------------------

    def _stray_tags(self) -> None:
        if not any(item.kind == "tag" for item in self._found.items):
            return
        for line in self._found.outside():
            if line.strip().lower() in {
                "</file>",
                "</content>",
                "</write_file>",
                "</write_to_file>",
                "</document>",
            }:
                raise refusal(
                    "ambiguous", f"It is not certain where a file ends: {line.strip()} comes once too often."
                )

    def _settle_unlabelled(self) -> None:
        """Give the one block without a name to the one file asked for, or refuse."""
        only = self._targets.only
        written = {getattr(operation, "path", None) for operation in self._operations}
        blocks = self._unlabelled
        if self._operations:
            given = {operation.text for operation in self._operations if isinstance(operation, Whole)}
            left = [
                item
                for item, gap in blocks
                if not wording.speaks_of_usage(gap) and joined(item.lines) not in given
            ]
            if not left:
                return
            if only is not None and only in written:
                raise refusal(
                    "ambiguous", f"The reply holds {only} and another block without a name.", path=only
                )
            raise refusal("no_path", "A block of the reply does not say which file it is.")
        if not blocks:
            if self._shell and only is not None and is_page(only):
                raise refusal("ambiguous", f"It is not certain which part of the reply is {only}.", path=only)
            if self._shell:
                raise refusal("shell_command", "The reply runs commands instead of giving files.")
            raise refusal("no_file", "The reply holds no file.")
        if only is None:
            raise refusal("no_path", "A block of the reply does not say which file it is.")
        texts = {joined(item.lines) for item, _ in blocks}
        if len(texts) > 1:
            raise refusal(
                "ambiguous",
                f"The reply holds {len(texts)} blocks, and none says that it is {only}.",
                path=only,
            )
        item, gap = blocks[0]
        word = family_of_word(item.info)
        if not fits(word, only):
            raise refusal(
                "ambiguous", f"The only block of the reply is {item.info.split()[0]}, not {only}.", path=only
            )
        label = labels.label_above(gap, self._targets.names)
        if isinstance(label, Clash) and only not in label.names:
            raise refusal(
                "ambiguous",
                f"The text above the block names {', '.join(label.names[:4])}, not {only}.",
                path=only,
            )
        text = joined(item.lines)
        if not text.strip() and posixpath.basename(only) not in EMPTY_NAMES:
            raise refusal("empty", f"The block for {only} is empty.", path=only)
        self._guard_close(item, only)
        known = self._targets.known.get(only)
        part = known is not None and wording.speaks_of_a_part(gap) and not _says_whole(gap)
        self._operations.append(Whole(only, text, labelled=False, part=part))


def _says_whole(gap: list[str]) -> bool:
    paragraph = wording.last_paragraph(gap).lower()
    return any(
        word in paragraph for word in ("full", "complete", "whole", "entire", "new version", "rewritten")
    )


def _line_before(lines: object, wanted: str) -> str:
    previous = ""
    for line in lines:  # type: ignore[attr-defined]
        if line == wanted:
            return previous
        if line.strip():
            previous = line
    return ""


def _ends_talk(line: str) -> bool:
    return line.lstrip()[:1].isalpha() and line.rstrip().endswith((".", ":", "!", "?"))


def _has_header(lines: list[str]) -> bool:
    return any(
        line.startswith("--- ") and number + 1 < len(lines) and lines[number + 1].startswith("+++ ")
        for number, line in enumerate(lines)
    )


def _until_end_patch(lines: list[str]) -> list[str]:
    for number, line in enumerate(lines):
        if line.rstrip() == "*** End Patch":
            return lines[: number + 1]
    raise refusal("truncated", "The patch has no '*** End Patch' line.", edit=True)


def _untrimmed(lines: list[str]) -> list[str]:
    """Without the blank lines at the end, which belong to the fence."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return lines[:end]


def _looks_like_commands(lines: list[str]) -> bool:
    filled = [line.strip() for line in lines if line.strip()][:40]
    if not filled:
        return False
    if any(line.startswith("cat ") and "<<" in line for line in filled[:5]):
        return True
    return all(
        line.startswith(("$ ", "pip ", "pip3 ", "npm ", "npx ", "yarn ", "python ", "python3 ", "pytest", "cd ", "git ", "mkdir ", "touch ",
                         "curl ", "docker ", "make ", "uv ", "sudo ", "cargo ", "go run", "go test", "node ", "chmod ", "echo ", "rm "))
        for line in filled
    )  # fmt: skip
