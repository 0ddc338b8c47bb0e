"""How many calls a model gets at once and in a minute, shared by every run of the process."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from windlass.llm.base import BaseLLMIntegration

#: Seconds, from any starting point.
Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[object]]

_MINUTE = 60.0


@dataclass
class Ticket:
    """One admitted call: when it began, and its tokens, estimated until they are known."""

    at: float
    tokens: int


class Gate:
    """Admits calls to one model in the order they came."""

    def __init__(self, model: BaseLLMIntegration, clock: Clock, sleep: Sleep) -> None:
        self._concurrency = model.concurrency
        self._requests = model.requests_per_minute
        self._tokens = model.tokens_per_minute
        self._clock = clock
        self._sleep = sleep
        self._last_minute: deque[Ticket] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def admit(self, tokens: int) -> AsyncIterator[Ticket]:
        """Wait for a place, then hold it. ``tokens`` is the call's estimate; correct the ticket when they are known."""
        self._bind()
        if self._slots is None:
            yield await self._enter(tokens)
            return
        async with self._slots:
            yield await self._enter(tokens)

    def _bind(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # asyncio's locks serve one event loop; the count of the last minute outlives it.
            self._loop = loop
            self._turn = asyncio.Lock()
            self._slots = None if self._concurrency is None else asyncio.Semaphore(self._concurrency)

    async def _enter(self, tokens: int) -> Ticket:
        if self._requests is None and self._tokens is None:
            return Ticket(self._clock(), tokens)
        async with self._turn:
            while (wait := self._seconds_until_room(tokens)) > 0:
                await self._sleep(wait)
            ticket = Ticket(self._clock(), tokens)
            self._last_minute.append(ticket)
            return ticket

    def _seconds_until_room(self, tokens: int) -> float:
        now = self._clock()
        while self._last_minute and self._last_minute[0].at <= now - _MINUTE:
            self._last_minute.popleft()
        # A call that alone exceeds the limit goes once the minute is empty: the provider decides about it.
        if not self._last_minute:
            return 0.0
        crowded = self._requests is not None and len(self._last_minute) >= self._requests
        used = sum(ticket.tokens for ticket in self._last_minute)
        heavy = self._tokens is not None and used + tokens > self._tokens
        return self._last_minute[0].at + _MINUTE - now if crowded or heavy else 0.0


class Gates:
    """One :class:`Gate` per ``limits_key``, made when it is first needed."""

    def __init__(self, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._gates: dict[Hashable, Gate] = {}

    def of(self, model: BaseLLMIntegration) -> Gate:
        """The gate of that model."""
        if (
            model.concurrency is None
            and model.requests_per_minute is None
            and model.tokens_per_minute is None
        ):
            return Gate(model, self._clock, self._sleep)  # holds nobody back, so there is nothing to remember
        key = model.limits_key
        if key not in self._gates:
            self._gates[key] = Gate(model, self._clock, self._sleep)
        return self._gates[key]
