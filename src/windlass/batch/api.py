"""The Python API of batches: iterate over results as items end."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import Any

from windlass.app import App
from windlass.batch.items import Item, checked_items
from windlass.batch.making import make_batch, scope_of
from windlass.batch.session import follow
from windlass.batch.work import BatchWork, ItemResult, OnChange
from windlass.settings import Settings, load_settings
from windlass.store.batches import Batch, BatchStore
from windlass.workflows.options import MAX_CONCURRENCY, amount, number


def _nothing(progress: Any) -> None:
    """Nobody watches."""


async def arun_batch(
    items: Iterable[Item | Mapping[str, Any]],
    workflow: str,
    *,
    out: str | Path,
    concurrency: int = 4,
    budget: Decimal | float | str | None = None,
    workspaces: str | None = None,
    on_change: OnChange = _nothing,
    settings: Settings | None = None,
    **options: Any,
) -> AsyncGenerator[ItemResult, None]:
    """Do every item with ``workflow``; each as it ends. Leaving the loop early stops with care.

    ``items`` are objects with ``id``, ``requirement`` or ``message``, ``files``, ``tests`` and ``tags``, all read before
    the first begins. ``out`` gets ``results.jsonl``, ``report.md`` and ``report.html``. ``budget`` is the cap of the whole
    batch in USD; ``options`` are the workflow's own (``model``, ``max_repairs``, …). Raises InputError before anything
    is spent; an item that fails raises nothing.
    """
    app = App(settings or load_settings())
    try:
        at_once = number("concurrency", concurrency, 1, MAX_CONCURRENCY, 4)
        given = {**options, "budget": budget, "concurrency": at_once}
        batch = await make_batch(app, checked_items(items), workflow, Path(out), given, workspaces=workspaces)
        async with aclosing(follow(BatchWork(app, batch, at_once, on_change=on_change))) as results:
            async for result in results:
                yield result
    finally:
        await app.close()


async def aresume_batch(
    batch_id: str,
    *,
    only_failures: bool = False,
    concurrency: int | None = None,
    budget: Decimal | float | str | None = None,
    on_change: OnChange = _nothing,
    settings: Settings | None = None,
) -> AsyncGenerator[ItemResult, None]:
    """Go on with a batch (an id, a part of it, or ``last``): what has not succeeded, or only what failed.

    ``budget`` is a new cap of the whole batch, what it has cost included. Raises NotFound.
    """
    app = App(settings or load_settings())
    try:
        work = await resumed(
            app,
            batch_id,
            only_failures=only_failures,
            concurrency=concurrency,
            budget=budget,
            on_change=on_change,
        )
        async with aclosing(follow(work)) as results:
            async for result in results:
                yield result
    finally:
        await app.close()


async def resumed(
    app: App,
    batch_id: str,
    *,
    only_failures: bool = False,
    concurrency: int | None = None,
    budget: Decimal | float | str | None = None,
    on_change: OnChange = _nothing,
) -> BatchWork:
    """The next session of a batch; see :func:`aresume_batch`."""
    store = BatchStore(app.database)
    batch: Batch = await store.get(batch_id)
    changes: dict[str, Any] = {}
    at_once = number("concurrency", concurrency, 1, MAX_CONCURRENCY, batch.options.get("concurrency") or 4)
    if budget is not None:
        cap = amount("budget", budget)
        changes["shared_budgets"] = {scope_of(batch.batch_id): cap}
        await store.change(batch.batch_id, budget=cap)
        batch = await store.get(batch.batch_id)
    return BatchWork(app, batch, at_once, only_failures, changes, on_change)


def run_batch(items: Iterable[Item | Mapping[str, Any]], workflow: str, **given: Any) -> Iterator[ItemResult]:
    """:func:`arun_batch` for code without an event loop; the arguments are the same."""
    return _iterate(lambda: arun_batch(items, workflow, **given))


def resume_batch(batch_id: str, **given: Any) -> Iterator[ItemResult]:
    """:func:`aresume_batch` for code without an event loop; the arguments are the same."""
    return _iterate(lambda: aresume_batch(batch_id, **given))


def _iterate(begin: Callable[[], AsyncGenerator[ItemResult, None]]) -> Iterator[ItemResult]:
    # In a thread of its own: a caller that takes its time over a result must not keep runs from renewing their leases.
    inbox: queue.SimpleQueue[ItemResult | BaseException | None] = queue.SimpleQueue()
    leaving = threading.Event()

    async def pump() -> None:
        async with aclosing(begin()) as results:
            waiting = asyncio.ensure_future(_next(results))
            while True:
                await asyncio.wait({waiting}, timeout=0.1)
                if leaving.is_set():
                    waiting.cancel()
                    await asyncio.gather(waiting, return_exceptions=True)
                    return
                if waiting.done():
                    result = waiting.result()
                    if result is None:
                        return
                    inbox.put(result)
                    waiting = asyncio.ensure_future(_next(results))

    def work() -> None:
        try:
            asyncio.run(pump())
        except BaseException as error:
            # Whatever it is, it belongs to the caller, who waits for it.
            inbox.put(error)
        else:
            inbox.put(None)

    thread = threading.Thread(target=work, name="windlass-batch")
    thread.start()
    try:
        while (got := inbox.get()) is not None:
            if isinstance(got, BaseException):
                raise got
            yield got
    finally:
        leaving.set()
        thread.join()


async def _next(results: AsyncGenerator[ItemResult, None]) -> ItemResult | None:
    return await anext(results, None)
