"""The end of a call that meets the end of its caller, or a database that is away: what was paid for is kept."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bench.faults import settings

from windlass.app import App
from windlass.events import Event, WorkflowStatus
from windlass.journal import Entry, EntryState
from windlass.llm.base import BaseLLMIntegration, CallTags, Message, OnText, Price, Reply, Usage
from windlass.people import StopSignal

MESSAGE = {"message": "Hello?", "budget": "0.8"}


class Lock:
    """SQLite's write lock, taken by somebody else."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None

    def take(self) -> None:
        self._connection = sqlite3.connect(self._file, isolation_level=None)
        self._connection.execute("BEGIN IMMEDIATE")

    def give(self) -> None:
        assert self._connection is not None
        self._connection.execute("COMMIT")
        self._connection.close()


class Model(BaseLLMIntegration):
    """A reply costs $0.03, its worst case more than half of the budget."""

    model_name = "test:model"
    price = Price("fixed", Decimal(1000), Decimal(1000))
    max_output_tokens = 400

    def __init__(self, during: Callable[[OnText | None], Any] | None = None) -> None:
        self.requests = 0
        self._during = during

    async def request(
        self, messages: Sequence[Message], *, tags: CallTags | None = None, on_text: OnText | None = None
    ) -> Reply:
        self.requests += 1
        if self._during is not None and self.requests == 1:
            await self._during(on_text)
        return Reply("first half, second half", self.model_name, Usage(10, 20), Decimal("0.03"))


class Scene:
    """One run, its model, and somebody who locks the database."""

    def __init__(self, folder: Path, lock_timeout: float) -> None:
        self.folder = folder
        self.told = list[str]()
        self.statuses = list[str]()
        self.when_told: Callable[[], None] = lambda: None
        self.app = App(settings(folder / "home", "http://127.0.0.1:9/v1", lock_timeout=lock_timeout))
        self.lock = Lock(folder / "home" / "windlass.db")
        self.stop = StopSignal()

    async def make(self, model: Model) -> None:
        """Make the run, for this model."""
        self.app.integrations = dict.fromkeys(("main", "fast", "judge"), model)
        if not hasattr(self, "run_id"):
            (self.folder / "work").mkdir()
            self.run_id = (
                await self.app.create_run("chat", "Hello?", str(self.folder / "work"), MESSAGE)
            ).run_id

    async def go(self, model: Model, *, stream: bool = False) -> WorkflowStatus:
        await self.make(model)
        ended = await self.app.execute(self.run_id, stop=self.stop, stream=stream, listeners=[self._listen])
        return ended.status

    def _listen(self, event: Event) -> None:
        self.statuses.append(str(event.payload.get("status")))
        if event.name == "notice":
            self.told.append(event.payload["text"])
            self.when_told()

    async def calls(self) -> list[Entry]:
        return [entry for entry in await self.app.journal.entries(self.run_id) if entry.kind == "model"]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Callable[[float], Scene]]:
    made: list[Scene] = []

    def make(lock_timeout: float) -> Scene:
        made.append(Scene(tmp_path, lock_timeout))
        return made[-1]

    yield make
    for one in made:
        await one.app.close()


async def test_cut_off_while_a_whole_reply_waits_for_the_save_of_its_beginning(
    scene: Callable[[float], Scene],
) -> None:
    play = scene(30)
    whole = asyncio.Event()

    async def during(on_text: OnText | None) -> None:
        assert on_text is not None
        on_text("first half, ")
        play.lock.take()
        await asyncio.sleep(1.2)  # the text so far is saved each second; that save waits for the lock
        whole.set()

    model = Model(during)
    going = asyncio.ensure_future(play.go(model, stream=True))
    await whole.wait()
    await asyncio.sleep(0.1)
    play.stop.requested = True
    going.cancel()
    await asyncio.sleep(0.1)
    play.lock.give()
    await asyncio.gather(going, return_exceptions=True)
    (call,) = await play.calls()
    assert call.state is EntryState.DONE
    assert call.result["text"] == "first half, second half"
    play.stop = StopSignal()
    assert await play.go(model) is WorkflowStatus.Success
    assert model.requests == 1


