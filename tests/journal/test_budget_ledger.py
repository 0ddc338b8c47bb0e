"""Budgets that runs share: a reservation counts everywhere or nowhere, and no cap is passed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from tests.journal.journals import Clock, run
from windlass.budget import SharedBudget
from windlass.errors import BudgetExceeded, LeaseLost, NotFound
from windlass.journal import Lease
from windlass.store.base import Database
from windlass.store.budget import BudgetLedger, ScopeState
from windlass.store.journal import SqlJournal
from windlass.store.writer import writer_of

D = Decimal


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[BudgetLedger]:
    yield BudgetLedger(database)
    await writer_of(database).close()


async def used(ledger: BudgetLedger, scope: str) -> tuple[Decimal, Decimal]:
    state = await ledger.state(scope)
    return state.reserved, state.spent


async def test_a_reservation_is_replaced_by_what_was_spent(ledger: BudgetLedger) -> None:
    key = await ledger.reserve({"run:1": D("1"), "day": None}, D("0.4"), owner="run-1")
    assert await ledger.state("run:1") == ScopeState("run:1", D("1"), D("0.4"), D("0"))
    await ledger.settle(key, D("0.000000123"))
    for scope in ("run:1", "day"):
        assert await used(ledger, scope) == (D("0"), D("0.000000123"))
    assert await ledger.state("never named") == ScopeState("never named", None, D("0"), D("0"))


async def test_what_does_not_fit_in_one_scope_is_set_aside_in_none(ledger: BudgetLedger) -> None:
    await ledger.reserve({"batch": D("1")}, D("0.7"), owner="run-1")
    with pytest.raises(BudgetExceeded, match=r"\$0\.5000.*\$0\.3000 of the \$1\.00 for batch"):
        await ledger.reserve({"a-run": D("5"), "batch": D("1")}, D("0.5"), owner="run-2")
    assert await used(ledger, "a-run") == (D("0"), D("0"))
    assert await used(ledger, "batch") == (D("0.7"), D("0"))
    await ledger.reserve({"a-run": D("5"), "batch": D("1")}, D("0.3"), owner="run-2")


async def test_an_unknown_cost_counts_in_full_until_it_is_known(ledger: BudgetLedger) -> None:
    key = await ledger.reserve({"day": D("1")}, D("0.9"), owner="run-1")
    await ledger.settle(key, None)
    assert await used(ledger, "day") == (D("0"), D("0.9"))
    with pytest.raises(BudgetExceeded):
        await ledger.reserve({"day": D("1")}, D("0.2"), owner="run-1")
    await ledger.settle(key, D("0.05"))
    assert await used(ledger, "day") == (D("0"), D("0.05"))
    for again in (D("0.7"), None):
        await ledger.settle(key, again)
    assert await used(ledger, "day") == (D("0"), D("0.05"))


async def test_what_a_dead_owner_had_set_aside_counts_as_spent(ledger: BudgetLedger) -> None:
    first = await ledger.reserve({"day": None}, D("0.1"), owner="dead")
    await ledger.settle(first, D("0.01"))
    second = await ledger.reserve({"day": None}, D("0.2"), owner="dead")
    await ledger.reserve({"day": None}, D("0.4"), owner="alive")
    assert await ledger.release_owner("dead") == 1
    assert await used(ledger, "day") == (D("0.4"), D("0.21"))
    assert await ledger.release_owner("dead") == 0
    await ledger.settle(second, D("0.15"))
    assert await used(ledger, "day") == (D("0.4"), D("0.16"))


async def test_what_runs_that_nobody_works_on_had_set_aside_counts_as_spent(
    ledger: BudgetLedger, database: Database
) -> None:
    journal = SqlJournal(database)
    for name in ("run-held", "run-over", "run-free"):
        await journal.create_run(run(name))
    await journal.acquire("run-held", "another machine", ttl=3600)
    await journal.acquire("run-over", "another machine", ttl=0.0)
    keys = {}
    for number, name in enumerate(("run-held", "run-over", "run-free", "run-gone")):
        amount = D("0.1") * 2**number
        keys[name] = await ledger.reserve({"day": None, name: None}, amount, owner=f"run:{name}")
    await ledger.reserve({"day": None}, D("10"), owner="no run")
    assert await ledger.settle_abandoned() == 3
    assert await used(ledger, "day") == (D("10.1"), D("1.4"))
    assert await used(ledger, "run-held") == (D("0.1"), D("0"))
    assert await used(ledger, "run-over") == (D("0"), D("0.2"))
    assert await ledger.settle_abandoned() == 0
    # One that did end after all says what it cost.
    await ledger.settle(keys["run-over"], D("0.05"))
    assert await used(ledger, "day") == (D("10.1"), D("1.25"))


async def test_who_waits_for_money_says_so_once_and_goes_on_when_it_is_free(ledger: BudgetLedger) -> None:
    told: list[tuple[str, str]] = []
    said = asyncio.Event()

    def say(sentence: str, scope: str) -> None:
        told.append((sentence, scope))
        said.set()

    key = await ledger.reserve({"batch:b": D("1")}, D("0.9"), owner="somebody")
    budget = SharedBudget(ledger, "run:mine", {"batch:b": D("1")}, say=say, pause=0.01, quiet=0.0)
    both = [asyncio.create_task(budget.reserve(D("0.3"))) for _ in range(2)]
    await asyncio.wait_for(said.wait(), 60)
    assert not any(one.done() for one in both)
    await ledger.settle(key, D("0.2"))
    await asyncio.wait_for(asyncio.gather(*both), 60)
    assert await used(ledger, "batch:b") == (D("0.6"), D("0.2"))
    ((sentence, scope),) = told
    assert scope == "batch:b"
    assert "may cost up to $0.3000, and $0.1000 of the $1.00 for batch:b is free" in sentence
    assert "have $0.9000 set aside" in sentence


async def test_a_reservation_is_rounded_up_so_that_it_is_never_too_small(ledger: BudgetLedger) -> None:
    await ledger.reserve({"day": None}, D("0.0000000001"), owner="run-1")
    assert await used(ledger, "day") == (D("0.000000001"), D("0"))


async def test_a_void_lease_reserves_nothing(ledger: BudgetLedger, database: Database, clock: Clock) -> None:
    journal = SqlJournal(database, clock=clock)
    await journal.create_run(run())
    lease = await journal.acquire("run-0001", "me")
    scoped = ledger.scoped({"day": D("1")}, owner="run-0001", lease=lease)
    await scoped.settle(await scoped.reserve(D("0.1")), D("0.1"))
    clock.now += 31
    await journal.acquire("run-0001", "you")
    with pytest.raises(LeaseLost):
        await scoped.reserve(D("0.1"))
    with pytest.raises(LeaseLost):
        await ledger.reserve({"new": None}, D("0.1"), owner="x", lease=Lease("run-none", "me", 1))
    assert await used(ledger, "day") == (D("0"), D("0.1"))


async def test_a_cancelled_reservation_is_given_back(ledger: BudgetLedger, database: Database) -> None:
    for ticks in range(4):
        task = asyncio.ensure_future(ledger.reserve({"day": D("0.5")}, D("0.4"), owner="run-1"))
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await writer_of(database).close()
    assert await used(ledger, "day") == (D("0"), D("0"))


async def test_an_unknown_reservation_is_an_error(ledger: BudgetLedger) -> None:
    with pytest.raises(NotFound):
        await ledger.settle("no such", D("1"))


async def test_fifty_runs_at_once_stay_under_one_cap(ledger: BudgetLedger) -> None:
    async def one(number: int) -> bool:
        scopes = {f"run:{number}": D("1"), "batch": D("0.1")}
        try:
            key = await ledger.reserve(scopes, D("0.0031"), owner=f"run-{number}")
        except BudgetExceeded:
            return False
        await ledger.settle(key, D("0.0031"))
        return True

    admitted = sum(await asyncio.gather(*(one(number) for number in range(50))))
    assert admitted == 32
    assert await used(ledger, "batch") == (D("0"), D("0.0992"))
