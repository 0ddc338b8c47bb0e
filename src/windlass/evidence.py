"""Statistics behind "this version is better": pure functions, no I/O.

Two versions are run on the same cases. A case both pass or both fail says nothing about which is better;
a *discordant* case does. With ``w`` cases only the new version passed and ``l`` only the old one, the
evidence is an E-value: a bet against "the new one is no better" that starts at 1 and, when the new one
is really no better, reaches 1/α with probability at most α however often one looks (Ville's inequality).
So it may be looked at after every case, and one may stop at any time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, Literal

#: Chance of promoting a version that is no better.
ALPHA = 0.05
#: Fewer discordant cases than this are never enough.
MIN_DISCORDANT = 5
#: No arm of a live experiment gets less than this share of the runs.
FLOOR = 0.10
#: Beyond this many more discordant cases no number is named.
_FORESEEABLE = 2048

Decision = Literal["promote", "too expensive", "worse", "not enough"]


def log_e_value(wins: int, losses: int) -> float:
    """Natural logarithm of :func:`e_value`, for counts whose E-value is beyond a float."""
    if wins < 0 or losses < 0:
        raise ValueError(f"Counts cannot be negative: {wins} wins, {losses} losses.")
    n = wins + losses
    # The mixture of θ/½ bets over θ uniform in (½, 1). Exact: integers until the last division.
    term, total = 1, 1
    for i in range(1, wins + 1):
        term = term * (n + 2 - i) // i
        total += term
    return _log(total) - _log((n + 1) * math.comb(n, wins))


def e_value(wins: int, losses: int) -> float:
    """Evidence that the new version is better, from discordant cases only; 20 is enough at α = 5 %.

    ``E = Σ_{i=0..w} C(n+1,i) / ((n+1)·C(n,w))`` with n = w + l: the likelihood of the observed order under
    a win chance uniform in (½, 1), against one of ½. Infinite beyond 1e308.
    """
    log = log_e_value(wins, losses)
    return math.exp(log) if log < 709 else math.inf


def beta_cdf(x: float, a: float, b: float) -> float:
    """P(X ≤ x) for X ~ Beta(a, b): the regularised incomplete beta function."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    # The continued fraction converges fast on this side of the mean only; the other side by symmetry.
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(x, a, b) / a
    return 1 - front * _beta_fraction(1 - x, b, a) / b


def _beta_fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of DLMF 8.17.22, evaluated from the front (modified Lentz)."""
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, 10_000):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + numerator * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + numerator / c
            c = c if abs(c) > tiny else tiny
            value *= d * c
        if abs(d * c - 1) < 1e-14:
            break
    return value


def beta_quantile(p: float, a: float, b: float) -> float:
    """The x with :func:`beta_cdf` (x, a, b) = p, by bisection, to 1e-12."""
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        if beta_cdf(middle, a, b) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def pass_interval(passes: int, fails: int, *, level: float = 0.95) -> tuple[float, float]:
    """Bounds that hold the true pass rate with probability ``level``, from a uniform prior."""
    tail = (1 - level) / 2
    return beta_quantile(tail, 1 + passes, 1 + fails), beta_quantile(1 - tail, 1 + passes, 1 + fails)


def probability_better(passes_a: int, fails_a: int, passes_b: int, fails_b: int) -> float:
    """P(rate of B > rate of A), both from a uniform prior and independent; shown, never decided on.

    Exact finite sum over the beta functions (E. Miller, "Formulas for Bayesian A/B testing", 2014).
    """
    aa, ba, ab, bb = 1 + passes_a, 1 + fails_a, 1 + passes_b, 1 + fails_b
    return math.fsum(
        math.exp(_lbeta(aa + i, ba + bb) - math.log(bb + i) - _lbeta(1 + i, bb) - _lbeta(aa, ba))
        for i in range(ab)
    )


def _lbeta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log(number: int) -> float:
    """math.log takes integers of any size, where float() would overflow."""
    return math.log(number)


@dataclass(frozen=True)
class Tally:
    """How one version did on the cases of a comparison. Errors are infrastructure, not answers."""

    version_no: int
    passes: int = 0
    fails: int = 0
    errors: int = 0
    cost_micro: int = 0
    #: Calls whose price is not known; their cost is not in ``cost_micro``.
    unpriced: int = 0

    @property
    def pass_rate(self) -> float | None:
        """Passes per case that was answered; None before the first."""
        answered = self.passes + self.fails
        return self.passes / answered if answered else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % bounds of the pass rate."""
        return pass_interval(self.passes, self.fails)

    @property
    def cost_per_success_micro(self) -> float | None:
        """Millionths of a USD spent per pass; None without a pass."""
        return self.cost_micro / self.passes if self.passes else None


