"""``windlass diff``, ``undo`` and ``redo``: what a run did to files, and taking it back."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.text import Text

from windlass.cli.common import console, json_list_option, print_json, with_app
from windlass.cli.root import safe

if TYPE_CHECKING:
    from windlass.app import App

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


@click.command("diff")
@click.argument("run", metavar="RUN")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--stat", is_flag=True, help="Only how many lines changed in each file.")
@click.option("--no-pager", is_flag=True, help="Print long diffs without a pager.")
@json_list_option
def diff(run: str, paths: tuple[str, ...], stat: bool, no_pager: bool, as_json: bool) -> None:
    """What RUN changed: from the files as they were before it to as it left them.

    \b
    windlass diff last
    windlass diff last src/cart.py
    windlass diff last --stat
    """
    from windlass.history import counts, diff_of, net_changes, undone

    async def collect(app: App) -> tuple[list[dict[str, Any]], str]:
        record = await app.journal.get_run(run)
        entries = await app.journal.entries(record.run_id)
        found = []
        for change in net_changes(entries, in_workspace(paths, record.workspace)):
            text = await diff_of(app.journal, change)
            added, removed = counts(text)
            found.append(
                {"path": change.path, "change": change.kind, "added": added, "removed": removed, "diff": text}
            )
        undo = (
            f" What it did was undone; windlass redo {record.run_id} takes that back."
            if undone(entries)
            else ""
        )
        return found, f"No change.{undo}"

    found, nothing = with_app(collect)
    if as_json:
        print_json(found)
        return
    out = console()
    if not found:
        out.print(nothing, soft_wrap=True)
    elif stat:
        width = max(len(row["path"]) for row in found)
        for row in found:
            plus, minus = bar(row["added"], row["removed"])
            out.print(
                Text.assemble(
                    f" {safe(row['path']):<{width}} | {row['added'] + row['removed']:>4} ",
                    (plus, "green"),
                    (minus, "red"),
                )
            )
        added, removed = sum(row["added"] for row in found), sum(row["removed"] for row in found)
        out.print(
            f" {len(found)} file{'' if len(found) == 1 else 's'}, {added} line{'' if added == 1 else 's'} added, "
            f"{removed} removed"
        )
    else:
        if not out.is_terminal:
            # As it is, so that `git apply` and `patch` take it; on a terminal nothing may drive the terminal.
            click.echo("".join(row["diff"] for row in found), nl=False)
            return
        text = Text("\n").join(coloured(row["diff"]) for row in found)
        if not no_pager and text.plain.count("\n") > out.height:
            # As git does: colours pass through, and what fits the screen stays on it.
            os.environ.setdefault("LESS", "FRX")
            with out.pager(styles=True):
                out.print(text, soft_wrap=True, end="")
        else:
            out.print(text, soft_wrap=True, end="")


def in_workspace(paths: Sequence[str], workspace: str) -> list[str]:
    """The names in a run's workspace that are meant: as given, or where a path like ``./x`` or ``/…/x`` leads to."""
    root = Path(workspace)
    names = []
    for path in paths:
        whole = Path(os.path.normpath(Path.cwd() / path))  # symlinks stay what they are
        spelled = path.startswith(("./", "../", "/"))
        below = spelled and "://" not in workspace and whole.is_relative_to(root)
        name = whole.relative_to(root).as_posix() if below else path.removeprefix("./")
        names.append(unicodedata.normalize("NFC", name))
    return names


def bar(added: int, removed: int, width: int = 40) -> tuple[str, str]:
    """Plus and minus signs, scaled down together to ``width``."""
    total = added + removed
    scale = min(1.0, width / total) if total else 0
    return "+" * max(round(added * scale), bool(added)), "-" * max(round(removed * scale), bool(removed))


def coloured(diff: str) -> Text:
    """Unified diffs in the usual colours."""
    text = Text()
    left = 0  # lines of the hunk still to come, old and new ones: in it, "--- x" is a removed "-- x"
    for line in diff.split("\n")[: -1 if diff.endswith("\n") else None]:
        hunk = _HUNK.match(line)
        style = ""
        if left <= 0 and hunk:
            left = int(hunk[1] or "1") + int(hunk[2] or "1")
            style = "cyan"
        elif left <= 0 and line.startswith(("+++", "---")):
            style = "bold"
        elif line.startswith(("+", "-")):
            left -= 1
            style = "green" if line[0] == "+" else "red"
        elif not line.startswith("\\"):
            left -= 2
        # A line end that changed must show; one that did not would only be in the way.
        mark = "^M" if style in ("green", "red") and line.endswith("\r") else ""
        text.append(safe(line.removesuffix("\r").replace("\ufeff", "")) + mark + "\n", style=style)
    return text


@click.command("undo")
@click.argument("run", metavar="RUN")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--force", is_flag=True, help="Also where a file was changed since; that change is lost.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of what was put back.")
def undo(run: str, paths: tuple[str, ...], force: bool, as_json: bool) -> None:
    """Put the files that RUN changed back to what they were before it: all of them, or only PATHs.

    A file that was changed since is not touched, and then none is; `windlass redo RUN` takes the undo back.
    """
    from windlass import history
    from windlass.owners import owner_name

    async def work(app: App) -> list[history.NetChange]:
        record = await app.journal.get_run(run)
        workspace = await app.workspace(record)
        chosen = in_workspace(paths, record.workspace)
        return await history.undo(app.journal, record, workspace, owner_name(), paths=chosen, force=force)

    _told(with_app(work), as_json)


@click.command("redo")
@click.argument("run", metavar="RUN")
@click.option("--force", is_flag=True, help="Also where a file was changed since; that change is lost.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of what was changed.")
def redo(run: str, force: bool, as_json: bool) -> None:
    """Take the last `windlass undo` of RUN back."""
    from windlass import history
    from windlass.owners import owner_name

    async def work(app: App) -> list[history.NetChange]:
        record = await app.journal.get_run(run)
        return await history.redo(app.journal, record, await app.workspace(record), owner_name(), force=force)

    _told(with_app(work), as_json)


def _told(changes: list[Any], as_json: bool) -> None:
    if as_json:
        print_json([{"path": c.path, "change": c.kind} for c in changes])
        return
    for change in changes:
        word = {"created": "restored", "deleted": "removed", "modified": "put back"}[change.kind]
        console().print(Text(f"  {word:<9} {safe(change.path)}"))
