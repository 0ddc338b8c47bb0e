"""What the page says of costs that are known in part, and of calls that a fork took over: the terminal's words."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.web_page.conftest import Opener
from tests.web_page.world import REQUIREMENT, finished, forked
from windlass.cli.outcome import cost_told

expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
def runs() -> dict[str, str]:
    """Made once, by the first test that wants one."""
    return {}


@pytest.fixture
def partly(runs: dict[str, str], client: httpx.Client) -> str:
    """A run whose last call has no price, and whose others have one."""
    if "partly" not in runs:
        runs["partly"] = finished(client, REQUIREMENT, yes=True, fast_model="unpriced")
    return runs["partly"]


def usage_of(client: httpx.Client, run_id: str) -> Any:
    return client.get(f"/api/runs/{run_id}").json()["usage"]


def test_a_cost_that_is_known_in_part(opener: Opener, client: httpx.Client, partly: str) -> None:
    usage = usage_of(client, partly)
    words = cost_told(usage)
    assert (usage["cost_usd"], usage["unpriced_calls"], usage["known_cost_usd"] > 0) == (None, 1, True)
    page = opener(f"/runs/{partly}?step=summary_step&view=details")
    expect(page.locator("#main")).to_have_attribute("data-settled", "true")
    expect(page.locator(".run-facts")).to_contain_text(words)
    expect(page.locator(".facts dd", has_text="known, the cost of")).to_have_text(words)
    # The call itself, its step, and the steps whose cost is known.
    expect(page.locator("[data-block=call] .block-figures")).to_contain_text("cost unknown")
    expect(page.locator("[data-step=summary_step] .tree-meta")).to_contain_text("cost unknown")
    expect(page.locator("[data-step=design_step] .tree-meta")).to_contain_text("$0.0")
    page.goto(page.url.partition("/runs/")[0] + "/?search=" + partly)
    row = page.locator(f"[data-run='{partly}'] .run-cost")
    expect(row).to_contain_text("≥ $0.0")
    expect(row).to_have_attribute("title", words)


def test_a_cost_of_which_nothing_is_known(opener: Opener, client: httpx.Client) -> None:
    run = finished(client, "Say hello", "chat", yes=True, model="unpriced")
    assert cost_told(usage_of(client, run)) == "cost unknown"
    page = opener(f"/runs/{run}?view=details")
    expect(page.locator("#main")).to_have_attribute("data-settled", "true")
    expect(page.locator(".run-facts")).to_contain_text("cost unknown")
    expect(page.locator(".run-facts")).not_to_contain_text("known, the cost")


def test_calls_that_a_fork_took_over(opener: Opener, client: httpx.Client, partly: str) -> None:
    fork = forked(client, partly, "summary_step")
    calls = client.get(f"/api/runs/{fork}/calls").json()
    copied = [call for call in calls if call["copied_from"] == partly]
    assert (len(copied), usage_of(client, fork)["requests"]) == (len(calls) - 1, 1)
    page = opener(f"/runs/{fork}?step=design_step&view=prompt")
    expect(page.locator("#main")).to_have_attribute("data-settled", "true")
    told = page.locator("[data-block=call]")
    expect(told).to_have_count(1)
    expect(told.locator(".block-figures")).to_contain_text(f"copied from run {partly[-8:]}")
    expect(told.locator(".block-figures")).not_to_contain_text("$")
    expect(told).to_contain_text("durations.py")
    # The prompt that the other run sent is to be read here too.
    facts = page.locator(".prompt-panel .facts")
    expect(facts).to_contain_text(f"copied from run {partly[-8:]}")
    expect(page.locator(".message")).to_contain_text("# Requirement")
    # What it did itself is not marked so, and nothing of what it took over is added to what it cost.
    page.goto(page.url.replace("design_step", "summary_step"))
    expect(page.locator("[data-block=call] .block-figures")).to_contain_text("cost unknown")
    expect(page.locator(".run-facts")).to_contain_text("1 request")
    page.locator(".run-facts a", has_text="forked from").click()
    expect(page.locator("#main")).to_have_attribute("data-status", "Success")
