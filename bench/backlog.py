"""What a long queue costs: queueing runs, handing out one, and looking after what was left behind, on PostgreSQL.

    python bench/backlog.py                     1,000, 10,000 and 100,000 queued runs (the last takes a minute)
    python bench/backlog.py --json FILE 1000

Milliseconds, the best of a few: ``fetch`` is Procrastinate handing out one job, ``sweep`` what one of the workers does every
few seconds, ``sweep_without_jobs`` the same when every job was lost, ``backlog`` what ``windlass workers`` asks.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import text

if __package__ in (None, ""):
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.postgres import running_server

from windlass.ids import generate_id
from windlass.journal import RunRecord
from windlass.queue import Place, analyse, enqueue_runs, insert_runs, prepare_queue
from windlass.queue.crew import backlog
from windlass.queue.jobs import drop_ended, left_alone
from windlass.store.base import Database

CHUNK = 500


def milliseconds(work: Callable[[], object], times: int = 3) -> float:
    """The best of a few."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append((time.perf_counter() - began) * 1000)
    return round(min(found), 2)


def queue_them(database: Database, number: int) -> None:
    """Make so many runs and queue them, some hundred in a transaction."""
    for start in range(0, number, CHUNK):
        made = [
            RunRecord(
                run_id=generate_id(), workflow="chat", title="t", workspace="/w", options={"message": "m"}
            )
            for _ in range(min(CHUNK, number - start))
        ]
        with database.writing() as connection:
            insert_runs(connection, made)
            enqueue_runs(connection, [run.run_id for run in made], Place())


def measure(url: str, number: int) -> dict[str, Any]:
    database = Database(url)
    with database.writing() as connection:
        prepare_queue(connection)
    queueing = milliseconds(lambda: queue_them(database, number), 1)
    with database.writing() as connection:
        analyse(connection)
    with database.writing() as connection:
        found = {
            "queued": number,
            "queueing": queueing,
            "sweep": milliseconds(lambda: (drop_ended(connection), left_alone(connection))),
            "backlog": milliseconds(lambda: backlog(connection)),
        }
        worker = connection.execute(text("SELECT procrastinate_register_worker_v1()")).scalar_one()
        fetch = text("SELECT id FROM procrastinate_fetch_job_v2(NULL, :worker)")
        found["fetch"] = milliseconds(lambda: connection.execute(fetch, {"worker": worker}).all(), 20)
        connection.execute(text("DELETE FROM procrastinate_jobs"))
        found["sweep_without_jobs"] = milliseconds(lambda: left_alone(connection))
    database.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("number", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = []
    with running_server() as server:
        for number in options.number:
            results.append(measure(server.url(), number))
            print(json.dumps(results[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
