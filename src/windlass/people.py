"""Who stands outside a run and steers it: what a person is asked and says, and the wish to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from windlass.errors import InputError, WindlassError
from windlass.journal import digest_of

T = TypeVar("T")

#: Why a step of a cancelled run was left out.
CANCELLED = "The run was cancelled."


class Interrupted(WindlassError):
    """The person asked to stop: no further effect begins. The run can be resumed."""

    exit_code = 130


class WaitingForPerson(WindlassError):
    """The run stops here until a person answers; everything so far is kept."""

    exit_code = 3

    def __init__(self, question: Question) -> None:
        super().__init__(question.text)
        self.question = question


@dataclass(frozen=True)
class Question:
    """What a person is asked. ``kind`` is ``requirement``, ``writes`` or ``repeat`` (a call that may have been paid);
    ``detail`` what to show with it."""

    path: str
    kind: str
    text: str
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Identifies the question; an answer is only good for the question it was given to."""
        return digest_of([self.kind, self.text, dict(self.detail)])


@dataclass(frozen=True)
class Answer:
    """What the person said: ``approve``, ``edit`` or ``answer`` (both with ``text``), or ``reject``."""

    action: str
    text: str = ""


#: What can be said to a question, by its kind; to one of a kind that is not named here, anything.
_ACTIONS: Mapping[str, Sequence[str]] = {
    "writes": ("approve", "reject"),
    "repeat": ("approve", "reject"),
}
_ALL_ACTIONS = ("approve", "reject", "edit", "answer")


def actions_for(kind: str) -> Sequence[str]:
    """What can be said to a question of this kind."""
    return _ACTIONS.get(kind, _ALL_ACTIONS)


def check_answer(kind: str, text: str, answer: Answer) -> None:
    """Refuse what is no answer to the question ``text``, before anything is kept. Raises InputError."""
    known = actions_for(kind)
    if answer.action not in known:
        raise InputError(
            f"The question {text!r} is answered with {', '.join(known[:-1])} or {known[-1]}, not with "
            f"{answer.action!r}."
        )
    if answer.action in ("edit", "answer") and not answer.text.strip():
        raise InputError(f"{answer.action!r} needs a text, and there is none.")


#: Asks the person at the terminal; None = nobody is there.
AskPerson = Callable[[Question], Awaitable[Answer | None]]


class StopSignal:
    """Set once a person asked to stop; effects under way finish, no new one begins.

    ``cancel`` True: the run then ends as Cancelled; False: it is interrupted, to go on later.
    """

    def __init__(self) -> None:
        self.cancel = False
        self._asked = asyncio.Event()

    @property
    def requested(self) -> bool:
        """Whether somebody asked. Set it in the event loop's own thread."""
        return self._asked.is_set()

    @requested.setter
    def requested(self, value: bool) -> None:
        if value:
            self._asked.set()
        else:
            self._asked.clear()

    async def wait(self) -> None:
        """Return once somebody asks."""
        await self._asked.wait()

    async def unless_asked(self, work: Awaitable[T]) -> T | None:
        """What ``work`` comes to; None where somebody asks before that, and the work is cancelled."""
        working, asked = asyncio.ensure_future(work), asyncio.ensure_future(self.wait())
        try:
            await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            working.cancel()
            asked.cancel()
            await asyncio.gather(working, asked, return_exceptions=True)
