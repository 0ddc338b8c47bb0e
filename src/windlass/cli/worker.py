"""``windlass worker`` and ``windlass workers``: work on queued runs, and see who does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click as click

from windlass.cli.output import going_on_unwatched

if TYPE_CHECKING:
    from windlass.app import App


@click.command("worker")
@click.option(
    "--concurrency", type=click.IntRange(1, 500), default=4, show_default=True, help="Runs at once."
)
@click.option(
    "--queues", metavar="NAMES", help="Only runs of these queues, with commas between. [default: all]"
)
@click.option(
    "--grace",
    type=click.FloatRange(0, 3600),
    default=60.0,
    show_default=True,
    help="Seconds that calls under way get to finish once asked to stop.",
)
@click.option("--quiet", "-q", is_flag=True, help="Say nothing of single runs.")
def worker(concurrency: int, queues: str | None, grace: float, quiet: bool) -> None:
    """Work on the runs that are queued in the PostgreSQL database, until stopped.

    SIGTERM or Ctrl-C: nothing more is taken, calls under way finish, runs are handed back to other workers. A second
    signal does not wait for calls. Start it under a supervisor that starts it again.
    """
    import asyncio

    with going_on_unwatched():
        asyncio.run(_work(concurrency, queues, grace, quiet))


async def _work(concurrency: int, queues: str | None, grace: float, quiet: bool) -> None:
    import asyncio
    import logging
    import signal

    from windlass.app import App
    from windlass.cli.root import safe
    from windlass.errors import InputError
    from windlass.queue.jobs import Place, require_queue

    app = App()
    try:
        require_queue(app.database)
        from windlass.queue.worker import Worker

        names = None
        if queues is not None:
            names = tuple(name.strip() for name in queues.split(",") if name.strip())
            if not names:
                raise InputError("--queues names no queue.")
            for name in names:
                Place(name)
        # What Procrastinate says of its own work is no news to a person; what goes wrong is.
        logging.getLogger("procrastinate").setLevel(logging.CRITICAL)

        def say(run_id: str, what: str) -> None:
            if not quiet:
                print(f"{run_id} {safe(what)}", flush=True)

        working = Worker(app, concurrency, names, grace, say)
        asked = 0

        def on_signal() -> None:
            nonlocal asked
            asked += 1
            if asked == 1:
                print("Stopping: calls under way finish, runs are handed back.", flush=True)
                working.stop()
            else:
                working.cut_off()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal)
        from windlass.cli.outcome import counted

        where = ", ".join(names) if names else "every queue"
        _ = app.database.engine  # opened now: one that cannot be reached has no ready worker
        print(
            f"Worker ready: up to {counted(concurrency, 'run')} at once from {where} of {app.database.label}.",
            flush=True,
        )
        await working.run()
    finally:
        await app.close()


@click.command("workers")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def workers(as_json: bool) -> None:
    """Show who works on queued runs, what each worker holds, and what waits."""
    import time

    from rich.table import Table
    from rich.text import Text

    from windlass.cli.common import console, print_json, when, with_app
    from windlass.cli.root import safe

    async def read(app: App) -> Any:
        import asyncio

        from windlass.queue.crew import backlog, workers_at_work
        from windlass.queue.jobs import require_queue

        require_queue(app.database)

        def both() -> Any:
            with app.database.reading() as connection:
                return workers_at_work(connection), backlog(connection)

        return await asyncio.to_thread(both)

    crew, waiting = with_app(read)
    if as_json:
        print_json(
            {
                "workers": [
                    {
                        "worker_id": each.sign.worker_id,
                        "host": each.host,
                        "pid": int(each.pid),
                        "status": each.status,
                        "queues": list(each.sign.queues),
                        "concurrency": each.sign.concurrency,
                        "started_at": each.started_at,
                        "seconds_since_sign": round(each.idle, 1),
                        "holds": list(each.holds),
                    }
                    for each in crew
                ],
                "waiting": [
                    {"queue": name, "runs": number, "oldest": since} for name, number, since in waiting
                ],
            }
        )
        return
    table = Table("Worker", "Status", "Queues", "Runs", "Since", "Last sign")
    for each in crew:
        table.add_row(
            Text(safe(f"{each.host}:{each.pid}")),
            each.status,
            Text(safe(", ".join(each.sign.queues) or "all")),
            f"{len(each.holds)}/{each.sign.concurrency}",
            when(each.started_at),
            f"{each.idle:.0f} s ago",
        )
    console().print(table if crew else "No worker is there. Start one with: windlass worker")
    for each in crew:
        if each.holds:
            # Whole ids, to be copied.
            more = f" and {len(each.holds) - 8} more" if len(each.holds) > 8 else ""
            console().print(
                safe(f"{each.host}:{each.pid} holds {' '.join(each.holds[:8])}{more}"), soft_wrap=True
            )
    for name, number, since in waiting:
        what = "1 run waits" if number == 1 else f"{number} runs wait"
        console().print(f"{what} in {safe(name)}, the oldest for {max(0, time.time() - since):.0f} s.")
