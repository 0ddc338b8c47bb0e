"""Runs that are killed (SIGKILL), resumed and compared with one that was not. The whole matrix: bench/kill_matrix.py."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from bench.support.kills import Bench, Place

from tests.durability.scenarios import SLUG

SLOW_STEP = "implementation_step[slug.py]"


def all_well(bench: Bench, orders: list[tuple[str, dict[str, object]]]) -> list[int]:
    """Two trials at a time; how many calls were under way at each one's kills."""
    with ThreadPoolExecutor(2) as pool:
        trials = list(pool.map(lambda order: bench.trial(order[0], **order[1]), orders))  # type: ignore[arg-type]
    assert [(t.label, t.problems) for t in trials if t.problems] == []
    return [t.unknown for t in trials if t.hit]


def test_killed_at_boundaries_of_its_journal(bench: Bench) -> None:
    assert bench.boundaries > 60
    step = bench.boundaries // 6
    hit = all_well(bench, [(f"boundary {n}", {"kill_at": n}) for n in range(3, bench.boundaries - 5, step)])
    assert len(hit) >= 6


def test_killed_at_random_moments_again_and_again(bench: Bench) -> None:
    chance = random.Random(5)
    orders = []
    for number in range(3):
        moments = [chance.uniform(0.1, bench.seconds) for _ in range(3)]
        orders.append((f"random {number}", {"after": moments[0], "again": moments[1:]}))
    all_well(bench, orders)


