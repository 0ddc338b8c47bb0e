"""The statistics, against exact or independent computations."""

import json
import math
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.evidence import (
    Comparison,
    Tally,
    beta_cdf,
    beta_quantile,
    e_value,
    log_e_value,
    pass_interval,
    pick,
    probability_better,
    thompson_weights,
)

relaxed = settings(deadline=None)  # the machine may be busy
small = st.integers(0, 60)


def exact_e(wins, losses):
    """The design's formula in fractions."""
    n = wins + losses
    return Fraction(sum(math.comb(n + 1, i) for i in range(wins + 1)), (n + 1) * math.comb(n, wins))


@relaxed
@given(small, small)
def test_e_value_is_the_formula(wins, losses):
    assert e_value(wins, losses) == pytest.approx(float(exact_e(wins, losses)), rel=1e-12)


@relaxed
@given(small, small)
def test_e_value_is_a_fair_game_against_no_difference(wins, losses):
    # Between two even outcomes the expected evidence does not grow: the ground of Ville's inequality.
    assert (exact_e(wins + 1, losses) + exact_e(wins, losses + 1)) / 2 == exact_e(wins, losses)


def test_e_value_at_landmarks():
    assert e_value(0, 0) == 1
    assert e_value(5, 0) == pytest.approx(10.5)
    assert e_value(6, 0) < 20 < e_value(7, 0)
    assert e_value(0, 10) < 0.1
    assert e_value(2000, 0) == math.inf
    assert log_e_value(5000, 100) > 700
    with pytest.raises(ValueError, match="negative"):
        e_value(-1, 0)


@relaxed
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.001, 0.999))
def test_beta_cdf_is_the_binomial_tail(a, b, x):
    n = a + b - 1
    tail = math.fsum(math.comb(n, i) * x**i * (1 - x) ** (n - i) for i in range(a, n + 1))
    assert beta_cdf(x, a, b) == pytest.approx(tail, abs=1e-10)


def test_beta_at_the_ends():
    assert [beta_cdf(x, 2, 3) for x in (-1, 0, 1, 2)] == [0, 0, 1, 1]
    assert beta_quantile(0.5, 7, 7) == pytest.approx(0.5)


@relaxed
@given(st.integers(0, 300), st.integers(0, 300))
def test_the_interval_holds_95_percent(passes, fails):
    low, high = pass_interval(passes, fails)
    assert 0 <= low < high <= 1
    inside = beta_cdf(high, 1 + passes, 1 + fails) - beta_cdf(low, 1 + passes, 1 + fails)
    assert inside == pytest.approx(0.95, abs=1e-6)


def test_probability_better_against_sampling():
    draw = Random(3)
    wins = sum(draw.betavariate(41, 11) > draw.betavariate(31, 21) for _ in range(40_000))
    assert probability_better(30, 20, 40, 10) == pytest.approx(wins / 40_000, abs=0.01)
    assert probability_better(5, 5, 5, 5) == pytest.approx(0.5)
    assert probability_better(0, 0, 0, 0) == pytest.approx(0.5)


def comparison(only_new, only_old, both=0, neither=0, *, old_cost=100, new_cost=100, cap=None, **more):
    return Comparison(
        Tally(1, both + only_old, only_new + neither, cost_micro=old_cost),
        Tally(2, both + only_new, only_old + neither, cost_micro=new_cost),
        both,
        only_new,
        only_old,
        neither,
        cost_cap=cap,
        **more,
    )


