"""From items to runs: every one checked before anything is spent, all of them kept together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.app import WORKFLOWS, App
from windlass.batch.items import Item
from windlass.errors import InputError
from windlass.ids import derived_id, generate_id
from windlass.journal import RunRecord
from windlass.store.batches import Batch, BatchStore
from windlass.workflows.options import tag_options
from windlass.workspace import Change

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

#: Folders that are made at a time.
_AT_ONCE = 16
#: What a batch decides for all of its items, and is no option of a run.
_OF_THE_BATCH = ("budget", "concurrency", "queue", "priority")

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
    transaction that keeps the runs: it leaves them to others. Raises InputError, naming the item, for what cannot be used; BudgetExceeded where a
    budget cannot be kept; then nothing is kept.
    """
    if workflow not in WORKFLOWS or workflow == "trial":
        known = ", ".join(name for name in WORKFLOWS if name != "trial")
        raise InputError(f"No workflow is called {workflow!r}; known: {known}.")
    if (out / RESULTS).exists():
        raise InputError(
            f"{out} holds the results of a batch already; go on with it (windlass batch resume), or name another --out."
        )
    batch_id = generate_id()
    given = {name: value for name, value in options.items() if value is not None}
    budget = given.get("budget")
    common: dict[str, Any] = {n: v for n, v in given.items() if n not in _OF_THE_BATCH}
    common |= {"yes": True, "batch": batch_id}
    if budget is not None:
        common["shared_budgets"] = {scope_of(batch_id): str(budget)}
    app.check_models(common)
    _make_folder(out)
    base = workspaces or str((out / "items").absolute())
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Item) -> tuple[str, Mapping[str, Any], RunRecord]:
        async with limit:
            try:
                run = await _run_for(app, item, workflow, base, common, batch_id, made_here=also is not None)
            except InputError as error:
                raise InputError(f"Item {item.id!r}: {error}") from None
            return item.id, item.tags, run

    made = await asyncio.gather(*(one(item) for item in items))
    batch = Batch(
        batch_id,
        workflow,
        title or f"{len(items)} items",
        str(out.absolute()),
        {**given, "budget": _text(budget)},
    )
    runs = [run for _, _, run in made]
    return await BatchStore(app.database).create(
        batch, made, also=None if also is None else lambda connection: also(connection, runs)
    )


def scope_of(batch_id: str) -> str:
    """The name under which the runs of a batch share their budget."""
    return f"batch:{batch_id}"


def _text(budget: Any) -> str | None:
    return None if budget is None else str(budget)


async def _run_for(
    app: App,
    item: Item,
    workflow: str,
    base: str,
    common: Mapping[str, Any],
    batch_id: str,
    *,
    made_here: bool,
) -> RunRecord:
    workspace = item.workspace or f"{base.rstrip('/')}/{item.folder}"
    own: dict[str, Any] = {"new_folder": item.workspace is None and "://" not in workspace}
    if made_here and own["new_folder"]:
        # Somebody else will work there, and must not begin in an empty folder where this one cannot be seen.
        _make_folder(Path(workspace))
        own["new_folder"] = False
    if workflow == "coding":
        own |= _coding(item)
    else:
        names = [*item.names, *item.files]
        own |= {"message": item.message, "files": names, "tags": dict(item.tags)}
    run = await app.new_record(
        workflow, item.message, workspace, {**common, **own}, run_id=derived_id(batch_id, item.id)
    )
    texts = {} if workflow == "coding" else {**item.files, **item.tests}
    if texts:
        files = await app.workspace(run)
        await files.apply([Change(name, None, text.encode()) for name, text in texts.items()])
    return run


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


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be made: {error.strerror}.") from None