def wait_until(reached: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < until, f"waited a minute for {what}"
        time.sleep(0.02)


def asked(place: Place, step: str) -> int:
    return sum(line["step"] == step for line in place.requests())


def states(place: Place, step: str) -> list[str]:
    return [row.state for row in place.entries() if row.kind == "model" and row.step == step]


def finish(place: Place) -> dict[str, object]:
    ended = place.command("resume", "last", "--yes", "--json").wait()
    assert ended.code == 0, ended
    assert place.files() == place.bench.expected
    report: dict[str, object] = ended.object
    return report


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_once_to_stop_it_keeps_the_reply_under_way(slow: Bench, number: signal.Signals) -> None:
    with slow.place() as place, slow.holding() as go_on:
        child = place.run()
        wait_until(lambda: asked(place, SLOW_STEP) == 1, "the slow reply")
        child.send(number)
        wait_until(lambda: "Once more" in child.shown(), "the answer to the signal")
        go_on()
        ended = child.wait()
        assert ended.code == 130
        assert ended.object["status"] == "Started"
        assert states(place, SLOW_STEP) == ["done"]
        assert asked(place, "testing_step.repair[1]") == 0
        report = finish(place)
        assert asked(place, SLOW_STEP) == 1
        assert report["usage"]["unknown_calls"] == 0  # type: ignore[index]


def test_asked_twice_it_stops_at_once_and_keeps_what_had_come(slow: Bench) -> None:
    with slow.place() as place, slow.holding() as go_on:
        child = place.run()
        wait_until(lambda: asked(place, SLOW_STEP) == 1, "the slow reply")
        wait_until(lambda: bool(place.partial(SLOW_STEP)), "what had come of it, kept")
        child.send(signal.SIGINT)
        wait_until(lambda: "Once more" in child.shown(), "the first answer to Ctrl-C")
        child.send(signal.SIGINT)
        ended = child.wait()
        assert ended.code == 130
        assert ended.object["usage"]["unknown_calls"] == 1
        assert states(place, SLOW_STEP) == ["unknown"]
        shown = place.command("runs", "show", "last", "--calls", "--json").wait().object
        call = next(c for c in shown["calls"] if c["path"].startswith(SLOW_STEP))
        # What had come can be read, and the worst case of the call counts in the budget.
        assert call["partial"].startswith("slug.py")
        assert call["reserved_usd"] is not None
        go_on()
        report = finish(place)
        assert states(place, SLOW_STEP) == ["unknown", "done"]
        assert report["usage"]["unknown_calls"] == 1  # type: ignore[index]


@pytest.mark.parametrize("cancelled", [True, False])
def test_what_a_killed_run_had_set_aside_keeps_no_other_run_waiting(slow: Bench, cancelled: bool) -> None:
    cap = {"WINDLASS_BUDGET_PER_DAY": "0.03"}
    with slow.place() as place, slow.holding():
        child = place.run(**cap)
        wait_until(lambda: asked(place, SLOW_STEP) == 1, "the slow reply")
        child.send(signal.SIGKILL)
        child.wait()
        if cancelled:
            assert place.command("cancel", "last", **cap).wait().code == 0
            assert place.open_reservations() == 0
        ended = place.run(**cap).wait()
        assert ended.code == 1
        assert "for day:" in ended.object["error"]
        assert place.open_reservations() == 0


def test_of_two_processes_that_resume_one_run_at_once_one_goes_on(slow: Bench) -> None:
    with slow.place() as place, slow.holding() as go_on:
        child = place.run()
        wait_until(lambda: asked(place, SLOW_STEP) == 1, "the slow reply")
        child.send(signal.SIGKILL)
        child.wait()
        both = [place.command("resume", "last", "--yes", "--json") for _ in range(2)]
        wait_until(lambda: any(one.has_ended(0.02) for one in both), "one of the two to give way")
        go_on()
        ended = sorted((one.wait() for one in both), key=lambda e: e.code)
        assert [e.code for e in ended] == [0, 1]
        assert "is being worked on by process" in ended[1].object["error"]
        assert place.files() == slow.expected
        assert states(place, SLOW_STEP) == ["unknown", "done"]
        assert {row.attempt for row in place.entries() if row.kind == "model" and row.step != SLOW_STEP} == {
            1
        }


def test_cancelled_from_another_terminal_it_keeps_the_reply_under_way(slow: Bench) -> None:
    with slow.place() as place, slow.holding() as go_on:
        child = place.run()
        wait_until(lambda: asked(place, SLOW_STEP) == 1, "the slow reply")
        command = place.command("cancel", "last", "--json")
        wait_until(place.cancel_requested, "the wish to cancel, kept")
        go_on()
        told = command.wait()
        assert (told.code, told.object["status"]) == (0, "Cancelled")
        assert child.wait().code == 130
        assert "unknown" not in {row.state for row in place.entries()}
        # Taken up again, it is not cancelled again.
        finish(place)


def test_cancelled_now_the_call_is_cut_off(slow: Bench) -> None:
    with slow.place() as place, slow.holding() as go_on:
        child = place.run()
        wait_until(lambda: asked(place, SLOW_STEP) == 1, "the slow reply")
        told = place.command("cancel", "last", "--now", "--json").wait()
        assert (told.code, told.object["status"]) == (0, "Cancelled")
        ended = child.wait()
        assert (ended.code, ended.object["status"], ended.object["error"]) == (130, "Cancelled", None)
        assert "taken over" not in ended.err
        assert states(place, SLOW_STEP) == ["unknown"]
        assert not (place.workspace / "slug.py").exists()
        go_on()
        finish(place)
        assert (place.workspace / "slug.py").read_text() == SLUG


def test_what_somebody_else_wrote_meanwhile_is_not_written_over(bench: Bench) -> None:
    """Killed when slug.py is written but the journal does not know it yet; then a person writes that file."""
    with bench.place() as place:
        child = place.run(WINDLASS_TEST_KILL_BEFORE=f"{SLOW_STEP}/write[0]")
        assert child.wait().code == -signal.SIGKILL
        (place.workspace / "slug.py").write_text("mine = True\n")
        ended = place.command("resume", "last", "--yes", "--json").wait()
        assert ended.code == 1
        assert "slug.py" in ended.object["error"]
        assert "nothing was written" in ended.object["error"]
        assert (place.workspace / "slug.py").read_text() == "mine = True\n"


def test_resume_all(slow: Bench) -> None:
    with slow.place() as place:
        for number in (1, 2):
            child = place.run()
            wait_until(lambda n=number: asked(place, "design_step") == n, "the design")  # type: ignore[misc]
            child.send(signal.SIGKILL)
            child.wait()
        ended = place.command("resume", "--all", "--yes", "--json").wait()
        assert ended.code == 0, ended
        assert [run["status"] for run in ended.listed] == ["Success", "Success"]
        assert place.command("resume", "--all", "--json").wait().listed == []


def test_resume_all_leaves_alone_what_somebody_else_took_up_meanwhile(slow: Bench) -> None:
    with slow.place() as place:
        for number in (1, 2):
            child = place.run()
            wait_until(lambda n=number: asked(place, "design_step") == n, "the design")  # type: ignore[misc]
            child.send(signal.SIGKILL)
            child.wait()
        with slow.holding() as go_on:
            every = place.command("resume", "--all", "--yes")
            wait_until(lambda: asked(place, SLOW_STEP) == 1, "the slow reply")
            # It knows of both, and works on the first.
            told = place.command("cancel", "last", "--json").wait()
            assert (told.code, told.object["status"]) == (0, "Cancelled")
            go_on()
            ended = every.wait()
        assert ended.code == 0, ended
        assert "was taken up or ended by another process" in ended.err
        assert asked(place, "design_step") == 3
        shown = place.command("runs", "show", "last", "--json").wait()
        assert shown.object["status"] == "Cancelled"
