"""One session of work on a batch with its files: results as they come, and the report at the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

from windlass.app import App
from windlass.batch import report
from windlass.batch.making import RESULTS
from windlass.batch.work import BatchWork, ItemResult, all_results
from windlass.errors import InputError
from windlass.store.batches import Batch, BatchStore

REPORTS = ("report.md", "report.html")


async def follow(work: BatchWork) -> AsyncGenerator[ItemResult, None]:
    """Do the work; every item as it ends, after its line was added to ``results.jsonl``.

    At the end the file is written anew, all items in order, with the reports beside it. InputError where the folder of
    the results cannot be written.
    """
    folder = Path(work.batch.out)
    known: dict[str, ItemResult] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / RESULTS).open("a", encoding="utf-8") as lines:
            async with aclosing(work.results()) as results:
                async for result in results:
                    known[result.item_id] = result
                    lines.write(report.jsonl([result.row()]))
                    lines.flush()
                    yield result
    except OSError as error:
        raise InputError(f"The results cannot be kept in {folder}: {error.strerror or error}.") from None
    finally:
        await write_reports(work.app, work.batch, known)


async def write_reports(
    app: App, batch: Batch, known: dict[str, ItemResult] | None = None
) -> list[dict[str, Any]]:
    """Write ``results.jsonl``, ``report.md`` and ``report.html`` as the batch stands; its rows.

    An item whose run was forgotten (``windlass runs gc``) keeps the row that the file has of it.
    """
    folder = Path(batch.out)
    items = await BatchStore(app.database).items(batch.batch_id)
    found = {result.item_id: result.row() async for result in all_results(app, batch, known or {})}
    if len(found) < len(items):
        found = {**await asyncio.to_thread(_written, folder), **found}
    rows = [found[item.item_id] for item in items if item.item_id in found]
    await asyncio.to_thread(_write, folder, batch, rows)
    return rows


def _written(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of ``results.jsonl`` as it is, by item; a line that was cut off is none."""
    rows = {}
    with suppress(FileNotFoundError):
        for line in (folder / RESULTS).read_text(encoding="utf-8", errors="replace").split("\n"):
            with suppress(ValueError):
                row = json.loads(line)
                rows[row["id"]] = row
    return rows


def _write(folder: Path, batch: Batch, rows: Sequence[dict[str, Any]]) -> None:
    title = f"{batch.workflow}: {batch.title}"
    texts = {
        RESULTS: report.jsonl(rows),
        "report.md": report.markdown(title, batch.batch_id, rows),
        "report.html": report.html(title, batch.batch_id, rows),
    }
    for name, text in texts.items():
        # A reader finds the old file or the new one, never half of one.
        part = folder / f".{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(folder / name)
