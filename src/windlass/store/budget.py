"""Budgets that several runs and processes share: set aside before a call, settled after it.

A *scope* is whatever has one cap: ``run:ID``, ``batch:ID``, ``day:2026-11-21``. A reservation counts in
all of its scopes or in none, and is decided in the transaction that keeps it, so a cap holds however
many processes reserve at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import bindparam, func, insert, literal_column, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from windlass.budget import usd
from windlass.errors import BudgetExceeded, NotFound
from windlass.ids import generate_id
from windlass.journal.base import Lease
from windlass.owners import is_held
from windlass.store.base import Database
from windlass.store.journal_rows import from_nano, to_nano
from windlass.store.runs import budget_reservations, budget_scopes, runs
from windlass.store.values import dump_json, load_json
from windlass.store.writer import writer_of

_OPEN, _SETTLED, _UNKNOWN = "open", "settled", "unknown"

_move = (
    update(budget_scopes)
    .where(budget_scopes.c.scope == bindparam("of_scope"))
    .values(
        reserved_nano_usd=budget_scopes.c.reserved_nano_usd + bindparam("reserved"),
        spent_nano_usd=budget_scopes.c.spent_nano_usd + bindparam("spent"),
    )
)
#: Spelled out, so that the index of the open ones serves.
_is_open = budget_reservations.c.state == literal_column("'open'")
_of_owner = (
    select(budget_reservations.c.reservation_id)
    .where(budget_reservations.c.owner == bindparam("of_owner"), _is_open)
    .order_by(budget_reservations.c.reservation_id)
)
#: What runs have set aside, and who holds each run. One that somebody settles just now is none of ours.
_of_runs = (
    select(budget_reservations.c.reservation_id, runs.c.owner.label("holder"), runs.c.lease_until)
    .select_from(budget_reservations)
    .outerjoin(runs, runs.c.run_id == func.substr(budget_reservations.c.owner, 5))
    .where(budget_reservations.c.owner.like("run:%"), _is_open)
    .order_by(budget_reservations.c.reservation_id)
    .with_for_update(of=budget_reservations, skip_locked=True)
)
_SERVER_NOW = text("SELECT extract(epoch FROM clock_timestamp())")


@dataclass(frozen=True)
class ScopeState:
    """What a scope has used, in USD. ``limit`` is the cap its last reservation named; None = none."""

    scope: str
    limit: Decimal | None
    reserved: Decimal
    spent: Decimal


class BudgetLedger:
    """Keeps the budgets of one database. Amounts are USD, kept to a nano-dollar; making one does no I/O."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = writer_of(database)
        dialect: Any = sqlite if database.is_sqlite else postgresql
        self._add_scope = dialect.insert(budget_scopes).on_conflict_do_nothing()

    async def reserve(
        self,
        scopes: Mapping[str, Decimal | None],
        amount: Decimal,
        *,
        owner: str,
        lease: Lease | None = None,
    ) -> str:
        """Set ``amount`` aside in every scope (name to cap, None = no cap); the reservation's id.

        Raises BudgetExceeded, having set nothing aside, when one scope has less left; LeaseLost when
        ``lease`` is given and void. ``owner`` is whose reservation it is, see :meth:`release_owner`.
        A caller cancelled while it waits has reserved nothing.
        """
        reservation_id = generate_id()
        nano = to_nano(amount, up=True) or 0
        limits = {scope: to_nano(limit) for scope, limit in sorted(scopes.items())}

        def set_aside(connection: Connection) -> None:
            self._admit(connection, limits, nano)
            row = {
                "reservation_id": reservation_id,
                "owner": owner,
                "scopes": dump_json(list(limits)),
                "amount_nano_usd": nano,
                "state": _OPEN,
                "created_at": time.time(),
            }
            connection.execute(insert(budget_reservations), row)

        try:
            await self._writer.call(set_aside, lease=lease)
        except asyncio.CancelledError:
            # It may be kept by now, or soon; the queue keeps its order, so this comes after it.
            self._writer.post(lambda connection: _settle(connection, reservation_id, 0))
            raise
        return reservation_id

    def _admit(self, connection: Connection, limits: Mapping[str, int | None], nano: int) -> None:
        """Add the amount to every scope, or raise BudgetExceeded."""
        new = {"limit_nano_usd": None, "reserved_nano_usd": 0, "spent_nano_usd": 0}
        connection.execute(self._add_scope, [{"scope": scope, **new} for scope in limits])
        # In one order, so that two processes cannot each wait for the other's row.
        query = select(budget_scopes).where(budget_scopes.c.scope.in_(limits)).order_by(budget_scopes.c.scope)
        for row in connection.execute(query.with_for_update()).mappings().all():
            limit = limits[row["scope"]]
            if limit is not None and row["spent_nano_usd"] + row["reserved_nano_usd"] + nano > limit:
                left = max(0, limit - row["spent_nano_usd"] - row["reserved_nano_usd"])
                raise BudgetExceeded(
                    f"The next call may cost up to {usd(from_nano(nano))}, and {usd(from_nano(left))} of the "
                    f"{usd(from_nano(limit))} for {row['scope']} is left; the call was not made. "
                    f"{_more(row['scope'])}"
                )
        connection.execute(_move, [{"of_scope": scope, "reserved": nano, "spent": 0} for scope in limits])
        caps = update(budget_scopes).where(budget_scopes.c.scope == bindparam("of_scope"))
        connection.execute(
            caps.values(limit_nano_usd=bindparam("cap")),
            [{"of_scope": scope, "cap": limit} for scope, limit in limits.items()],
        )

    async def settle(self, reservation_id: str, actual: Decimal | None) -> None:
        """Replace what was set aside by what was spent; None = not known: it counts in full.

        The true cost may still come later, once; settling again changes nothing. Raises NotFound for
        an id that was never given.
        """
        nano = to_nano(actual)
        await self._writer.call(lambda connection: _settle(connection, reservation_id, nano))

    async def release_owner(self, owner: str) -> int:
        """Count in full what a dead owner had set aside, for its calls may have been paid; how many."""

        def count(connection: Connection) -> int:
            ids = connection.execute(_of_owner, {"of_owner": owner}).scalars().all()
            for reservation_id in ids:
                _settle(connection, reservation_id, None)
            return len(ids)

        return await self._writer.call(count)

    async def settle_abandoned(self) -> int:
        """Count in full what runs had set aside that nobody works on any more; how many reservations.

        It is about owners named ``run:ID``: their run is gone, nobody holds it, its lease is over, or its process was
        one of this machine and is no more. Where that was a mistake, the true cost still takes its place later.
        """

        def count(connection: Connection) -> int:
            found = connection.execute(_of_runs).all()
            if not found:
                return 0
            now = time.time()
            if not self._database.is_sqlite:
                now = float(connection.execute(_SERVER_NOW).scalar_one())
            left = [row.reservation_id for row in found if not is_held(row.holder, row.lease_until, now)]
            for reservation_id in left:
                _settle(connection, reservation_id, None)
            return len(left)

        return await self._writer.call(count)

    async def state(self, scope: str) -> ScopeState:
        """What a scope has used; zeros for one never named."""

        def read(connection: Connection) -> ScopeState:
            row = connection.execute(
                select(budget_scopes).where(budget_scopes.c.scope == scope)
            ).one_or_none()
            if row is None:
                return ScopeState(scope, None, Decimal(0), Decimal(0))
            reserved, spent = from_nano(row.reserved_nano_usd), from_nano(row.spent_nano_usd)
            return ScopeState(
                scope, from_nano(row.limit_nano_usd), reserved or Decimal(0), spent or Decimal(0)
            )

        return await self._writer.call(read)

    def scoped(
        self, scopes: Mapping[str, Decimal | None], *, owner: str, lease: Lease | None = None
    ) -> ScopedLedger:
        """A :class:`windlass.budget.Ledger` that always reserves in these scopes, for this owner."""
        return ScopedLedger(self, dict(scopes), owner, lease)