async def test_a_reply_in_hand_outwaits_a_database_that_is_locked(scene: Callable[[float], Scene]) -> None:
    play = scene(0.2)

    async def during(_: OnText | None) -> None:
        while "in-progress" not in play.statuses:
            await asyncio.sleep(0.01)  # what the run has said so far is stored: only the reply meets the lock
        play.lock.take()

    # It is said, once, while it waits; then the lock is given back.
    play.when_told = play.lock.give
    model = Model(during)
    assert await play.go(model) is WorkflowStatus.Success
    assert model.requests == 1
    assert [call.state for call in await play.calls()] == [EntryState.DONE]
    (sentence,) = play.told
    assert "A reply that was paid for waits to be kept" in sentence


class Asked(Model):
    """Somebody takes the lock when the price is asked for: just before the attempt is claimed."""

    def __init__(self, lock: Lock, taken: asyncio.Event) -> None:
        super().__init__()
        self._lock = lock
        self._taken = taken

    @property
    def price(self) -> Price:  # type: ignore[override]
        if not self._taken.is_set():
            self._lock.take()
            self._taken.set()
        return Model.price


async def test_a_call_that_was_stopped_before_it_was_sent_owes_nothing(
    scene: Callable[[float], Scene],
) -> None:
    play, taken = scene(30), asyncio.Event()
    await play.make(Model())
    model = Asked(play.lock, taken)
    going = asyncio.ensure_future(play.go(model))
    await taken.wait()
    await asyncio.sleep(0.2)
    play.stop.requested = True
    going.cancel()
    await asyncio.sleep(0.2)
    play.lock.give()
    await asyncio.gather(going, return_exceptions=True)
    assert model.requests == 0
    assert [(call.state, call.cost_usd, call.reserved_usd) for call in await play.calls()] == [
        (EntryState.FAILED, Decimal(0), None)
    ]
    play.stop = StopSignal()
    assert await play.go(model) is WorkflowStatus.Success
    assert model.requests == 1


async def test_cut_off_again_and_again_an_attempt_keeps_what_had_come(
    scene: Callable[[float], Scene],
) -> None:
    play = scene(30)
    begun = asyncio.Event()

    async def during(on_text: OnText | None) -> None:
        assert on_text is not None
        on_text("first half, ")
        play.lock.take()
        begun.set()
        await asyncio.Event().wait()

    model = Model(during)
    going = asyncio.ensure_future(play.go(model, stream=True))
    await begun.wait()
    for _ in range(3):
        going.cancel()
        await asyncio.sleep(0.1)
    play.lock.give()
    await asyncio.gather(going, return_exceptions=True)
    (call,) = await play.calls()
    assert (call.state, call.partial) == (EntryState.UNKNOWN, "first half, ")


class Breaks(Model):
    """Its own code breaks, where it should say how a call failed, or gives a reply that no journal can hold."""

    def __init__(self, *, replies: bool) -> None:
        super().__init__()
        self._replies = replies

    async def request(
        self, messages: Sequence[Message], *, tags: CallTags | None = None, on_text: OnText | None = None
    ) -> Reply:
        reply = await super().request(messages)
        if self._replies:
            return replace(reply, detail={"no JSON": object()})
        raise RuntimeError("my client broke")


@pytest.mark.parametrize("replies", [False, True])
async def test_nobody_waits_for_ever_for_the_money_of_a_call_whose_model_broke(
    scene: Callable[[float], Scene], tmp_path: Path, replies: bool
) -> None:
    play, model = scene(30), Breaks(replies=replies)
    play.app.integrations = dict.fromkeys(("main", "fast", "judge"), model)
    work = tmp_path / "work"
    work.mkdir()
    for name in ("a.md", "b.md"):
        (work / name).write_text("A text.\n")
    options = {"message": "Shorten it.", "files": ["a.md", "b.md"], "budget": "1.6"}
    record = await play.app.create_run("auto", "two files", str(work), options)
    # The worst case of each is more than half of the budget: the second waits until the first has ended.
    ended = await asyncio.wait_for(play.app.execute(record.run_id), 30)
    assert ended.status is WorkflowStatus.Failure
    calls = [e for e in await play.app.journal.entries(record.run_id) if e.kind == "model"]
    if not replies:
        assert model.requests == 1
        assert [(c.state, c.cost_usd) for c in calls] == [(EntryState.FAILED, None)]
        assert calls[0].error == "RuntimeError: my client broke; it may have been paid"
        assert calls[0].reserved_usd is not None
