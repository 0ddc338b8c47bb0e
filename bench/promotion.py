"""How often a promotion rule is wrong, and how often it finds a real improvement.

Each simulated comparison runs both versions on up to 200 cases and looks after every pair. Beside the rule
Windlass promotes by stands the common one, "P(B > A) ≥ 0.95" from independent Beta posteriors, looked at as
often. ``rho`` is how much of a case's difficulty both versions share.

    python bench/promotion.py [--runs 3000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from statistics import NormalDist, median

from windlass.evidence import ALPHA, MIN_DISCORDANT, log_e_value, probability_better

PAIRS = 200
NORMAL = NormalDist()


@cache
def _proves(wins: int, losses: int) -> bool:
    return wins + losses >= MIN_DISCORDANT and log_e_value(wins, losses) >= -math.log(ALPHA)


@cache
def _likely(a: int, b: int, n: int) -> bool:
    return n >= 5 and probability_better(a, n - a, b, n - b) >= 0.95


def e_value_rule(both: int, only_new: int, only_old: int, n: int) -> bool:
    """Windlass: E ≥ 1/α on at least five discordant pairs."""
    return _proves(only_new, only_old)


def posterior_rule(both: int, only_new: int, only_old: int, n: int) -> bool:
    """The common rule: P(B > A) ≥ 0.95, from five cases on."""
    return _likely(both + only_old, both + only_new, n)


def promoted_after(rule: Callable[..., bool], old: float, new: float, rho: float, draw: Random) -> int | None:
    """The pair after which the rule promotes; None when it never does."""
    threshold_old, threshold_new = NORMAL.inv_cdf(old), NORMAL.inv_cdf(new)
    shared, own = math.sqrt(rho), math.sqrt(1 - rho)
    both = only_new = only_old = 0
    for n in range(1, PAIRS + 1):
        difficulty = shared * draw.gauss(0, 1)
        a = difficulty + own * draw.gauss(0, 1) < threshold_old
        b = difficulty + own * draw.gauss(0, 1) < threshold_new
        both, only_new, only_old = both + (a and b), only_new + (b and not a), only_old + (a and not b)
        if rule(both, only_new, only_old, n):
            return n
    return None


SETTINGS = [
    # name, true pass rate of the old and of the new version, shared difficulty
    ("equal, 60 %, unrelated", 0.60, 0.60, 0.0),
    ("equal, 60 %, same cases", 0.60, 0.60, 0.7),
    ("equal, 90 %, unrelated", 0.90, 0.90, 0.0),
    ("worse, 60 % → 50 %", 0.60, 0.50, 0.7),
    ("better, 60 % → 75 %, unrelated", 0.60, 0.75, 0.0),
    ("better, 60 % → 75 %, same cases", 0.60, 0.75, 0.7),
    ("better, 60 % → 80 %, same cases", 0.60, 0.80, 0.7),
]


def main() -> None:
    """Run the simulation and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results = []
    print(f"{arguments.runs} comparisons each, looked at after every pair, at most {PAIRS} pairs\n")
    print(f"{'true rates':<34}{'E ≥ 20':>10}{'pairs':>8}{'P(B>A) ≥ .95':>16}{'pairs':>8}")
    for name, old, new, rho in SETTINGS:
        row: dict[str, object] = {"setting": name, "old": old, "new": new, "rho": rho}
        line = f"{name:<34}"
        for rule, width in ((e_value_rule, 10), (posterior_rule, 16)):
            draw = Random(7)
            found = [promoted_after(rule, old, new, rho, draw) for _ in range(arguments.runs)]
            ended = [after for after in found if after is not None]
            row[rule.__name__] = len(ended) / arguments.runs
            row[rule.__name__ + "_median_pairs"] = median(ended) if ended else None
            line += f"{len(ended) / arguments.runs:>{width}.1%}{median(ended) if ended else '–':>8}"
        results.append(row)
        print(line, flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"runs": arguments.runs, "results": results}, indent=1) + "\n")
    wrong = max(float(str(row["e_value_rule"])) for row in results if row["old"] == row["new"])
    if wrong > ALPHA:
        raise SystemExit(f"False promotion {wrong:.1%} is above {ALPHA:.0%}.")


if __name__ == "__main__":
    main()
