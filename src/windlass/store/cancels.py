"""Whether a person wants a run to end: one look at the database for all the runs that ask together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Connection

from windlass.store.runs import runs

#: Seconds that the first to ask waits for others.
GATHER_SECONDS = 0.25

_ASKED = select(runs.c.run_id).where(
    runs.c.run_id.in_(bindparam("run_ids", expanding=True)), runs.c.cancel_requested.is_(True)
)

Read = Callable[[Callable[[Connection], set[str]]], Awaitable[set[str]]]


@dataclass
class _Round:
    """One look, and the runs it is for."""

    loop: asyncio.AbstractEventLoop
    run_ids: set[str] = field(default_factory=set)
    look: asyncio.Task[set[str]] | None = None


class Cancels:
    """Answers hundreds of runs that each ask every second with one small query a second."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._round: _Round | None = None

    async def asked(self, run_id: str) -> bool:
        """Whether somebody asked this run to end; False for one that is gone. Raises StoreError."""
        loop = asyncio.get_running_loop()
        current = self._round
        if current is None or current.loop is not loop or current.look is None or current.look.done():
            current = self._round = _Round(loop)
            current.look = loop.create_task(self._look(current))
            # What went wrong is told to those who still wait for it.
            current.look.add_done_callback(lambda look: look.cancelled() or look.exception())
        assert current.look is not None
        current.run_ids.add(run_id)
        return run_id in await asyncio.shield(current.look)

    async def _look(self, current: _Round) -> set[str]:
        await asyncio.sleep(GATHER_SECONDS)
        if self._round is current:
            self._round = None
        return await self._read(lambda connection: asked_of(connection, current.run_ids))

    async def close(self) -> None:
        """Give up a look that has not begun."""
        current, self._round = self._round, None
        if current is not None and current.look is not None and current.loop is asyncio.get_running_loop():
            current.look.cancel()
            await asyncio.gather(current.look, return_exceptions=True)


def asked_of(connection: Connection, run_ids: Collection[str]) -> set[str]:
    """Those of the runs that somebody asked to end."""
    return set(connection.execute(_ASKED, {"run_ids": sorted(run_ids)}).scalars())
