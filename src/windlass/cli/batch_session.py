"""A batch at the terminal once it is known what it is: followed to its end, or left to workers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.cli.output import going_on_unwatched, json_text

if TYPE_CHECKING:
    from windlass.app import App
    from windlass.cli.batch_view import BatchView
    from windlass.queue.jobs import Place
    from windlass.store.batches import Batch


def enqueue_batch(make: Any, place: Place, *, as_json: bool) -> None:
    """Queue the runs of a batch that ``make(app, also)`` makes, and say so."""
    from windlass.cli.common import with_app

    async def work(app: App) -> Batch:
        from windlass.queue import require_queue
        from windlass.queue.jobs import enqueue_runs

        require_queue(app.database)
        made: Batch = await make(
            app, lambda connection, runs: enqueue_runs(connection, [run.run_id for run in runs], place)
        )
        return made

    _say_queued(with_app(work), place, as_json=as_json)


def enqueue_again(batch_id: str, place: Place, given: dict[str, Any]) -> None:
    """Queue what is left of a batch, as the options of ``windlass batch resume`` say."""
    from windlass.cli.common import with_app

    async def work(app: App) -> Batch:
        from windlass.batch.api import resumed
        from windlass.queue import enqueue

        wanted = {name: given[name] for name in ("only_failures", "concurrency", "budget")}
        again = await resumed(app, batch_id, **wanted)
        items = await again.wanted()
        for item in items:
            if again.changes:
                await app.prepare_resume(item.run_id, changes=again.changes)
        await enqueue(app, [item.run_id for item in items], place)
        return again.batch

    _say_queued(with_app(work), place, as_json=given["as_json"])


def _say_queued(made: Batch, place: Place, *, as_json: bool) -> None:
    import json

    from windlass.cli.common import console

    if as_json:
        print(json.dumps({"batch_id": made.batch_id, "queue": place.queue, "out": made.out}))
        return
    console().print(
        f"Batch {made.batch_id} is queued in {place.queue}. See how it stands with: windlass batch report {made.batch_id}",
        soft_wrap=True,
    )


@going_on_unwatched()
def follow_batch(prepare: Any, *, quiet: bool, as_json: bool) -> None:
    """Do the work that ``prepare(app, view)`` makes ready, show it, and exit with its code."""
    import asyncio
    import sys

    from windlass.cli.batch_view import make_view

    view = make_view(quiet, as_json=as_json)
    view.start()
    try:
        outcome = asyncio.run(_session(prepare, view))
    finally:
        view.stop()
    if as_json:
        print(json_text(outcome))
    else:
        _say(view, outcome)
    if outcome["interrupted"]:
        sys.exit(130)
    sys.exit(0 if outcome["counts"].get("Success", 0) == outcome["items"] else 1)


async def _session(prepare: Any, view: BatchView) -> dict[str, Any]:
    import asyncio
    import signal
    from contextlib import aclosing

    from windlass.app import App
    from windlass.batch.session import follow

    app = App()
    asked = 0
    try:
        work = await prepare(app, view)

        def on_signal() -> None:
            nonlocal asked
            asked += 1
            if asked == 1:
                view.note("Stopping: replies under way are waited for and kept. Once more stops at once.")
                work.stop()
            else:
                work.cut_off()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal)
        async with aclosing(follow(work)) as results:
            async for result in results:
                view.on_result(result)
        progress = work.progress
        return {
            "batch_id": work.batch.batch_id,
            "items": progress.total,
            "counts": dict(progress.counts),
            "cost_usd": str(progress.cost),
            "unknown_cost_items": progress.unknown,
            "out": work.batch.out,
            "interrupted": bool(asked),
            "stopped": progress.stopping,
        }
    finally:
        await app.close()


def _say(view: BatchView, outcome: dict[str, Any]) -> None:
    from decimal import Decimal

    from windlass.budget import usd
    from windlass.cli.outcome import counted
    from windlass.cli.root import safe

    counts = outcome["counts"]
    left = outcome["items"] - sum(counts.values())
    said = [f"{number} {status}" for status, number in counts.items()] + (
        [f"{left} not begun"] if left else []
    )
    cost, unknown = Decimal(outcome["cost_usd"]), outcome["unknown_cost_items"]
    money = f"Cost {usd(cost)}" if cost or not unknown else "Cost unknown"
    if cost and unknown:
        money += f" and {counted(unknown, 'item')} whose cost is not wholly known"
    view.console.print(f"{counted(outcome['items'], 'item')}: {', '.join(said)}. {money}.")
    view.console.print(f"Report: {safe(str(Path(outcome['out']) / 'report.html'))}")
    if counts.get("Success", 0) < outcome["items"]:
        view.console.print(f"Go on with: windlass batch resume {outcome['batch_id']}")
