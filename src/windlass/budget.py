"""Money set aside before a call and settled after it, so that a cap is never passed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol

from windlass.errors import BudgetExceeded
from windlass.llm.base import BaseLLMIntegration, Message, Price

#: Tokens that a provider may add around each message.
_TOKENS_PER_MESSAGE = 16
#: Who waits for money looks this often (seconds) whether it was left behind by runs that nobody works on.
LOOK_SECONDS = 2.0


def worst_case(model: BaseLLMIntegration, messages: Sequence[Message]) -> Decimal | None:
    """The most that a call can cost in USD; None when the model's price is not known.

    A byte-level tokenizer never makes more tokens than there are bytes, and the reply is bounded by
    the ``max_output_tokens`` that is sent with the request.
    """
    price: Price = model.price
    if price.policy == "free":
        return Decimal(0)
    if price.input_per_million is None or price.output_per_million is None:
        return None
    sent = sum(len(m.content.encode("utf-8", "replace")) + _TOKENS_PER_MESSAGE for m in messages)
    input_rate = max(price.input_per_million, price.cached_per_million or Decimal(0))
    return (sent * input_rate + model.max_output_tokens * price.output_per_million) / Decimal(1_000_000)


@dataclass(frozen=True)
class Reservation:
    """Money set aside for one call, in USD; ``ledger_id`` names it in a shared ledger."""

    amount: Decimal | None
    ledger_id: str | None = None


class Ledger(Protocol):
    """A budget that several runs or processes share."""

    async def reserve(self, amount: Decimal) -> str:
        """Set ``amount`` USD aside; its name. Raises BudgetExceeded."""

    async def settle(self, ledger_id: str, actual: Decimal | None) -> None:
        """Replace what was set aside by what was spent; None = not known: it counts in full."""


class ScopeState(Protocol):
    """What a scope of a shared budget has used, in USD."""

    @property
    def spent(self) -> Decimal: ...

    @property
    def reserved(self) -> Decimal: ...


class Scopes(Protocol):
    """Budgets by name (``day:2026-11-21``, ``batch:…``) that all processes of one database share."""

    async def reserve(self, scopes: Mapping[str, Decimal | None], amount: Decimal, *, owner: str) -> str:
        """Set ``amount`` USD aside in every scope (name to cap) or in none. Raises BudgetExceeded."""

    async def settle(self, reservation_id: str, actual: Decimal | None) -> None:
        """Replace what was set aside by what was spent; None = not known: it counts in full."""

    async def release_owner(self, owner: str) -> int:
        """Count in full what a dead owner had set aside; how many."""

    async def settle_abandoned(self) -> int:
        """Count in full what runs had set aside that nobody works on any more; how many."""

    async def state(self, scope: str) -> ScopeState:
        """What a scope has used."""


@dataclass(frozen=True)
class SharedBudget:
    """A :class:`Ledger`: the caps that a run shares with others, named ``caps`` and the day's (UTC), in USD.

    Where only other calls under way stand in the way, a reservation waits for them, at most ``patience``
    seconds: they mostly cost far less than their worst case. What killed runs left set aside is not waited for: it
    counts in full. ``say`` is told once a budget that the run waits, in a sentence, and for which budget.
    """

    scopes: Scopes
    owner: str
    caps: Mapping[str, Decimal] = field(default_factory=dict)
    per_day: Decimal | None = None
    clock: Callable[[], float] = time.time
    patience: float = 900.0
    pause: float = 0.25
    say: Callable[[str, str], None] | None = None
    #: A wait shorter than this (seconds) is not worth a word.
    quiet: float = 1.0
    _told: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    async def reserve(self, amount: Decimal) -> str:
        """Set the amount aside in every scope. Raises BudgetExceeded."""
        began = time.monotonic()
        looked_at: float | None = None
        while True:
            caps = self._caps()
            try:
                return await self.scopes.reserve(caps, amount, owner=self.owner)
            except BudgetExceeded:
                now = time.monotonic()
                if now - began > self.patience:
                    raise
                if looked_at is None or now - looked_at > LOOK_SECONDS:
                    looked_at = now
                    await self.scopes.settle_abandoned()
                if not await self._may_fit(caps, amount, tell=now - began >= self.quiet):
                    raise
            await asyncio.sleep(self.pause * (0.5 + random.random()))

    async def settle(self, ledger_id: str, actual: Decimal | None) -> None:
        """The call ended."""
        await self.scopes.settle(ledger_id, actual)

    def _caps(self) -> dict[str, Decimal | None]:
        caps: dict[str, Decimal | None] = dict(self.caps)
        if self.per_day is not None:
            caps[f"day:{datetime.fromtimestamp(self.clock(), UTC).date().isoformat()}"] = self.per_day
        return caps

    async def _may_fit(self, caps: Mapping[str, Decimal | None], amount: Decimal, *, tell: bool) -> bool:
        """Whether it fits once all calls under way have ended, should they cost nothing."""
        short = []
        for scope, cap in caps.items():
            if cap is None:
                continue
            state = await self.scopes.state(scope)
            if state.spent + amount > cap:
                return False
            if state.spent + state.reserved + amount > cap:
                short.append((scope, cap, state))
        for scope, cap, state in short if tell and self.say is not None else ():
            if scope not in self._told:
                self._told.add(scope)
                assert self.say is not None
                self.say(_waiting(scope, cap, state, amount, self.patience), scope)
        return True


def _waiting(scope: str, cap: Decimal, state: ScopeState, amount: Decimal, patience: float) -> str:
    left = max(Decimal(0), cap - state.spent - state.reserved)
    return (
        f"Waiting for money: the next call may cost up to {usd(amount)}, and {usd(left)} of the {usd(cap)} for {scope} is "
        f"free while calls under way have {usd(state.reserved)} set aside. It goes on once they cost less than that, or "
        f"gives up after {patience / 60:.0f} minutes; to wait no longer, stop the run, raise that budget and resume."
    )


class Budget:
    """One run's cap. ``limit`` is USD, None for no cap; ``spent`` what earlier attempts cost or may have cost."""

    def __init__(
        self,
        limit: Decimal | None = None,
        *,
        allow_unknown_price: bool = False,
        spent: Decimal = Decimal(0),
        ledger: Ledger | None = None,
    ) -> None:
        self.limit = limit
        self.allow_unknown_price = allow_unknown_price
        self.spent = spent
        self.reserved = Decimal(0)
        self._ledger = ledger
        self._settled = asyncio.Event()

    @property
    def left(self) -> Decimal | None:
        """USD that can still be set aside; None = no cap."""
        return None if self.limit is None else self.limit - self.spent - self.reserved

    @property
    def shared(self) -> bool:
        """Whether some of the caps are shared with other runs."""
        return self._ledger is not None

    @property
    def capped(self) -> bool:
        """Whether anything bounds what may be spent."""
        return self.limit is not None or self._ledger is not None

    def check_price(self, model: BaseLLMIntegration) -> None:
        """Raises BudgetExceeded when a cap is set and the model's price is not known."""
        if self.capped and not self.allow_unknown_price and worst_case(model, []) is None:
            raise BudgetExceeded(
                f"The price of {model.model_name} is not known, so a budget cannot be kept; state a price for it in "
                "windlass.toml, or add --allow-unknown-price to run it without the cap counting its calls."
            )

    async def reserve(self, model: BaseLLMIntegration, messages: Sequence[Message]) -> Reservation:
        """Set the worst case aside. Raises BudgetExceeded when it does not fit; then nothing is set aside."""
        self.check_price(model)
        amount = worst_case(model, messages)
        if amount is None:
            return Reservation(None)
        while (left := self.left) is not None and amount > left:
            if self.reserved and self.limit is not None and self.spent + amount <= self.limit:
                # Only calls under way stand in the way, and they mostly cost far less than their worst case.
                await self._settled.wait()
                continue
            raise BudgetExceeded(
                f"The next call to {model.model_name} may cost up to {usd(amount)}, and {usd(left)} of the budget of "
                f"{usd(self.limit or Decimal(0))} is left; the call was not made. Give a larger --budget and resume."
            )
        # No await between the check above and this line: that makes it atomic in one process.
        self.reserved += amount
        if self._ledger is None:
            return Reservation(amount)
        try:
            return Reservation(amount, await self._ledger.reserve(amount))
        except BaseException:
            # Also when cancelled: what no ledger holds must not stay set aside here.
            self.reserved -= amount
            self._wake()
            raise

    async def settle(self, reservation: Reservation, actual: Decimal | None, *, paid: bool = True) -> None:
        """The call ended. ``actual`` None = its cost is not known: all that was set aside counts as spent.

        ``paid`` False = the call certainly cost nothing.
        """
        cost = Decimal(0) if not paid else actual
        if reservation.amount is not None:
            self.reserved -= reservation.amount
            self.spent += reservation.amount if cost is None else cost
        elif cost is not None:
            self.spent += cost
        self._wake()
        if self._ledger is not None and reservation.ledger_id is not None:
            await self._ledger.settle(reservation.ledger_id, cost)

    def _wake(self) -> None:
        self._settled.set()
        self._settled = asyncio.Event()


def usd(amount: Decimal | None) -> str:
    """An amount for a person: ``$0.0312``, ``$1.20``, ``$0`` or ``cost unknown``."""
    if amount is None:
        return "cost unknown"
    if amount == 0:
        return "$0"
    if amount >= 1:
        return f"${amount:.2f}"
    return f"${amount:.4f}" if amount >= Decimal("0.0001") else "<$0.0001"
