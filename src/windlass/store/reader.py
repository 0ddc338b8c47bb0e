"""Threads that read for the event loop: all the questions that are queued share one connection's turn.

A thread hop, a connection and a transaction for each small read cost five times the read itself.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.engine import Connection

from windlass.errors import WindlassError
from windlass.store.base import Database
from windlass.store.held import Held
from windlass.store.waiting import Waiting, fail, take, wake

T = TypeVar("T")

#: Two, so that one long history being read does not hold up every other reader.
_THREADS = 2
#: Questions answered in one turn.
_GROUP_LIMIT = 64


@dataclass(kw_only=True)
class _Question(Waiting):
    query: Callable[[Connection], Any]


class Reader:
    """Answers questions to one database. Each sees everything that was committed before it was asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    async def ask(self, query: Callable[[Connection], T]) -> T:
        """What ``query`` returns, called in one of the threads. It may be called again after an error."""
        loop = asyncio.get_running_loop()
        question = _Question(loop, loop.create_future(), query=query)
        with self._lock:
            while len(self._threads) < _THREADS:
                thread = threading.Thread(
                    target=self._work, args=(self._questions,), name="windlass-reader", daemon=True
                )
                thread.start()
                self._threads.append(thread)
            self._questions.put(question)
        answer: T = await question.future
        return answer

    async def close(self) -> None:
        """Answer what is queued and end the threads; a later question starts others."""
        with self._lock:
            threads, self._threads = self._threads, []
            questions, self._questions = self._questions, queue.SimpleQueue()
            for _ in threads:
                questions.put(None)
        for thread in threads:
            await asyncio.to_thread(thread.join)

    def _work(self, questions: queue.SimpleQueue[_Question | None]) -> None:
        more = True
        held = Held(self._database)
        while more:
            group, more = take(questions, _GROUP_LIMIT, idle=held.close)
            self._answer(held, group)
            wake(group)
        held.close()

    def _answer(self, held: Held, group: list[_Question]) -> None:
        if not group:
            return
        try:
            with held.reading() as connection:
                for question in group:
                    try:
                        question.result = question.query(connection)
                    except WindlassError as error:
                        question.error = error
        except Exception as error:
            # Whatever it is: the thread must live on, and the caller it belongs to must hear of it.
            if len(group) == 1:
                fail(group, error)
                return
            for question in group:
                question.result = question.error = None
                self._answer(held, [question])
