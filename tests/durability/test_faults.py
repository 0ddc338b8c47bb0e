"""A model that fails now and then, in every way. All 200 runs, and 50 on one budget: bench/faults.py."""

from __future__ import annotations

from decimal import Decimal

from bench.faults import judge, shared, single, worst_call


async def test_runs_end_well_although_three_in_ten_requests_fail() -> None:
    outcome = await single(8, 0.3, seed=11)
    assert judge(outcome, 8, per_run=worst_call() * 30, cap=None, least=1.0) == []
    assert outcome.failed_requests >= 5
    # Every request, failed or not, is an attempt in the journal.
    assert sum(outcome.attempts.values()) == outcome.requests


async def test_runs_that_share_too_small_a_budget_stop_before_it_is_passed() -> None:
    cap = worst_call() * Decimal("1.4")
    outcome = await shared(6, cap, 0.3, seed=12)
    assert judge(outcome, 6, per_run=None, cap=cap, least=0.0) == []
    assert outcome.statuses["Failure"] > 0
    assert all("batch:bench" in error or "next call" in error for error in outcome.errors)
