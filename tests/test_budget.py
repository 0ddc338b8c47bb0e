"""The cap holds before the call, whatever happens side by side; what is not known counts in full."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness import GOOD, by_step, coding_engine
from windlass.budget import Budget, Reservation, usd, worst_case
from windlass.errors import BudgetExceeded, ModelUnavailable, TruncatedReply
from windlass.events import WorkflowStatus
from windlass.llm import Message, Price, Usage
from windlass.testing.llm import ScriptedLLM

ASK = [Message("user", "x" * 984)]  # with 16 for the frame: 1,000 tokens at most


def priced(dollars_in: str, dollars_out: str, *, most: int = 1000, policy: Any = "fixed") -> ScriptedLLM:
    return ScriptedLLM(
        [], price=Price(policy, Decimal(dollars_in), Decimal(dollars_out)), max_output_tokens=most
    )


def test_worst_case_is_every_byte_and_the_longest_reply() -> None:
    assert worst_case(priced("1", "10"), ASK) == Decimal("0.011")
    two_bytes = [Message("user", "é" * 492)]
    assert worst_case(priced("1", "10"), two_bytes) == Decimal("0.011")
    assert worst_case(ScriptedLLM([], price=Price("free")), ASK) == 0
    assert worst_case(ScriptedLLM([], price=Price("unknown")), ASK) is None


async def test_what_does_not_fit_waits_for_calls_under_way_and_is_refused_when_they_cost_too_much() -> None:
    budget, model = Budget(Decimal("0.0215")), priced("1", "10")
    first = await budget.reserve(model, ASK)
    assert budget.left == Decimal("0.0105")
    second = asyncio.create_task(budget.reserve(model, ASK))
    await asyncio.sleep(0)
    assert not second.done()
    await budget.settle(first, Decimal("0.0001"))
    await budget.settle(await second, Decimal("0.011"))
    with pytest.raises(BudgetExceeded, match=r"up to \$0\.0110, and \$0\.0104 of the budget of \$0\.0215"):
        await budget.reserve(model, ASK)
    assert budget.reserved == 0


async def test_side_by_side_calls_cannot_pass_the_cap() -> None:
    budget, model = Budget(Decimal("0.05")), priced("1", "10")

    async def one() -> bool:
        try:
            reservation = await budget.reserve(model, ASK)
        except BudgetExceeded:
            return False
        await asyncio.sleep(0)
        await budget.settle(reservation, Decimal("0.011"))
        return True

    done = await asyncio.gather(*(one() for _ in range(50)))
    assert sum(done) == 4
    assert budget.spent == Decimal("0.044")


async def test_an_unknown_cost_counts_in_full_and_an_unpaid_call_not_at_all() -> None:
    budget, model = Budget(Decimal(1)), priced("1", "10")
    await budget.settle(await budget.reserve(model, ASK), None)
    assert (budget.spent, budget.reserved) == (Decimal("0.011"), 0)
    await budget.settle(await budget.reserve(model, ASK), None, paid=False)
    assert (budget.spent, budget.reserved) == (Decimal("0.011"), 0)


async def test_an_unknown_price_needs_permission_where_there_is_a_cap() -> None:
    model = ScriptedLLM([], price=Price("unknown"))
    with pytest.raises(BudgetExceeded, match="--allow-unknown-price"):
        await Budget(Decimal(1)).reserve(model, ASK)
    assert await Budget(None).reserve(model, ASK) == Reservation(None)
    assert await Budget(Decimal(1), allow_unknown_price=True).reserve(model, ASK) == Reservation(None)


class SharedLedger:
    """A budget of the day that is used up after some reservations."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.settled: list[tuple[str, Decimal | None]] = []

    async def reserve(self, amount: Decimal) -> str:
        if self.times == 0:
            raise BudgetExceeded("The day's budget is used up.")
        self.times -= 1
        return f"r{self.times}"

    async def settle(self, ledger_id: str, actual: Decimal | None) -> None:
        self.settled.append((ledger_id, actual))


