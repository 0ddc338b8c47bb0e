"""The journal under several processes: killed at any moment, competing for one run, sharing one budget."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from tests.journal.conftest import postgresql
from tests.journal.journals import run
from tests.journal.processes import text_of
from windlass.budget import SharedBudget
from windlass.errors import BudgetExceeded
from windlass.journal import Entry, EntryState
from windlass.store.base import Database
from windlass.store.budget import BudgetLedger
from windlass.store.journal import SqlJournal

KINDS = ["sqlite", postgresql]
ROOT = Path(__file__).parents[2]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.journal.processes", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )


def said(processes: list[subprocess.Popen[str]]) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for process in processes:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        lines += [json.loads(line) for line in out.splitlines()]
    return lines


async def check_kept(url: str, acknowledged: list[dict[str, object]]) -> None:
    """Everything that was acknowledged is there; what was in flight is there whole or not at all."""
    database = Database(url)
    journal = SqlJournal(database)
    entries = {entry.path: entry for entry in await journal.entries("run-0001")}
    for line in acknowledged:
        if "claimed" in line:
            assert entries[str(line["claimed"])].request == {"text": text_of(str(line["claimed"]))}
        if "done" in line:
            done = entries[str(line["done"])]
            assert (done.state, done.result) == (EntryState.DONE, {"reply": text_of(str(line["done"]))})
    by_path: dict[str, int] = defaultdict(int)
    for one in await journal.events("run-0001"):
        by_path[one.payload["path"]] += 1
    assert set(by_path.values()) <= {2}
    assert {str(line["done"]) for line in acknowledged if "done" in line} <= by_path.keys()
    await journal.close()
    database.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_killed_process_has_lost_nothing_it_was_told_is_kept(
    kind: str, new_url: Callable[[str], str]
) -> None:
    url = new_url(kind)
    database = Database(url)
    journal = SqlJournal(database)
    await journal.create_run(run())
    await journal.close()
    database.close()
    kills = 50 if kind == "sqlite" else 20
    acknowledged = said([start("kill_writers", url, "run-0001", str(kills), "7")])
    assert len(acknowledged) > kills
    await check_kept(url, acknowledged)


@pytest.mark.parametrize("kind", KINDS)
async def test_of_eight_processes_one_at_a_time_owns_a_run(kind: str, new_url: Callable[[str], str]) -> None:
    url = new_url(kind)
    database = Database(url)
    journal = SqlJournal(database)
    await journal.create_run(run())
    rounds = 3
    held = said([start("compete", url, "run-0001", f"p{n}", str(rounds)) for n in range(8)])
    # Every epoch was given out once, and no two holders' times (one machine, one clock) overlap.
    assert sorted(int(str(one["epoch"])) for one in held) == list(range(1, 8 * rounds + 1))
    held.sort(key=lambda one: float(str(one["began"])))
    for earlier, later in pairwise(held):
        assert float(str(earlier["ended"])) <= float(str(later["began"]))
    kept = {entry.path: entry.digest for entry in await journal.entries("run-0001")}
    assert kept == {f"held[{one['epoch']}]": one["owner"] for one in held}
    await journal.close()
    database.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_processes_that_steal_a_run_never_write_after_the_next_owner(
    kind: str, new_url: Callable[[str], str]
) -> None:
    url = new_url(kind)
    database = Database(url)
    journal = SqlJournal(database)
    await journal.create_run(run())
    acknowledged = said([start("steal", url, "run-0001", f"p{n}", "12") for n in range(4)])
    kept = [(entry.attempt, entry.path, entry.digest) for entry in await journal.entries("run-0001")]
    epochs = [epoch for epoch, _, _ in kept]
    assert epochs == sorted(
        epochs
    )  # rows are in the order they were written: none of an older epoch comes later
    assert len({(epoch, owner) for epoch, _, owner in kept}) == len(set(epochs))  # one owner an epoch
    assert {(one["epoch"], f"step[{one['step']}]", one["owner"]) for one in acknowledged} == set(kept)
    await journal.close()
    database.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_processes_that_share_a_budget_never_pass_its_cap(
    kind: str, new_url: Callable[[str], str]
) -> None:
    url = new_url(kind)
    processes = [start("reserve", url, "day", "0.10", "0.0033", "40") for _ in range(4)]
    admitted = sum(int(str(one["admitted"])) for one in said(processes))
    database = Database(url)
    state = await BudgetLedger(database).state("day")
    assert state.spent + state.reserved <= Decimal("0.10")
    # 160 asked; the first refusal can come only when 30 have been let in. Some of those gave half of theirs back, maybe
    # after the last was refused, so how much is left in the end is a matter of luck.
    assert 30 <= admitted < 160
    await SqlJournal(database).close()
    database.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_killed_process_had_set_aside_is_not_waited_for(
    kind: str, new_url: Callable[[str], str]
) -> None:
    url = new_url(kind)
    databases = [Database(url) for _ in range(3)]
    journal, ledger = SqlJournal(databases[0]), BudgetLedger(databases[0])
    await journal.create_run(run())
    process = start("hold_money", url, "run-0001", "batch:b", "0.07")
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"held": "0.07"}
        assert await ledger.settle_abandoned() == 0
    finally:
        process.kill()
        process.communicate()
    # Its lease has almost an hour to go; two processes that need the money find out together.
    waiting = [
        SharedBudget(BudgetLedger(database), f"run:{n}", {"batch:b": Decimal("0.10")})
        for n, database in enumerate(databases[1:])
    ]
    refused = await asyncio.wait_for(
        asyncio.gather(*(budget.reserve(Decimal("0.04")) for budget in waiting), return_exceptions=True), 60
    )
    assert [type(one) for one in refused] == [BudgetExceeded, BudgetExceeded]
    state = await ledger.state("batch:b")
    assert (state.reserved, state.spent) == (Decimal(0), Decimal("0.07"))
    # What is left can be spent.
    await waiting[0].reserve(Decimal("0.03"))
    for database in databases:
        await SqlJournal(database).close()
        database.close()


async def test_losing_power_costs_nothing_that_was_acknowledged(
    new_url: Callable[[str], str], tmp_path: Path
) -> None:
    """The write-ahead log is cut anywhere after the last acknowledged commit, and filled with garbage there.

    SQLite flushes the log at each commit (synchronous=FULL), so up to the acknowledged length it is on
    disk; what the disk holds of anything later is any mixture. Not modelled: a disk that lies about flushing,
    and damage to what was flushed before.
    """
    database = Database(new_url("sqlite"))
    journal = SqlJournal(database)
    file = tmp_path / "windlass.db"
    log = tmp_path / "windlass.db-wal"
    await journal.create_run(run())
    lease = await journal.acquire("run-0001", "me")
    with database.reading() as connection:
        # One connection stays open, so that closing others never folds the log into the file.
        connection.exec_driver_sql("SELECT count(*) FROM runs").scalar_one()
        acknowledged: list[str] = []
        moments = random.Random(11)
        checked = 0
        for number in range(12):
            path = f"step[{number}]"
            one = Entry("run-0001", path, "model", "d", EntryState.DONE, result={"text": text_of(path)})
            await journal.claim(lease, one)
            acknowledged.append(path)
            kept_file, kept_log = file.read_bytes(), log.read_bytes()
            # The next commit is under way when the power goes: its pages may be there in part.
            await journal.claim(lease, one.evolve(path=f"later[{number}]"))
            later = log.read_bytes()
            assert later[: len(kept_log)] == kept_log
            for _ in range(6):
                cut = moments.randint(len(kept_log), len(later))
                garbage = moments.randbytes(moments.choice([0, 100, 5000]))
                folder = tmp_path / f"power-{checked}"
                folder.mkdir()
                (folder / "windlass.db").write_bytes(kept_file)
                (folder / "windlass.db-wal").write_bytes(later[:cut] + garbage)
                restored = Database(f"sqlite:///{folder / 'windlass.db'}")
                after = SqlJournal(restored)
                found = {entry.path: entry.result for entry in await after.entries("run-0001")}
                assert {path: found.get(path) for path in acknowledged} == {
                    path: {"text": text_of(path)} for path in acknowledged
                }
                with restored.reading() as restored_connection:
                    assert restored_connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
                await after.close()
                restored.close()
                shutil.rmtree(folder)
                checked += 1
        assert checked == 72
    await journal.close()
    database.close()


async def test_the_log_is_flushed_before_a_write_is_acknowledged(new_url: Callable[[str], str]) -> None:
    """Counted by the kernel: strace sees a flush between any write to the log and its acknowledgement."""
    strace = shutil.which("strace")
    if strace is None:
        if os.environ.get("CI") == "true":
            pytest.fail("strace is not installed")
        pytest.skip("strace is not installed")
    url = new_url("sqlite")
    program = (
        "import asyncio, os, sys\n"
        "from windlass.journal import Entry, EntryState, RunRecord\n"
        "from windlass.store.base import Database\n"
        "from windlass.store.journal import SqlJournal\n"
        "async def main():\n"
        "    journal = SqlJournal(Database(sys.argv[1]))\n"
        "    await journal.create_run(RunRecord('run-0001', 'w', 't'))\n"
        "    lease = await journal.acquire('run-0001', 'me')\n"
        "    os.write(2, b'ACK begin')\n"
        "    for n in range(10):\n"
        "        await journal.claim(lease, Entry('run-0001', f'step[{n}]', 'model', 'd', EntryState.DONE))\n"
        "        os.write(2, b'ACK step')\n"
        "    os._exit(0)\n"
        "asyncio.run(main())\n"
    )
    traced = subprocess.run(
        [
            strace,
            "-f",
            "-y",
            "-e",
            "trace=pwrite64,fdatasync,fsync,write",
            sys.executable,
            "-c",
            program,
            url,
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    if traced.returncode != 0 and "ptrace" in traced.stderr.lower():
        pytest.skip("strace may not trace here")
    assert traced.returncode == 0, traced.stderr[-2000:]
    dirty, acknowledged, began = False, 0, False
    for line in traced.stderr.splitlines():
        if "ACK begin" in line:
            began = True
        elif "ACK step" in line and "write(" in line:
            assert not dirty
            acknowledged += 1
        elif began and "pwrite64(" in line and "-wal>" in line:
            dirty = True
        elif ("fdatasync(" in line or "fsync(" in line) and "-wal>" in line:
            dirty = False
    assert acknowledged == 10


def test_sqlite_really_runs_with_full_flushes(new_url: Callable[[str], str]) -> None:
    database = Database(new_url("sqlite"))
    with database.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    database.close()
    assert sqlite3.sqlite_version_info >= (3, 35)