@dataclass(frozen=True)
class Comparison:
    """The old version against the new one on the same cases.

    ``cost_cap`` is the highest allowed ratio of the new version's cost per success to the old one's;
    None allows any.
    """

    old: Tally
    new: Tally
    both: int = 0
    only_new: int = 0
    only_old: int = 0
    neither: int = 0
    alpha: float = ALPHA
    min_discordant: int = MIN_DISCORDANT
    cost_cap: float | None = None

    @property
    def pairs(self) -> int:
        """Cases that both versions answered."""
        return self.both + self.only_new + self.only_old + self.neither

    @property
    def discordant(self) -> int:
        """Cases that only one of them passed."""
        return self.only_new + self.only_old

    @property
    def e_value(self) -> float:
        """Evidence that the new version is better."""
        return e_value(self.only_new, self.only_old)

    @property
    def proven(self) -> bool:
        """Whether the new version is better at the stated error rate, leaving cost aside."""
        return self.discordant >= self.min_discordant and self._reached(self.only_new, self.only_old)

    @property
    def cost_ratio(self) -> float | None:
        """New cost per success over old; None when either is unknown."""
        if self.old.unpriced or self.new.unpriced:
            return None
        old, new = self.old.cost_per_success_micro, self.new.cost_per_success_micro
        return new / old if old and new is not None else None

    @property
    def within_cost(self) -> bool:
        """Whether the new version keeps to ``cost_cap``; unknown costs do not, unless there is no cap."""
        if self.cost_cap is None:
            return True
        if not self.new.unpriced and self.new.passes and not self.new.cost_micro:
            return True
        if not self.old.unpriced and not self.new.unpriced and not self.old.passes and self.new.passes:
            return self.new.cost_micro <= self.cost_cap * self.old.cost_micro
        return self.cost_ratio is not None and self.cost_ratio <= self.cost_cap

    @property
    def decision(self) -> Decision:
        """``promote`` only when proven and within cost."""
        if self.proven:
            return "promote" if self.within_cost else "too expensive"
        if self.discordant >= self.min_discordant and self._reached(self.only_old, self.only_new):
            return "worse"
        return "not enough"

    @property
    def verdict(self) -> str:
        """The decision as a sentence for a person."""
        old, new = f"version {self.old.version_no}", f"Version {self.new.version_no}"
        odds = f"{self.only_new} cases only it passed, {self.only_old} only {old} passed, E = {_short(self.e_value)}"
        if self.decision == "promote":
            return f"{new} is better than {old} ({odds}; {1 / self.alpha:.0f} is enough)."
        if self.decision == "too expensive":
            ratio = self.cost_ratio
            cost = "its cost is not known" if ratio is None else f"a success costs {ratio:.2f} times as much"
            return f"{new} is better than {old} ({odds}), but {cost} (cap {self.cost_cap:g})."
        if self.decision == "worse":
            return f"{new} is worse than {old} ({odds}): keep {old}."
        more = self.cases_needed()
        if more is None:
            hint = "no sign so far that it is better" if self.pairs else "no case was answered by both"
            return f"Not enough evidence: {hint} ({odds})."
        return f"Not enough evidence: about {more} more cases ({odds})."

    def cases_needed(self) -> int | None:
        """How many more cases would settle it if the trend held; None when it does not point upwards, or
        so little that thousands would be needed."""
        if self.proven:
            return 0
        if self.only_new <= self.only_old or not self.pairs:
            return None
        # One win and one loss are assumed beyond what was seen: small samples promise too much.
        share = (self.only_new + 1) / (self.discordant + 2)
        rate = (self.discordant + 1) / (self.pairs + 2)

        def enough(extra: int) -> bool:
            n, wins = self.discordant + extra, self.only_new + round(extra * share)
            return n >= self.min_discordant and self._reached(wins, n - wins)

        high = 1
        while not enough(high):
            high *= 2
            if high > _FORESEEABLE:
                return None
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        return _two_digits(math.ceil(high / rate))

    def _reached(self, wins: int, losses: int) -> bool:
        return log_e_value(wins, losses) >= -math.log(self.alpha)

    def to_json(self) -> dict[str, Any]:
        """JSON kept with a promotion; what can be worked out is included for readers."""
        e = self.e_value
        return {
            **asdict(self),
            "e_value": e if math.isfinite(e) else "inf",
            "decision": self.decision,
            "verdict": self.verdict,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Comparison:
        """The comparison that :meth:`to_json` described; derived entries are worked out again."""
        own = {key: data[key] for key in cls.__dataclass_fields__ if key not in ("old", "new")}
        return cls(old=Tally(**data["old"]), new=Tally(**data["new"]), **own)


def thompson_weights(
    tallies: Sequence[tuple[int, int]], rng: Random, *, floor: float = FLOOR, draws: int = 200
) -> list[float]:
    """Share of runs for each arm, from its (passes, fails): how often it wins a draw from the posteriors.

    No arm gets less than ``floor``; with so many arms that this cannot be, all get the same.
    """
    arms = len(tallies)
    if arms == 0 or floor * arms >= 1:
        return [1 / arms] * arms if arms else []
    wins = [0] * arms
    for _ in range(draws):
        sample = [rng.betavariate(1 + passes, 1 + fails) for passes, fails in tallies]
        wins[sample.index(max(sample))] += 1
    room = 1 - floor * arms
    return [floor + room * count / draws for count in wins]


def pick(weights: Sequence[float], point: float) -> int:
    """The arm that ``point`` in [0, 1) falls on when the weights are laid end to end."""
    total, at = math.fsum(weights), 0.0
    for arm, weight in enumerate(weights):
        at += weight / total
        if point < at:
            return arm
    return len(weights) - 1


def _two_digits(count: int) -> int:
    """Rounded up: an estimate should not look exact."""
    unit: int = 10 ** max(len(str(count)) - 2, 0)
    return -(-count // unit) * unit


def _short(value: float) -> str:
    return "over 1e308" if math.isinf(value) else f"{value:.3g}"