async def test_a_shared_budget_that_refuses_leaves_nothing_reserved() -> None:
    ledger = SharedLedger(1)
    budget, model = Budget(None, ledger=ledger), priced("1", "10")
    await budget.settle(await budget.reserve(model, ASK), Decimal("0.002"))
    assert ledger.settled == [("r0", Decimal("0.002"))]
    with pytest.raises(BudgetExceeded, match="day's budget"):
        await budget.reserve(model, ASK)
    assert budget.reserved == 0


@given(st.lists(st.tuples(st.decimals(0, 1, places=4), st.booleans()), max_size=30))
def test_spent_never_passes_the_cap_when_calls_cost_at_most_their_worst_case(
    calls: list[tuple[Decimal, bool]],
) -> None:
    async def run() -> None:
        budget, model = Budget(Decimal("0.1")), priced("1", "10")
        for share, known in calls:
            try:
                reservation = await budget.reserve(model, ASK)
            except BudgetExceeded:
                break
            await budget.settle(reservation, share * Decimal("0.011") if known else None)
        assert budget.spent <= Decimal("0.1")
        assert budget.reserved == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "cost unknown"),
        ("0", "$0"),
        ("1.239", "$1.24"),
        ("0.03125", "$0.0312"),
        ("0.00001", "<$0.0001"),
    ],
)
def test_amounts_for_people(amount: str | None, text: str) -> None:
    assert usd(None if amount is None else Decimal(amount)) == text


# -- in a run -----------------------------------------------------------------------------------


async def test_a_run_stops_before_the_call_that_could_pass_its_cap(tmp_path: Any) -> None:
    model = by_step(GOOD)
    model.price, model.max_output_tokens = Price("fixed", Decimal(1), Decimal(10)), 1000
    model.usage = Usage(1000, 900)  # 0.01 USD a call
    engine = coding_engine(tmp_path, model)
    engine.limit = Decimal("0.025")
    record = await engine.go()
    assert record.status is WorkflowStatus.Failure
    assert "the call was not made" in str(record.error)
    entries = [e for e in await engine.entries() if e.kind == "model"]
    assert len(entries) == len(model.requests)
    assert sum(e.cost_usd for e in entries) <= engine.limit
    asked = len(model.requests)
    engine.limit = Decimal(1)
    assert (await engine.go()).status is WorkflowStatus.Success
    assert len(model.requests) == 5
    assert asked == 2


async def test_what_failed_attempts_may_have_cost_counts_after_a_restart(tmp_path: Any) -> None:
    cut = TruncatedReply("The stream ended early.", partial="{")
    model = by_step({**GOOD, "design_step": [cut, cut, cut, cut, cut, cut, cut]})
    model.price, model.max_output_tokens = Price("fixed", Decimal(1), Decimal(10)), 1000
    engine = coding_engine(tmp_path, model)
    assert (await engine.go()).status is WorkflowStatus.Failure
    lost = [e for e in await engine.entries() if e.kind == "model" and e.cost_usd is None]
    assert lost
    worst = sum(e.reserved_usd for e in lost)
    assert worst > 0
    engine.limit = worst + Decimal("0.005")
    record = await engine.go()
    assert record.status is WorkflowStatus.Failure
    assert "the call was not made" in str(record.error)


async def test_a_call_that_never_left_costs_nothing(tmp_path: Any) -> None:
    away = ModelUnavailable("test:scripted cannot be reached.", maybe_paid=False)
    model = by_step({**GOOD, "design_step": [away, str(GOOD["design_step"])]})
    model.price, model.max_output_tokens = Price("fixed", Decimal(1), Decimal(10)), 1000
    engine = coding_engine(tmp_path, model)
    engine.limit = Decimal("0.2")
    assert (await engine.go()).status is WorkflowStatus.Failure
    (failed,) = [e for e in await engine.entries() if e.kind == "model" and e.state.value == "failed"]
    assert failed.cost_usd == 0
    assert (await engine.go()).status is WorkflowStatus.Success
