"""Apply what a reply asks for to the known files, all or nothing, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from windlass.replies.document import Document, in_style_of
from windlass.replies.doubts import refuse_talk
from windlass.replies.edits import apply_edit, replace_once
from windlass.replies.elision import first_elision, leaves_out_most
from windlass.replies.hunks import apply_hunks
from windlass.replies.kinds import refusal
from windlass.replies.operations import Change, Delete, Operation, Patch, Substitute, Whole
from windlass.replies.targets import Targets

#: Characters searched for all edits of one reply together; more means that a whole file is cheaper.
_MOST_WORK = 400_000_000


def apply_operations(operations: Sequence[Operation], targets: Targets) -> dict[str, str | None]:
    """The files that end up different. Raises ReplyError for the first thing that does not fit."""
    return _Application(targets).run(operations)


class _Application:
    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._known = targets.known
        self._documents: dict[str, Document] = {}
        self._wholes: dict[str, Whole] = {}
        self._edited: set[str] = set()
        self._deleted: set[str] = set()
        self._touched: list[str] = []
        self._work = 0

    def run(self, operations: Sequence[Operation]) -> dict[str, str | None]:
        wanted = self._resolved(operations)
        asked = self._targets.asked
        named = list(dict.fromkeys(path for operation in wanted for path in _paths(operation)))
        collision = self._targets.collision(named)
        if collision is not None:
            raise collision
        if asked is not None:
            wanted = self._within(wanted, named, asked)
        self._count_work(wanted)
        for operation in wanted:
            self._one(operation)
        changes: dict[str, str | None] = {}
        for path in dict.fromkeys(self._touched):
            after = self._result(path)
            before = self._known.get(path)
            if path in self._edited and after is not None and not after.strip() and (before or "").strip():
                raise refusal("empty", f"The reply would leave {path} empty.", path=path, edit=True)
            if after != before:
                changes[path] = after
        return changes

    def _resolved(self, operations: Sequence[Operation]) -> list[Operation]:
        """Paths of JSON and tags are still as written; those of blocks are already checked (checking twice is harmless)."""
        result: list[Operation] = []
        for operation in operations:
            if isinstance(operation, Whole):
                result.append(replace(operation, path=self._targets.resolve(operation.path)))
            elif isinstance(operation, Change):
                result.append(
                    Change(self._targets.resolve(operation.path or "", existing=True), operation.edit)
                )
            elif isinstance(operation, Substitute):
                result.append(
                    Substitute(
                        self._targets.resolve(operation.path, existing=True), operation.old, operation.new
                    )
                )
            elif isinstance(operation, Delete):
                result.append(Delete(self._targets.resolve(operation.path, existing=True), operation.hunks))
            else:
                result.append(operation)
        return result

    def _within(self, wanted: list[Operation], named: list[str], asked: list[str]) -> list[Operation]:
        """Only what was asked for; an error where something asked for is missing."""
        for operation in wanted:
            if isinstance(operation, Delete) or (
                isinstance(operation, Patch) and operation.move_to is not None
            ):
                raise refusal(
                    "delete_not_allowed",
                    f"The reply deletes or renames {operation.path}, but was asked for files to write.",
                    path=operation.path,
                )
        inside = [operation for operation in wanted if operation.path in asked]
        if not inside:
            raise refusal(
                "unexpected_file",
                f"The reply gives {', '.join(named[:5])}, but was asked for {', '.join(asked[:5]) or 'no file'}.",
                path=named[0] if named else None,
            )
        # Edits may leave a known file as it is; a file to be written must be there.
        only_edits = not any(isinstance(operation, Whole) for operation in inside)
        present = {operation.path for operation in inside}
        missing = [path for path in asked if path not in present and not (only_edits and path in self._known)]
        if missing:
            raise refusal(
                "missing_file",
                f"The reply does not give {', '.join(missing[:5])}.",
                f"All of these were asked for: {', '.join(asked[:20])}.",
                path=missing[0],
            )
        return inside

    def _count_work(self, wanted: list[Operation]) -> None:
        for operation in wanted:
            if isinstance(operation, Whole | Delete):
                continue
            size = len(self._known.get(operation.path or "", "")) + 200
            self._work += size * max(1, len(operation.hunks) if isinstance(operation, Patch) else 1)
        if self._work > _MOST_WORK:
            raise refusal(
                "conflict",
                "The reply makes too many edits to files of this size; send the whole files instead.",
            )

    def _one(self, operation: Operation) -> None:
        path = operation.path
        assert path is not None
        self._touched.append(path)
        if path in self._deleted:
            raise refusal("conflict", f"The reply deletes {path} and also changes it.", path=path)
        if isinstance(operation, Whole):
            self._whole(operation)
        elif isinstance(operation, Delete):
            self._delete(operation)
        elif isinstance(operation, Change):
            self._change(path, operation)
        elif isinstance(operation, Substitute):
            self._substitute(operation)
        else:
            self._patch(path, operation)

    def _whole(self, operation: Whole) -> None:
        path = operation.path
        known = self._known.get(path)
        if path in self._edited:
            raise refusal("conflict", f"The reply edits {path} and then gives it whole.", path=path)
        refuse_talk(operation.text.split("\n"), path)
        self._refuse_elision(path, operation.text.split("\n"))
        if known is not None and known.strip() and not operation.text.strip():
            raise refusal("empty", f"The reply would leave {path} empty.", path=path)
        lines = operation.text.count("\n")
        loose = operation.weak or not operation.labelled
        before = known.count("\n") if known is not None else 0
        small = before >= 10 and lines < 0.5 * before
        if (
            (operation.part and lines < 0.8 * before)
            or (small and loose)
            or (small and not operation.exact and leaves_out_most(operation.text, known or ""))
        ):
            raise refusal(
                "ambiguous",
                f"The block for {path} seems to be a part of it ({lines} lines, the file has {before}).",
                "Send the whole file, or an edit.",
                path=path,
                edit=True,
            )
        self._refuse_fragment(operation)
        earlier = self._wholes.get(path)
        differs = earlier is not None and earlier.text != operation.text
        if earlier is not None and differs and operation.another:
            raise refusal(
                "ambiguous",
                f"The reply offers several versions of {path} to choose from.",
                "Choose one, and send only that.",
                path=path,
            )
        if earlier is not None and differs and (operation.exact or lines * 2 < earlier.text.count("\n")):
            raise refusal("conflict", f"The reply gives {path} twice, with different text.", path=path)
        self._wholes[path] = operation
        self._documents.pop(path, None)

    def _refuse_fragment(self, operation: Whole) -> None:
        if not operation.path.endswith((".py", ".pyi")):
            return
        first = next((line for line in operation.text.split("\n") if line.strip()), "")
        if first[:1] in (" ", "\t"):
            raise refusal(
                "ambiguous",
                f"The text of {operation.path} starts indented, so it is a part of a file.",
                path=operation.path,
            )

    def _delete(self, operation: Delete) -> None:
        path = operation.path
        known = self._known.get(path)
        if known is None:
            raise refusal(
                "patch_not_found",
                f"The reply deletes {path}, but there is no such file.",
                path=path,
                edit=True,
            )
        if path in self._edited or path in self._wholes:
            raise refusal("conflict", f"The reply changes {path} and also deletes it.", path=path)
        removed = [line for hunk in operation.hunks for line in hunk.old]
        if operation.hunks and removed != Document(known).lines:
            raise refusal(
                "patch_not_found",
                f"The diff deletes {path}, but its lines are not those of the file.",
                path=path,
                edit=True,
            )
        self._deleted.add(path)

    def _change(self, path: str, operation: Change) -> None:
        self._refuse_elision(path, operation.edit.replace)
        exists = path in self._known or path in self._wholes
        if not any(line.strip() for line in operation.edit.search):
            if exists and self._document(path).lines:
                raise refusal(
                    "search_ambiguous",
                    f"An empty SEARCH does not say where in {path} the text belongs.",
                    path=path,
                    edit=True,
                )
            if path in self._edited:
                raise refusal("conflict", f"The reply creates {path} twice.", path=path)
            self._documents[path] = Document("".join(f"{line}\n" for line in operation.edit.replace))
            self._edited.add(path)
            return
        apply_edit(self._existing(path), path, operation.edit)
        self._edited.add(path)

    def _substitute(self, operation: Substitute) -> None:
        path = operation.path
        self._refuse_elision(path, operation.new.split("\n"))
        old, new = operation.old.replace("\r\n", "\n"), operation.new.replace("\r\n", "\n")
        document = self._existing(path)
        text = document.text()
        if document.crlf:
            old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
        self._documents[path] = Document(replace_once(path, text, old, new))
        self._edited.add(path)

    def _patch(self, path: str, operation: Patch) -> None:
        for hunk in operation.hunks:
            self._refuse_elision(path, hunk.added)
        creates = path not in self._known and path not in self._wholes and operation.hunks
        if creates and not any(hunk.old for hunk in operation.hunks) and path not in self._edited:
            text = "".join(f"{line}\n" for hunk in operation.hunks for line in hunk.added)
            if operation.hunks[-1].new_without_newline:
                text = text.removesuffix("\n")
            self._documents[path] = Document(text)
            self._edited.add(path)
            return
        if path not in self._known and path not in self._documents and path not in self._wholes:
            raise refusal(
                "patch_not_found",
                f"The patch changes {path}, but there is no such file.",
                path=path,
                edit=True,
            )
        document = self._document(path)
        if operation.hunks:
            apply_hunks(document, path, operation.hunks)
        self._edited.add(path)
        if operation.move_to is not None:
            if operation.move_to in self._known:
                raise refusal(
                    "conflict",
                    f"The patch renames {path} to {operation.move_to}, which exists.",
                    path=path,
                    edit=True,
                )
            self._documents[operation.move_to] = document
            self._edited.add(operation.move_to)
            self._touched.append(operation.move_to)
            self._edited.discard(path)
            self._documents.pop(path, None)
            self._deleted.add(path)

    def _existing(self, path: str) -> Document:
        if path not in self._known and path not in self._wholes and path not in self._documents:
            raise refusal(
                "search_not_found",
                f"The reply edits {path}, but there is no such file.",
                f"The files are: {', '.join(sorted(self._known)[:20]) or 'none yet'}.",
                path=path,
                edit=True,
            )
        return self._document(path)

    def _document(self, path: str) -> Document:
        if path not in self._documents:
            whole = self._wholes.get(path)
            text = in_style_of(self._known.get(path), whole.text) if whole else self._known.get(path, "")
            self._documents[path] = Document(text)
        return self._documents[path]

    def _result(self, path: str) -> str | None:
        if path in self._deleted:
            return None
        if path in self._documents:
            return self._documents[path].text()
        return in_style_of(self._known.get(path), self._wholes[path].text)

    def _refuse_elision(self, path: str, lines: Sequence[str]) -> None:
        found = first_elision(path, lines, self._known.get(path))
        if found is not None:
            number, line = found
            raise refusal(
                "elision",
                f"Line {number} of the text for {path} stands for text that is left out: {line[:80]!r}.",
                "Write out everything, or send only the edit.",
                path=path,
                edit=True,
            )


def _paths(operation: Operation) -> list[str]:
    moved = operation.move_to if isinstance(operation, Patch) else None
    return [path for path in (operation.path, moved) if path is not None]
