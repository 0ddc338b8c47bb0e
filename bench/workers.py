"""Many runs on many workers: how near to the limit, how soon a run is picked up, and what trouble costs.

    python bench/workers.py                         500 runs x 5 calls at 200 ms, 4 workers
    python bench/workers.py --trouble               the same; a random worker is killed every 5 s, PostgreSQL restarted twice
    sudo python bench/workers.py --namespaces       workers in three network namespaces, one cut off for 30 s (needs root)
    python bench/workers.py --runs 100 --json FILE

A private PostgreSQL, real ``windlass worker`` processes, a local model server. What is judged is read from the journal and
from the server's own list of requests: every run once, no finished call made again, never two owners at once. The limit is
the work (runs x calls x seconds a reply) over the places; pick-up is the time from a run's queueing to its first event
while a place is free (measured on runs queued one at a time). Exit code 0 when everything ended as it must.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.support.netns import NETWORK, ip, namespaces, relay
from tests.queue.fleet import PAGES, WORKER_MODULES, Fleet, judge, pages, sigkill
from tests.support.postgres import PostgresServer, running_server

from windlass import queue
from windlass.app import App
from windlass.events import WorkflowStatus
from windlass.testing.forks import Forks
from windlass.testing.server import OpenAIServer

CALLS = PAGES + 2


class Trouble:
    """Kills a random worker every few seconds, and restarts the database at a third and at two thirds."""

    def __init__(self, fleet: Fleet, server: PostgresServer, arguments: list[str], seconds: float) -> None:
        self.fleet, self.server, self.arguments, self.seconds = fleet, server, arguments, seconds
        self.kills = 0
        self.restarts = 0
        self.next_kill = time.monotonic() + seconds

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self.next_kill:
            living = [worker for worker in self.fleet.workers if worker.poll() is None]
            sigkill(random.choice(living))
            self.fleet.start(*self.arguments)
            self.kills += 1
            self.next_kill = time.monotonic() + self.seconds
        if self.restarts < 2 and done * 3 >= total * (self.restarts + 1):
            self.restarts += 1
            self.server.stop()
            self.server.start()


async def pick_up(fleet: Fleet, app: App, number: int) -> dict[str, float]:
    """How long a run waits for a free worker: queued one by one, each after the other has begun."""
    waits = []
    for index in range(number):
        options = {"message": f"Hello {index}", "yes": True}
        queued = time.time()
        record = await queue.submit(app, "chat", "hello", str(fleet.folder), options)
        while not (events := await app.journal.events(record.run_id, limit=1)):
            await asyncio.sleep(0.005)
        waits.append(events[0].at - queued)
    ordered = sorted(waits)
    return {"p50_ms": statistics.median(ordered) * 1000, "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000}


async def measure(options: argparse.Namespace, server: PostgresServer, model: OpenAIServer) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="wlq") as name, Forks(*WORKER_MODULES) as forks:
        fleet = Fleet(server.url(), Path(name), model.base_url, None if options.whole_start else forks)
        app = fleet.app()
        arguments = ["--concurrency", str(options.concurrency), "--quiet"]
        try:
            _, empty = database_size(app)
            began = time.monotonic()
            run_ids = await fleet.submit(app, options.runs)
            queued = time.monotonic() - began
            with app.database.writing() as connection:
                queue.analyse(connection)
            for _ in range(options.workers):
                fleet.start(*arguments)
            trouble = Trouble(fleet, server, arguments, options.kill_every) if options.trouble else None
            began = time.monotonic()
            done = await wait(app, run_ids, trouble, options.limit)
            seconds = time.monotonic() - began
            cpu = sum(cpu_seconds(worker.pid) for worker in fleet.workers if worker.poll() is None)
            rss = max(rss_bytes(worker.pid) for worker in fleet.workers if worker.poll() is None)
            rows, stored = database_size(app)
            tokens, connections = in_use(app)
            found = await judge_ended(app, run_ids, model, done)
            latency = {} if options.trouble else await pick_up(fleet, app, options.pick_ups)
        finally:
            fleet.end()
            await app.close()
        work = options.runs * CALLS * options.seconds
        return {
            "runs": options.runs,
            "ended": done,
            "queueing_s": queued,
            "wall_s": seconds,
            "limit_s": work / (options.workers * options.concurrency),
            "kills": trouble.kills if trouble else 0,
            "restarts": trouble.restarts if trouble else 0,
            "cpu_s_of_living_workers": cpu,
            "rss_of_largest_worker": rss,
            "rows": rows,
            "database_bytes": stored,
            "database_bytes_a_run": (stored - empty) // options.runs,
            "tokens_a_second": round(tokens / seconds),
            "connections": connections,
            "load": os.getloadavg()[0],
            "pick_up": latency,
            **found,
        }


def cpu_seconds(pid: int) -> float:
    """What a process has used of all processors together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid: int) -> int:
    """A process's resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def database_size(app: App) -> tuple[dict[str, int], int]:
    """Rows by table, and what the database takes on disk."""
    tables = ("runs", "run_entries", "run_events", "blobs", "run_blobs", "prompt_usages")
    with app.database.reading() as connection:
        rows = {
            name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in tables
        }
        return rows, connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()


def in_use(app: App) -> tuple[int, int]:
    """Tokens that went in and out of all calls, and connections that workers hold right now."""
    with app.database.reading() as connection:
        tokens = "SELECT coalesce(sum(input_tokens + output_tokens), 0) FROM run_entries"
        held = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'windlass%%'"
        found = [connection.exec_driver_sql(query).scalar_one() for query in (tokens, held)]
    return int(found[0]), int(found[1])


async def judge_ended(app: App, run_ids: list[str], model: OpenAIServer, done: int) -> dict[str, Any]:
    over = []
    for run_id in run_ids:
        record = await app.journal.get_run(run_id)
        if record.status not in (WorkflowStatus.Pending, WorkflowStatus.Started):
            over.append(run_id)
    verdict = await judge(app, over, model)
    if done < len(run_ids):
        verdict.statuses["unfinished"] = len(run_ids) - len(over)
    return {
        "statuses": dict(verdict.statuses),
        "calls": verdict.calls,
        "paid_twice": verdict.paid_twice,
        "overlaps": verdict.overlaps,
        "unknown": verdict.unknown,
        "repeated": verdict.repeated,
    }


async def wait(app: App, run_ids: list[str], trouble: Trouble | None, limit: float) -> int:
    until = time.monotonic() + limit
    while True:
        unfinished = await app.journal.list_runs(
            limit=100_000, status=[WorkflowStatus.Pending, WorkflowStatus.Started]
        )
        done = len(run_ids) - len(unfinished)
        if not unfinished or time.monotonic() > until:
            return done
        if trouble is not None:
            trouble(done, len(run_ids))
        await asyncio.sleep(0.5)


async def cut_off(options: argparse.Namespace) -> dict[str, Any]:
    """Three workers with addresses of their own; one loses its network for a while, in the middle of its runs."""
    names = [f"wl{number}" for number in range(3)]
    with namespaces(names), running_server() as server, tempfile.TemporaryDirectory(prefix="wlq") as name:
        with OpenAIServer(pages(1.0), host=f"{NETWORK}.1") as model:
            local = server.url()
            fleet = Fleet(local, Path(name), model.base_url)
            app = fleet.app()
            run_ids = await fleet.submit(app, options.runs)
            async with await relay(server.folder / ".s.PGSQL.5432"):
                for each in names:
                    start_in(
                        fleet,
                        each,
                        f"postgresql://postgres@{NETWORK}.1/{database_of(local)}",
                        options.concurrency,
                    )
                await asyncio.to_thread(model.wait_for, "answered", number=12, timeout=120)
                before = {r.run_id: r.epoch for r in await app.journal.list_runs(limit=10_000)}
                held = await held_by(app, fleet.workers[0].pid)
                ip("link", "set", f"v{names[0]}", "down")
                await asyncio.sleep(options.cut)
                during = {r.run_id: r.epoch for r in await app.journal.list_runs(limit=10_000)}
                ip("link", "set", f"v{names[0]}", "up")
                done = await wait(app, run_ids, None, options.limit)
                found = await judge_ended(app, run_ids, model, done)
                alive = fleet.workers[0].poll() is None
                fleet.end()
            await app.close()
            moved = sum(during[run_id] > before[run_id] for run_id in held)
            return {
                "ended": done,
                "held_when_cut": len(held),
                "moved_meanwhile": moved,
                "came_back_alive": alive,
                **found,
            }


def database_of(url: str) -> str:
    return url.split("@/", 1)[1].split("?", 1)[0]


def start_in(fleet: Fleet, namespace: str, url: str, concurrency: int) -> None:
    """A worker in a namespace."""
    log = (fleet.folder / f"worker-{len(fleet.workers)}.log").open("ab")
    command = [str(Path(sys.executable).with_name("windlass")), "worker", "--concurrency", str(concurrency)]
    fleet.workers.append(
        subprocess.Popen(
            ["ip", "netns", "exec", namespace, *command],
            env={**fleet.environment, "WINDLASS_DATABASE_URL": url},
            stdout=log,
            stderr=log,
            cwd=fleet.folder,
        )
    )


async def held_by(app: App, pid: int) -> list[str]:
    """The runs that a process owns."""
    started = await app.journal.list_runs(limit=10_000, status=[WorkflowStatus.Started])
    return [r.run_id for r in started if r.owner and f":{pid}:" in r.owner]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=0.2, help="a reply")
    parser.add_argument("--pick-ups", type=int, default=100)
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds until it is given up")
    parser.add_argument("--cut", type=float, default=30.0, help="seconds without a network")
    parser.add_argument(
        "--whole-start",
        action="store_true",
        help="start an interpreter for each worker instead of forking one",
    )
    parser.add_argument("--trouble", action="store_true")
    parser.add_argument("--kill-every", type=float, default=5.0, help="seconds between kills")
    parser.add_argument("--namespaces", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.namespaces:
        result = asyncio.run(cut_off(options))
    else:
        with running_server() as server, OpenAIServer(pages(options.seconds)) as model:
            result = asyncio.run(measure(options, server, model))
    text = json.dumps(result, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    good = (
        result["statuses"] == {"Success": options.runs}
        and not result["paid_twice"]
        and not result["overlaps"]
    )
    sys.exit(0 if good and result["repeated"] <= result["unknown"] else 1)


if __name__ == "__main__":
    main()
