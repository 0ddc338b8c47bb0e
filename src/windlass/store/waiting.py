"""Callers on event loops who wait for a thread that serves many of them at once."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

#: Waiters woken in one turn of their event loop, so that a large group does not hold it up.
WAKE_LIMIT = 32
#: Seconds without a wish after which the thread gives back what it holds.
IDLE_SECONDS = 1.0


@dataclass
class Waiting:
    """One caller, and what came of its wish."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


W = TypeVar("W", bound=Waiting)


def take(
    wishes: queue.SimpleQueue[W | None], limit: int, *, idle: Callable[[], None]
) -> tuple[list[W], bool]:
    """Everything that is queued, once there is something; False with it when the queue was ended by None.

    ``idle`` is called when nothing came for a second.
    """
    group: list[W] = []
    try:
        wish = wishes.get(timeout=IDLE_SECONDS)
    except queue.Empty:
        idle()
        wish = wishes.get()
    while wish is not None:
        group.append(wish)
        if len(group) == limit or wishes.empty():
            return group, True
        wish = wishes.get()
    return group, False


def fail(group: Sequence[Waiting], error: BaseException) -> None:
    """Give every caller of the group the same error."""
    for one in group:
        one.result, one.error = None, error


def wake(group: Sequence[Waiting]) -> None:
    """Hand every caller its result or error, each on its own event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Waiting]] = {}
    for one in group:
        by_loop.setdefault(one.loop, []).append(one)
    for loop, callers in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, loop, callers, 0)
        except RuntimeError:  # the loop was closed: nobody waits any more
            continue


def _resolve(loop: asyncio.AbstractEventLoop, callers: list[Waiting], start: int) -> None:
    for one in callers[start : start + WAKE_LIMIT]:
        if one.future.done():
            continue  # its caller was cancelled
        if one.error is not None:
            one.future.set_exception(one.error)
        else:
            one.future.set_result(one.result)
    if start + WAKE_LIMIT < len(callers):
        loop.call_soon(_resolve, loop, callers, start + WAKE_LIMIT)
