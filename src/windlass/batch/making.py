"""From items to runs: every one checked before any is kept, all of them kept together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.app import App
from windlass.batch.items import Item
from windlass.batch.places import Places, about
from windlass.errors import InputError
from windlass.ids import derived_id, generate_id
from windlass.inputs import check_command, command_words
from windlass.journal import RunRecord
from windlass.store.batches import Batch, BatchStore
from windlass.workflows import WORKFLOWS
from windlass.workflows.options import KNOWN, amount, check_known, check_useful, tag_options

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

#: What a batch decides for all of its items, and is no option of a run.
_OF_THE_BATCH = ("budget", "concurrency", "queue", "priority")
_MODELS = ("model", "fast_model", "judge_model")

RESULTS = "results.jsonl"


async def make_batch(
    app: App,
    items: Sequence[Item],
    workflow: str,
    out: Path,
    options: Mapping[str, Any],
    *,
    workspaces: str | None = None,
    title: str = "",
    also: Callable[[Connection, Sequence[RunRecord]], None] | None = None,
) -> Batch:
    """Keep a batch whose runs are made but not begun.

    ``options`` go to every run; ``budget`` (USD) is the cap of all of them together. Items get folders of their own
    below ``workspaces`` (a folder or ``s3://`` address; by default ``items`` in ``out``). ``also`` is done in the
    transaction that keeps the runs: it leaves them to others. Raises InputError for what cannot be used, BudgetExceeded
    where a budget cannot be kept, both naming the item where one is the reason; then nothing is kept, files of items
    neither.
    """
    if workflow not in WORKFLOWS:
        raise InputError(f"No workflow is called {workflow!r}; known: {', '.join(WORKFLOWS)}.")
    if (out / RESULTS).exists():
        raise InputError(
            f"{out} holds the results of a batch already; go on with it (windlass batch resume), or name another --out."
        )
    check_known(options, KNOWN | {*_OF_THE_BATCH, *_MODELS})
    batch_id = generate_id()
    given = {name: value for name, value in options.items() if value is not None}
    if given.get("budget") is not None:
        given["budget"] = amount("budget", given["budget"])
    if given.get("test_command") is not None:
        given["test_command"] = command_words(given["test_command"]) or None
    budget = given.get("budget")
    common: dict[str, Any] = {n: v for n, v in given.items() if n not in _OF_THE_BATCH}
    check_useful(workflow, common)
    common |= {"yes": True, "batch": batch_id}
    if budget is not None:
        common["shared_budgets"] = {scope_of(batch_id): budget}
    app.check_models(common)
    if also is None:
        check_command(common.get("test_command") or ())
    runs = []
    for item in items:
        # What needs no look at a place first: where that refuses one, no folder was made for the others.
        with about(item):
            run = await _run_for(app, item, workflow, _base(workspaces, out), common, batch_id)
            app.check_models(run.options)
        runs.append(run)
    async with Places(app, for_others=also is not None) as places:
        places.make(out)
        runs = await places.fill(items, runs)
    batch = Batch(
        batch_id,
        workflow,
        title or f"{len(items)} items",
        str(out.absolute()),
        {**given, "budget": budget},
    )
    made = [(item.id, item.tags, run) for item, run in zip(items, runs, strict=True)]
    return await BatchStore(app.database).create(
        batch, made, also=None if also is None else lambda connection: also(connection, runs)
    )


def scope_of(batch_id: str) -> str:
    """The name under which the runs of a batch share their budget."""
    return f"batch:{batch_id}"


def _base(workspaces: str | None, out: Path) -> str:
    """Where items get their folders."""
    if workspaces is None:
        return str((out / "items").absolute())
    return workspaces if "://" in workspaces else str(Path(workspaces).expanduser().absolute())


async def _run_for(
    app: App,
    item: Item,
    workflow: str,
    base: str,
    common: Mapping[str, Any],
    batch_id: str,
) -> RunRecord:
    workspace = item.workspace or f"{base.rstrip('/')}/{item.folder}"
    own: dict[str, Any] = {"new_folder": item.workspace is None and "://" not in workspace}
    if workflow == "coding":
        own |= _coding(item)
    else:
        names = [*item.names, *item.files]
        own |= {"message": item.message, "files": names, "tags": dict(item.tags)}
    return await app.new_record(
        workflow, item.message, workspace, {**common, **own}, run_id=derived_id(batch_id, item.id)
    )


def _coding(item: Item) -> dict[str, Any]:
    """A coding run brings its files in by itself."""
    options = tag_options(item.tags)
    if unknown := [name for name in options if name != "model"]:
        raise InputError(f"the coding workflow has no use for the tag {unknown[0].replace('_', ' ')!r}.")
    return {
        "requirement": item.message,
        "files": [*item.names, *(name for name in item.files if name not in item.tests)],
        "tests": list(item.tests),
        "imports": {**item.files, **item.tests},
        **({"model": options["model"]} if "model" in options else {}),
    }
