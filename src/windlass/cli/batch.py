"""``windlass batch``: many items, each an ordinary run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from windlass.cli.batch_session import enqueue_again, enqueue_batch, follow_batch
from windlass.cli.enqueue import asked_place, queue_options
from windlass.cli.run import Usd, json_end_option, model_option, quiet_option, unknown_price_option

if TYPE_CHECKING:
    from windlass.app import App
    from windlass.batch.items import Item
    from windlass.batch.work import BatchWork
    from windlass.cli.batch_view import BatchView
    from windlass.store.batches import Batch


class _Starting(click.RichGroup):
    """A group that takes anything but its commands' names as the arguments of ``start``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As usual, with ``start`` put in where it was left out."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["start", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Starting, context_settings={"help_option_names": ["-h", "--help"]})
def batch() -> None:
    """Do many items, each an ordinary run: side by side, within one budget.

    \b
    windlass batch items.jsonl --workflow coding --out results --concurrency 8 --budget 5
    windlass batch --each 'src/**/*.py' --message "Add type annotations" --out results
    windlass batch resume last
    """


_CONCURRENCY = click.option(
    "--concurrency", type=click.IntRange(1, 1000), metavar="N", help="Items at once. [default: 4]"
)
_BUDGET = click.option(
    "--budget", type=Usd(), metavar="USD", help="Never spend more than this on the whole batch."
)


@batch.command("start", short_help="Start a batch (the word start may be left out).")
@click.argument("items", metavar="ITEMS.jsonl", required=False)
@click.option(
    "--workflow",
    metavar="NAME",
    help="coding, write, write-tests, auto, … [default: coding; auto with --each]",
)
@click.option(
    "--out", metavar="DIR", required=True, help="Folder for results, report and the items' folders."
)
@click.option(
    "--each", "each", metavar="PATTERN", multiple=True, help="An item for each file that matches; in place."
)
@click.option(
    "--message", metavar="TEXT", help="With --each: what to do with each file; @FILE reads it from a file."
)
@click.option("--workspace", metavar="DIR", help="With --each: where the files are. [default: this folder]")
@click.option(
    "--workspaces",
    metavar="PLACE",
    help="Where items get their folders: a folder or s3://… [default: OUT/items]",
)
@_CONCURRENCY
@_BUDGET
@model_option
@click.option("--fast-model", metavar="MODEL", help="Model for summaries. [default: the main model]")
@unknown_price_option
@click.option(
    "--max-repairs", type=click.IntRange(0, 20), help="Repairs before an item gives up. [default: 3]"
)
@click.option("--test-command", metavar="COMMAND", help="Run tests with this instead of pytest.")
@click.option("--title", metavar="TEXT", help="A name for the report.")
@queue_options
@json_end_option
@quiet_option
def start(items: str | None, **given: Any) -> None:
    """Do every item of ITEMS.jsonl, or every file that --each matches.

    A line of ITEMS.jsonl is an object: id, requirement or message, files {path: text}, tests {path: text}, tags {}. Each
    item is a run of its own in a folder of its own; look into it with windlass runs show.

    Ctrl-C once lets running calls finish; go on with windlass batch resume. Exit codes: 0 all items succeeded, 1 some did
    not, 2 wrong usage, 130 stopped.
    """
    import shlex

    found = _items(items, given)
    workflow = given["workflow"] or ("auto" if given["each"] else "coding")
    command = given["test_command"]
    options = {
        **{name: given[name] for name in ("model", "fast_model", "max_repairs")},
        "allow_unknown_price": given["allow_unknown_price"] or None,
        "test_command": shlex.split(command) if command else None,
        "budget": None if given["budget"] is None else str(given["budget"]),
        "concurrency": given["concurrency"] or 4,
    }

    async def make(app: App, also: Any = None) -> Batch:
        from windlass.batch.making import make_batch

        title = given["title"] or (Path(items).name if items else ", ".join(given["each"]))
        folder, places = Path(given["out"]), given["workspaces"]
        return await make_batch(
            app, found, workflow, folder, options, workspaces=places, title=title, also=also
        )

    async def prepare(app: App, view: BatchView) -> BatchWork:
        from windlass.batch.work import BatchWork

        return BatchWork(app, await make(app), options["concurrency"], on_change=view.on_change)

    place = asked_place()
    if place is not None:
        enqueue_batch(make, place, as_json=given["as_json"])
        return
    follow_batch(prepare, quiet=given["quiet"], as_json=given["as_json"])


