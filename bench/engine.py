"""What durability costs: Windlass's journal beside plain asyncio, LangGraph and DBOS, on SQLite, in one run.

    python bench/engine.py [--rounds 3] [--peers-python PATH] [--json FILE]

``--peers-python`` is an interpreter that has ``langgraph``, ``langgraph-checkpoint-sqlite`` and ``dbos``.
Each measurement runs in a process of its own, engines taking turns, and each figure is the median of the
rounds with its range. What is measured:

- *ms a step*: 100 steps in a row that each give 10 kB of random text, every one on stable storage before
  the next begins (Windlass commits twice a step: the claim before the effect and the result after it);
- *bytes a step*: how much those 100 steps make the closed database grow;
- *steps a second*: 500 runs side by side, each of 5 steps that wait 50 ms and give 1 kB, from making the
  run to its recorded end;
- *loop lag*: how late a task that sleeps 5 ms wakes meanwhile, at worst and at the 99th percentile;
- *RSS*: the process's peak, with everything imported.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import resource
import sqlite3
import statistics
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

STEPS_IN_A_ROW = 100
RUNS = 500
STEPS_A_RUN = 5
STEP_SECONDS = 0.05


def random_text(size: int, seed: int) -> str:
    """Letters, digits and spaces at random: text that deflates to three quarters, where prose goes to a third."""
    return "".join(random.Random(seed).choices(string.ascii_letters + string.digits + "  \n", k=size))


LONG_TEXTS = [random_text(10_240, seed) for seed in range(STEPS_IN_A_ROW)]
SHORT_TEXTS = [random_text(1024, 1_000_000 + seed) for seed in range(RUNS * STEPS_A_RUN)]


class Lag:
    """How late the event loop is, sampled every 5 ms."""

    def __init__(self) -> None:
        self.samples: list[float] = []

    async def watch(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            self.samples.append((time.perf_counter() - before - 0.005) * 1000)

    def figures(self) -> dict[str, float]:
        ordered = sorted(self.samples) or [0.0]
        return {"lag_max_ms": ordered[-1], "lag_p99_ms": ordered[int(len(ordered) * 0.99)]}


async def crowd(one_run: Callable[[int], Awaitable[None]]) -> dict[str, float]:
    """Steps a second, and the lag, of 500 runs side by side."""
    gc.collect()
    gc.freeze()  # as a server does after its imports: a full collection walks every object there is
    lag = Lag()
    watcher = asyncio.create_task(lag.watch())
    await asyncio.sleep(0.05)
    cpu, start = time.process_time(), time.perf_counter()
    await asyncio.gather(*(one_run(number) for number in range(RUNS)))
    seconds = time.perf_counter() - start
    watcher.cancel()
    return {
        "steps_per_s": RUNS * STEPS_A_RUN / seconds,
        "cpu_s": time.process_time() - cpu,
        **lag.figures(),
    }


def size_of(folder: Path) -> int:
    """Bytes of the databases in a folder, their logs folded in."""
    for file in folder.glob("*.db"):
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


# The engines. Each is an async function of a folder that gives its figures.


async def plain_asyncio(folder: Path) -> dict[str, float]:
    kept: list[str] = []

    async def step(text: str) -> str:
        return text

    start = time.perf_counter()
    for text in LONG_TEXTS:
        kept.append(await step(text))
    row = (time.perf_counter() - start) / STEPS_IN_A_ROW * 1000

    async def one_run(number: int) -> None:
        for step_no in range(STEPS_A_RUN):
            await asyncio.sleep(STEP_SECONDS)
            kept.append(SHORT_TEXTS[number * STEPS_A_RUN + step_no])

    return {"ms_per_step": row, "bytes_per_step": 0, **await crowd(one_run)}


async def windlass(folder: Path) -> dict[str, float]:
    from windlass.events import WorkflowStatus
    from windlass.journal import RunJournal, RunRecord, digest_of
    from windlass.store.base import Database
    from windlass.store.journal import SqlJournal
    from windlass.store.writer import writer_of

    database = Database(f"sqlite:///{folder / 'windlass.db'}")
    journal = SqlJournal(database)

    async def begin(run_id: str) -> RunJournal:
        await journal.create_run(RunRecord(run_id, "bench", "bench"))
        return await RunJournal.open(journal, await journal.acquire(run_id, "bench"))

    async def end(run: RunJournal) -> None:
        await journal.update_run(run.lease, status=WorkflowStatus.Success, finished_at=time.time())
        await journal.release(run.lease)

    async def step(run: RunJournal, path: str, wait: float, text: str) -> None:
        request = {"messages": [{"role": "user", "content": f"Do {path}."}]}
        digest = digest_of(request)
        assert run.recorded(path, digest) is None
        entry = await run.claim(path, "model", digest, request, model="bench")
        if wait:
            await asyncio.sleep(wait)
        await run.finish(entry, {"text": text}, input_tokens=100, output_tokens=2000)

    warm = await begin("warm-up")
    await step(warm, "model[0]", 0, "x" * 1000)
    await end(warm)
    before = size_of(folder)
    run = await begin("in-a-row")
    start = time.perf_counter()
    for number, text in enumerate(LONG_TEXTS):
        await step(run, f"step[{number}]/model[0]", 0, text)
    row = (time.perf_counter() - start) / STEPS_IN_A_ROW * 1000
    await end(run)
    await journal.close()
    database.close()
    grown = (size_of(folder) - before) / STEPS_IN_A_ROW

    async def one_run(number: int) -> None:
        run = await begin(f"run-{number:05}")
        for step_no in range(STEPS_A_RUN):
            text = SHORT_TEXTS[number * STEPS_A_RUN + step_no]
            await step(run, f"step[{step_no}]/model[0]", STEP_SECONDS, text)
        await end(run)

    writer = writer_of(database)
    groups, items = writer.groups, writer.items
    figures = await crowd(one_run)
    figures["items_per_group"] = (writer.items - items) / max(1, writer.groups - groups)
    with database.reading() as connection:
        done = connection.exec_driver_sql(
            "SELECT count(*) FROM run_entries WHERE state = 'done'"
        ).scalar_one()
    assert done == 1 + STEPS_IN_A_ROW + RUNS * STEPS_A_RUN, done
    await journal.close()
    database.close()
    return {"ms_per_step": row, "bytes_per_step": grown, **figures}


async def langgraph(folder: Path) -> dict[str, float]:
    from typing import TypedDict

    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
    from langgraph.graph import END, START, StateGraph

    class State(TypedDict):
        number: int
        text: str

    async def at_once(state: State) -> dict[str, Any]:
        return {"number": state["number"] + 1, "text": LONG_TEXTS[state["number"] % STEPS_IN_A_ROW]}

    async def slow(state: State) -> dict[str, Any]:
        await asyncio.sleep(STEP_SECONDS)
        return {"number": state["number"] + 1, "text": SHORT_TEXTS[state["number"]]}

    def looping(node: Any, times: int) -> Any:
        graph = StateGraph(State)
        graph.add_node("step", node)
        graph.add_edge(START, "step")
        graph.add_conditional_edges("step", lambda state: END if state["number"] % times == 0 else "step")
        return graph.compile(checkpointer=saver)

    async with aiosqlite.connect(folder / "langgraph.db") as connection:
        saver = AsyncSqliteSaver(connection)
        await saver.setup()

        async def run(graph: Any, thread: str, number: int) -> None:
            config = {"configurable": {"thread_id": thread}, "recursion_limit": 1000}
            await graph.ainvoke({"number": number, "text": ""}, config, durability="sync")

        await run(looping(at_once, 1), "warm-up", 0)
        before = size_of(folder)
        row_graph, crowd_graph = looping(at_once, STEPS_IN_A_ROW), looping(slow, STEPS_A_RUN)
        start = time.perf_counter()
        await run(row_graph, "in-a-row", 0)
        row = (time.perf_counter() - start) / STEPS_IN_A_ROW * 1000
        grown = (size_of(folder) - before) / STEPS_IN_A_ROW
        figures = await crowd(lambda n: run(crowd_graph, f"run-{n}", n * STEPS_A_RUN))
    return {"ms_per_step": row, "bytes_per_step": grown, **figures}


async def dbos(folder: Path, *, wal: bool = False) -> dict[str, float]:
    import logging

    from dbos import DBOS, SetWorkflowID

    logging.getLogger("dbos").setLevel(logging.ERROR)
    file = folder / "dbos.db"
    if wal:
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{file}", "log_level": "ERROR"})

    @DBOS.step()
    async def at_once(number: int) -> str:
        return LONG_TEXTS[number]

    @DBOS.step()
    async def slow(number: int) -> str:
        await asyncio.sleep(STEP_SECONDS)
        return SHORT_TEXTS[number]

    @DBOS.workflow()
    async def in_a_row(steps: int) -> None:
        for number in range(steps):
            await at_once(number)

    @DBOS.workflow()
    async def few_slow(number: int) -> None:
        for step_no in range(STEPS_A_RUN):
            await slow(number * STEPS_A_RUN + step_no)

    DBOS.launch()
    try:
        await in_a_row(1)
        before = size_of(folder)
        start = time.perf_counter()
        await in_a_row(STEPS_IN_A_ROW)
        row = (time.perf_counter() - start) / STEPS_IN_A_ROW * 1000
        grown = (size_of(folder) - before) / STEPS_IN_A_ROW

        async def one_run(number: int) -> None:
            with SetWorkflowID(f"run-{number}"):
                await few_slow(number)

        figures = await crowd(one_run)
    finally:
        DBOS.destroy()
    return {"ms_per_step": row, "bytes_per_step": grown, **figures}


async def dbos_wal(folder: Path) -> dict[str, float]:
    return await dbos(folder, wal=True)


OURS = {"asyncio": plain_asyncio, "windlass": windlass}
PEERS = {"langgraph": langgraph, "dbos": dbos, "dbos-wal": dbos_wal}


def measure(engine: str, folder: Path) -> dict[str, float]:
    figures = asyncio.run({**OURS, **PEERS}[engine](folder))
    figures["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


def fsync_ms(folder: Path) -> float:
    """The median of 50 small flushed writes: what the disk allows at this moment."""
    times = []
    with open(folder / "flush", "wb") as file:
        for _ in range(50):
            start = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def in_own_process(python: str, engine: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        disk = fsync_ms(Path(folder))
    done = subprocess.run(
        [python, __file__, "--one", engine], capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"{engine}: {last}")
    return {**json.loads(done.stdout.strip().splitlines()[-1]), "fsync_ms": disk}


COLUMNS = [
    ("ms a step", "ms_per_step", "{:.2f}"),
    ("steps/s", "steps_per_s", "{:.0f}"),
    ("lag max ms", "lag_max_ms", "{:.0f}"),
    ("lag p99 ms", "lag_p99_ms", "{:.1f}"),
    ("RSS MB", "rss_mb", "{:.0f}"),
    ("bytes a step", "bytes_per_step", "{:.0f}"),
    ("CPU s", "cpu_s", "{:.1f}"),
    ("flush ms", "fsync_ms", "{:.2f}"),
]


def show(results: dict[str, list[dict[str, float]]], missing: dict[str, str]) -> None:
    print("| engine | " + " | ".join(title for title, _, _ in COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for engine, rounds in results.items():
        cells = []
        for _, key, form in COLUMNS:
            values = [figures[key] for figures in rounds]
            middle, low, high = (form.format(f(values)) for f in (statistics.median, min, max))
            cells.append(middle if low == high else f"{middle} ({low}-{high})")
        print(f"| {engine} | " + " | ".join(cells) + " |")
    for engine, reason in missing.items():
        print(f"| {engine} | {reason} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers-python", metavar="PATH")
    parser.add_argument("--only", nargs="*", help="engines to measure")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write every round's figures here")
    parser.add_argument("--one", choices=[*OURS, *PEERS], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(options.one, Path(folder))))
        return
    results: dict[str, list[dict[str, float]]] = {}
    missing = {} if options.peers_python else dict.fromkeys(PEERS, "not installed (see --peers-python)")
    for _ in range(options.rounds):
        for engine in [*OURS, *PEERS]:
            if engine in missing or (options.only and engine not in options.only):
                continue
            python = options.peers_python if engine in PEERS else sys.executable
            try:
                results.setdefault(engine, []).append(in_own_process(python, engine))
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                missing[engine] = str(error)
                results.pop(engine, None)
    show(results, missing)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
