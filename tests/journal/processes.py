"""Programs that the tests run as processes of their own, to kill them or to let them compete."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from decimal import Decimal
from typing import Any

from windlass.errors import BudgetExceeded, LeaseLost, RunOwnedElsewhere
from windlass.events import Event
from windlass.journal import Entry, EntryState
from windlass.owners import owner_name
from windlass.store.base import Database
from windlass.store.budget import BudgetLedger
from windlass.store.journal import SqlJournal


def say(**what: Any) -> None:
    """One line to the parent, which the pipe keeps whole even when this process is killed next."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def text_of(path: str) -> str:
    return f"{path} " * 300


async def write_until_killed(url: str, run_id: str, started: int) -> None:
    """Ten branches write for ever and say what was acknowledged; each write is an entry with its events."""
    journal = SqlJournal(Database(url))
    lease = await journal.acquire(run_id, f"writer-{time.monotonic_ns()}", ttl=0.001)

    async def branch(number: int) -> None:
        for step in range(100_000):
            path = f"e{lease.epoch}.b{number}[{step}]"
            entry = Entry(run_id, path, "model", "d", EntryState.CLAIMED, request={"text": text_of(path)})
            await journal.claim(lease, entry)
            say(claimed=path)
            events = [Event("notice", run_id, {"path": path}, (lease.epoch * 100 + number) * 100_000 + step * 2 + i)
                      for i in (0, 1)]  # fmt: skip
            await asyncio.gather(
                journal.settle(lease, entry.evolve(state=EntryState.DONE, result={"reply": text_of(path)})),
                journal.append_events(lease, events),
            )
            say(done=path)

    os.write(started, b"!")
    await asyncio.gather(*(branch(number) for number in range(10)))


async def compete(url: str, run_id: str, owner: str, rounds: str) -> None:
    """Take the run again and again; while it is held, write an entry and say when that was."""
    journal = SqlJournal(Database(url))
    held = 0
    while held < int(rounds):
        try:
            lease = await journal.acquire(run_id, owner, ttl=30)
        except RunOwnedElsewhere:
            await asyncio.sleep(0.005)
            continue
        began = time.monotonic()
        await journal.claim(lease, Entry(run_id, f"held[{lease.epoch}]", "value", owner, EntryState.DONE))
        await asyncio.sleep(0.01)
        ended = time.monotonic()
        say(owner=owner, epoch=lease.epoch, began=began, ended=ended)
        await journal.release(lease)
        held += 1
    await journal.close()


async def steal(url: str, run_id: str, owner: str, rounds: str) -> None:
    """Take the run although others hold it (their leases last no time) and write until it is lost."""
    journal = SqlJournal(Database(url))
    for _ in range(int(rounds)):
        try:
            lease = await journal.acquire(run_id, owner, ttl=0.0)
            for step in range(20):
                entry = Entry(run_id, f"step[{step}]", "value", owner, EntryState.DONE, attempt=lease.epoch)
                await journal.claim(lease, entry)
                say(owner=owner, epoch=lease.epoch, step=step)
        except (LeaseLost, RunOwnedElsewhere):
            continue
    await journal.close()


async def reserve(url: str, scope: str, limit: str, amount: str, times: str) -> None:
    """Reserve and settle in a shared budget; say how many were admitted."""
    database = Database(url)
    ledger = BudgetLedger(database)
    admitted = 0

    async def one(number: int) -> None:
        nonlocal admitted
        try:
            key = await ledger.reserve({scope: Decimal(limit)}, Decimal(amount), owner="one")
        except BudgetExceeded:
            return
        admitted += 1
        if number % 3 == 0:
            await ledger.settle(key, Decimal(amount) / 2)
        elif number % 3 == 1:
            await ledger.settle(key, None)

    await asyncio.gather(*(one(number) for number in range(int(times))))
    say(admitted=admitted)
    await SqlJournal(database).close()


async def hold_money(url: str, run_id: str, scope: str, amount: str) -> None:
    """Own the run, set money aside for it and say so; then do nothing until killed."""
    database = Database(url)
    await SqlJournal(database).acquire(run_id, owner_name(), ttl=3600)
    await BudgetLedger(database).reserve({scope: None}, Decimal(amount), owner=f"run:{run_id}")
    say(held=amount)
    await asyncio.sleep(3600)


def kill_writers(url: str, run_id: str, kills: str, seed: str) -> None:
    """Run :func:`write_until_killed` in child after child, each killed at a random moment.

    Forked, because a new interpreter for each would take most of the time.
    """
    moments = random.Random(int(seed))
    for _ in range(int(kills)):
        started, start = os.pipe()
        child = os.fork()
        if child == 0:
            asyncio.run(write_until_killed(url, run_id, start))
        os.close(start)
        os.read(started, 1)
        os.close(started)
        time.sleep(moments.uniform(0.0, 0.15))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    program = globals()[sys.argv[1]](*sys.argv[2:])
    if program is not None:
        asyncio.run(program)