@pytest.mark.parametrize(
    ("made", "decision", "words"),
    [
        (comparison(7, 0), "promote", "Version 2 is better than version 1 (7 cases only it passed"),
        (comparison(6, 0), "not enough", "Not enough evidence: about"),
        (comparison(0, 7), "worse", "Version 2 is worse than version 1"),
        (comparison(0, 0, 50), "not enough", "no sign so far that it is better"),
        (comparison(0, 0), "not enough", "no case was answered by both"),
        (comparison(4, 0, alpha=0.2), "not enough", "about"),  # E = 6.2 > 5, but four cases are too few
        (comparison(5, 0, alpha=0.2), "promote", "5 is enough"),
        (comparison(20, 2, 10, new_cost=1000, cap=2.0), "too expensive", "times as much (cap 2)"),
        (comparison(20, 2, 10, new_cost=200, cap=2.0), "promote", "better"),
    ],
)
def test_decisions(made, decision, words):
    assert made.decision == decision
    assert words in made.verdict


def test_unknown_prices_do_not_pass_a_cost_cap():
    old, new = Tally(1, 0, 10, unpriced=3), Tally(2, 10, 0, cost_micro=5)
    assert Comparison(old, new, only_new=10, cost_cap=9.0).decision == "too expensive"
    assert "its cost is not known" in Comparison(old, new, only_new=10, cost_cap=9.0).verdict
    assert Comparison(old, new, only_new=10).decision == "promote"


def test_an_old_version_without_a_success_is_compared_by_what_it_cost():
    old = Tally(1, 0, 10, cost_micro=100)
    cheap, dear = Tally(2, 10, 0, cost_micro=150), Tally(2, 10, 0, cost_micro=250)
    assert Comparison(old, cheap, only_new=10, cost_cap=2.0).decision == "promote"
    assert Comparison(old, dear, only_new=10, cost_cap=2.0).decision == "too expensive"


def test_free_models_pass_any_cost_cap():
    assert comparison(10, 0, old_cost=0, new_cost=0, cap=1.0).decision == "promote"


@relaxed
@given(small, small, small, small)
def test_json_gives_back_an_equal_comparison(only_new, only_old, both, neither):
    made = comparison(only_new, only_old, both, neither, cap=1.5)
    assert Comparison.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_json_of_overwhelming_evidence_is_still_json():
    made = comparison(3000, 0)
    assert json.loads(json.dumps(made.to_json(), allow_nan=False))["e_value"] == "inf"


def test_about_how_many_more_cases():
    few = comparison(6, 1, 10, 3).cases_needed()
    more = comparison(6, 4, 10, 3).cases_needed()
    assert 1 <= few < more
    assert comparison(3, 3).cases_needed() is None
    assert comparison(9, 0).cases_needed() == 0


def test_thompson_weights():
    assert thompson_weights([], Random(1)) == []
    even = thompson_weights([(0, 0), (0, 0)], Random(1))
    assert even[0] == pytest.approx(0.5, abs=0.1)
    clear = thompson_weights([(5, 95), (95, 5)], Random(1))
    assert clear == pytest.approx([0.1, 0.9])
    three = thompson_weights([(0, 50), (50, 0), (0, 50)], Random(1))
    assert three == pytest.approx([0.1, 0.8, 0.1])
    assert sum(three) == pytest.approx(1)
    assert thompson_weights([(0, 9)] * 12, Random(1)) == [1 / 12] * 12


@relaxed
@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=5), st.floats(0, 1, exclude_max=True))
def test_pick_lays_the_weights_end_to_end(weights, point):
    arm = pick(weights, point)
    shares = [weight / sum(weights) for weight in weights]
    assert sum(shares[:arm]) <= point + 1e-9
    assert point < sum(shares[: arm + 1]) + 1e-9


def test_false_promotion_stays_below_alpha_though_looked_at_after_every_pair():
    """A small version of bench/promotion.py."""
    draw, promoted = Random(5), 0
    for _ in range(400):
        wins = losses = 0
        for _ in range(150):
            old, new = draw.random() < 0.6, draw.random() < 0.6
            wins, losses = wins + (new and not old), losses + (old and not new)
            if wins + losses >= 5 and log_e_value(wins, losses) >= math.log(20):
                promoted += 1
                break
    assert promoted / 400 <= 0.05