@dataclass(frozen=True)
class ScopedLedger:
    """A :class:`BudgetLedger` with its scopes and owner filled in."""

    ledger: BudgetLedger
    scopes: Mapping[str, Decimal | None]
    owner: str
    lease: Lease | None = None

    async def reserve(self, amount: Decimal) -> str:
        """Set ``amount`` USD aside; its name. Raises BudgetExceeded."""
        return await self.ledger.reserve(self.scopes, amount, owner=self.owner, lease=self.lease)

    async def settle(self, ledger_id: str, actual: Decimal | None) -> None:
        """Replace what was set aside by what was spent; None = not known: it counts in full."""
        await self.ledger.settle(ledger_id, actual)


def _more(scope: str) -> str:
    if scope.startswith("day:"):
        return "Raise budget_per_day (WINDLASS_BUDGET_PER_DAY) and resume, or resume when the next day (UTC) has begun."
    return "Raise that budget and resume."


def _settle(connection: Connection, reservation_id: str, actual: int | None) -> None:
    mine = budget_reservations.c
    query = select(mine.scopes, mine.amount_nano_usd, mine.state).where(mine.reservation_id == reservation_id)
    row = connection.execute(query.with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"No money was set aside under {reservation_id!r}.")
    amount, state = row.amount_nano_usd, row.state
    if state == _OPEN:
        move = {"reserved": -amount, "spent": amount if actual is None else actual}
    elif state == _UNKNOWN and actual is not None:
        move = {"reserved": 0, "spent": actual - amount}
    else:
        return
    connection.execute(_move, [{"of_scope": scope, **move} for scope in load_json(row.scopes)])
    now = _UNKNOWN if actual is None else _SETTLED
    this = update(budget_reservations).where(mine.reservation_id == reservation_id)
    connection.execute(this.values(state=now))