def _items(path: str | None, given: dict[str, Any]) -> list[Item]:
    from windlass.batch.items import items_for_each, read_items
    from windlass.errors import InputError
    from windlass.inputs import read_requirement, workspace_folder

    if bool(path) == bool(given["each"]):
        raise InputError("Name either a file of items (ITEMS.jsonl) or --each with a pattern of files.")
    if path:
        if given["message"] or given["workspace"]:
            raise InputError("--message and --workspace go with --each; items bring their own.")
        return read_items(Path(path))
    if not given["message"]:
        raise InputError("--each needs --message: what should be done with each file?")
    message = read_requirement(given["message"], "message")
    workspace, _ = workspace_folder(given["workspace"] or str(Path.cwd()), message)
    return items_for_each(given["each"], message, workspace)


@batch.command("resume")
@queue_options
@click.argument("batch_id", metavar="BATCH")
@click.option("--only-failures", is_flag=True, help="Only items that failed.")
@_CONCURRENCY
@_BUDGET
@json_end_option
@quiet_option
def resume(batch_id: str, **given: Any) -> None:
    """Go on with BATCH (an id, a part of it, or last): every item that has not succeeded, from where it stands.

    Nothing that was paid for is asked again. --budget sets a new cap for the whole batch, what it has cost included.
    """
    place = asked_place()
    if place is not None:
        enqueue_again(batch_id, place, given)
        return

    async def prepare(app: App, view: BatchView) -> BatchWork:
        from windlass.batch.api import resumed

        return await resumed(
            app,
            batch_id,
            only_failures=given["only_failures"],
            concurrency=given["concurrency"],
            budget=given["budget"],
            on_change=view.on_change,
        )

    follow_batch(prepare, quiet=given["quiet"], as_json=given["as_json"])


@batch.command("list")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Show at most this many."
)
@json_end_option
def list_batches(limit: int, as_json: bool) -> None:
    """Batches, newest first."""
    from rich.table import Table
    from rich.text import Text

    from windlass.cli.common import console, print_json, when, with_app
    from windlass.cli.root import safe

    async def read(app: App) -> Any:
        from windlass.store.batches import BatchStore

        return await BatchStore(app.database).list(limit)

    found = with_app(read)
    if as_json:
        keys = ("batch_id", "workflow", "title", "out", "created_at")
        print_json([{**{k: getattr(made, k) for k in keys}, "items": counts} for made, counts in found])
        return
    if not found:
        console().print("There is no batch yet. Start one with: windlass batch ITEMS.jsonl --out DIR")
        return
    table = Table()
    table.add_column("Batch", no_wrap=True)  # to be copied
    for name in ("Begun", "Workflow", "Title", "Items"):
        table.add_column(name)
    for made, counts in found:
        said = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
        table.add_row(made.batch_id, when(made.created_at), made.workflow, Text(safe(made.title)), said)
    console().print(table)


@batch.command("report")
@click.argument("batch_id", metavar="BATCH")
def write_report(batch_id: str) -> None:
    """Write results.jsonl, report.md and report.html of BATCH again, as it stands now."""
    from collections import Counter

    from windlass.cli.common import console, with_app
    from windlass.cli.outcome import counted
    from windlass.cli.root import safe

    async def work(app: App) -> str:
        from windlass.batch.session import write_reports
        from windlass.store.batches import BatchStore

        made = await BatchStore(app.database).get(batch_id)
        Path(made.out).mkdir(parents=True, exist_ok=True)
        rows = await write_reports(app, made)
        counts = Counter(str(row["status"]) for row in rows)
        said = ", ".join(f"{number} {status}" for status, number in counts.most_common())
        return f"{counted(len(rows), 'item')}: {said}. Report: {safe(str(Path(made.out) / 'report.html'))}"

    console().print(with_app(work), soft_wrap=True)
