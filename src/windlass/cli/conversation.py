"""A conversation at the terminal: its exchanges, files and model, each turn a run of its own."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.cli.outcome import counted
from windlass.errors import InputError
from windlass.events import Event, WorkflowStatus
from windlass.owners import is_interrupted, owner_name, take

if TYPE_CHECKING:
    from windlass.app import App
    from windlass.journal import Entry, RunRecord

Say = Callable[[str], None]
#: More runs than anybody has.
_ALL = 1_000_000


@dataclass(frozen=True)
class Turn:
    """A message and its answer; ``run`` is the run that gave it."""

    run: str
    message: str
    answer: str

    def to_dict(self) -> dict[str, str]:
        """As a run's options hold it."""
        return {"run": self.run, "message": self.message, "answer": self.answer}


@dataclass(frozen=True)
class Cost:
    """What model calls cost as their journals have it, in USD.

    ``maybe`` is the worst case of those whose outcome nobody knows: they may have been paid. ``unpriced`` counts those of
    which nothing is known, not even a worst case.
    """

    known: Decimal = Decimal(0)
    maybe: Decimal = Decimal(0)
    unpriced: int = 0
    tokens: int = 0

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Cost:
        """The cost of all attempts among these."""
        calls = [entry for entry in entries if entry.kind == "model"]
        open_ = [call for call in calls if call.cost_usd is None]
        return cls(
            known=sum((call.cost_usd for call in calls if call.cost_usd is not None), Decimal(0)),
            maybe=sum((call.reserved_usd or Decimal(0) for call in open_), Decimal(0)),
            unpriced=sum(call.reserved_usd is None for call in open_),
            tokens=sum((call.input_tokens or 0) + (call.output_tokens or 0) for call in calls),
        )

    @property
    def most(self) -> Decimal:
        """What a budget counts."""
        return self.known + self.maybe

    def __str__(self) -> str:
        if self.unpriced and not self.most:
            return "cost unknown"
        told = f"${self.known:.4f}"
        if self.maybe:
            told += f", up to ${self.maybe:.4f} more may have been paid"
        if self.unpriced:
            told += f", the cost of {counted(self.unpriced, 'call')} is not known"
        return told


@dataclass
class Conversation:
    """What has been said, and with what the next message is sent."""

    app: App
    workspace: str
    id: str
    options: dict[str, Any]
    files: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)
    #: A message whose run has not been answered yet.
    unanswered: str | None = None
    #: Every run of the conversation, also those that failed, were interrupted or undone: all of them count.
    runs: list[str] = field(default_factory=list)
    #: The run that the conversation goes on from: that of the last message, or the one it was taken up at.
    head: str | None = None
    #: Whether the person asked to stop while the last message was answered.
    stopped: bool = False

    async def ask(self, message: str, on_text: Callable[[str], None], say: Say) -> WorkflowStatus:
        """Send a message; Success when an answer came. What came of it is in ``turns`` or ``unanswered``."""
        return await self._answer(await self._send(message), on_text, say)

    async def _send(self, message: str) -> str:
        """The run that is to answer a message."""
        options = await self._options(message)
        record = await self.app.create_run("chat", message, self.workspace, options)
        self.runs.append(record.run_id)
        self.unanswered = self.head = record.run_id
        return record.run_id

    async def go_on(self, on_text: Callable[[str], None], say: Say) -> WorkflowStatus:
        """Get the answer to the message that has none, within the budget as it is now; from the model as it is now, too,
        in a run of its own where it is another."""
        assert self.unanswered is not None
        before = await self.app.journal.get_run(self.unanswered, whole=True)
        if before.options.get("model") != self.options.get("model"):
            run = await self._send(before.options["message"])
            if is_interrupted(before):
                # Or "resume --all" would ask the other model, and pay, too.
                await self.app.cancel(before.run_id)
            return await self._answer(run, on_text, say)
        changes = await self._bounds(self.unanswered)
        if changes:
            await self.app.prepare_resume(self.unanswered, changes=changes)
        return await self._answer(self.unanswered, on_text, say)

    async def _answer(self, run: str, on_text: Callable[[str], None], say: Say) -> WorkflowStatus:
        from windlass.people import StopSignal

        stop = StopSignal()

        def listen(event: Event) -> None:
            if event.name == "text":
                on_text(event.payload["delta"])
            elif event.name == "text_reset":
                say("(the answer broke off; it begins again)")
            elif event.name == "notice":
                say(event.payload["text"])

        task = asyncio.ensure_future(self.app.execute(run, listeners=[listen], stop=stop))
        _stop_on_interrupt(task, stop, say)
        try:
            record = await task
        except asyncio.CancelledError:
            say("Stopped at once; what had come was kept. /retry asks again.")
            return WorkflowStatus.Started
        finally:
            self.stopped = stop.requested
            _default_interrupt()
        if record.status is WorkflowStatus.Success:
            self.turns.append(Turn(record.run_id, record.options["message"], record.summary or ""))
            self.unanswered = None
        else:
            say(record.error or "Stopped; what came is kept. /retry goes on.")
        return record.status

    async def cost(self) -> Cost:
        """What the conversation has cost so far, by the journals of all its runs as they are now."""
        return Cost.of([entry for run in self.runs for entry in await self.app.journal.entries(run)])

    async def _options(self, message: str) -> dict[str, Any]:
        return {
            **self.options,
            **await self._bounds(),
            "message": message,
            "files": self.files,
            "texts": self.texts,
            "conversation": self.id,
            "exchanges": [turn.to_dict() for turn in self.turns],
        }

    async def _bounds(self, run: str | None = None) -> dict[str, Any]:
        """The options that keep the budget: for the next run, or for ``run``, which goes on and knows what it has cost.

        Nothing without a budget. InputError where nothing is left of it, or it cannot be kept.
        """
        budget = self.options.get("budget")
        if budget is None:
            return {}
        free = bool(self.options.get("allow_unknown_price"))
        cost = await self.cost()
        if cost.unpriced and not free:
            raise InputError(
                "What this conversation has cost is not known, so its budget cannot be kept; leave --budget out, or add "
                "--allow-unknown-price to go on without counting those calls."
            )
        left = Decimal(budget) - cost.most
        if left <= 0:
            raise InputError(f"The conversation's budget of ${budget} is used up ({cost}).")
        if run is not None:
            left += Cost.of(await self.app.journal.entries(run)).most
        return {"budget": str(left), "allow_unknown_price": free}

    # -- what the commands do -------------------------------------------------------------------

    def add_files(self, pattern: str) -> list[str]:
        """Send these files along from now on; their names. InputError when nothing fits."""
        from windlass.inputs import GivenFiles, given_files

        sent = GivenFiles([*self.files, *self.texts], self.texts)
        found = given_files([pattern], self.workspace, must_exist=True, what="file", besides=sent)
        self.texts.update(found.imports)
        new = [name for name in found.names if name not in found.imports]
        self.files += [name for name in new if name not in self.files]
        return found.names

    def drop_file(self, name: str) -> None:
        """No longer send a file along. InputError when it is none of them."""
        if name in self.files:
            self.files.remove(name)
        elif name in self.texts:
            del self.texts[name]
        else:
            known = ", ".join([*self.files, *self.texts]) or "none"
            raise InputError(f"{name!r} is not sent along; files: {known}.")

    def use_model(self, name: str) -> None:
        """Ask another model from now on. UnknownModel lists the known ones."""
        self.app.check_models({**self.options, "model": name})
        self.options["model"] = name

    async def undo(self) -> str:
        """Take back the last message, with its answer if it has one; the message. InputError when there is none.

        Its run stays in the store. What was taken back is noted with the run the conversation goes on from, so that it
        stays so when it is taken up there again.
        """
        if self.head is None or (self.unanswered is None and not self.turns):
            raise InputError("There is nothing to take back.")
        head = await self.app.journal.get_run(self.head, whole=True)
        last = self.turns[-1] if self.unanswered is None else Turn(self.head, head.options["message"], "")
        lease = await take(self.app.journal, head.run_id, owner_name())
        try:
            undone = [*head.options.get("taken_back", ()), last.run]
            await self.app.journal.update_run(lease, options={**head.options, "taken_back": undone})
        finally:
            await self.app.journal.release(lease)
        if self.unanswered is None:
            self.turns.pop()
        elif is_interrupted(head):
            # Or "resume --all" would ask, and pay, what nobody wants answered any more.
            await self.app.cancel(head.run_id)
        self.unanswered = None
        return last.message

    def save(self, path: Path) -> None:
        """Write the conversation as Markdown to a new file."""
        if not self.turns:
            raise InputError("There is nothing to save yet.")
        text = "\n".join(f"## You\n\n{t.message}\n\n## Answer\n\n{t.answer}\n" for t in self.turns)
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise InputError(f"{path} exists already; name another file.") from None
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror}.") from None

    async def recall(self, run: str, workspace: str | None = None) -> None:
        """Take up the conversation that a run belongs to, as it stood after that run; in ``workspace``, if one is named.

        InputError when a file that is sent along is not in that one.
        """
        record = await self._chat_run(run)
        options = record.options
        self.id = options.get("conversation") or record.run_id
        self.workspace = workspace or record.workspace
        self.files = list(options.get("files") or ())
        if workspace is not None and "://" not in workspace:
            missing = [name for name in self.files if not (Path(workspace) / name).is_file()]
            if missing:
                raise InputError(
                    f"The conversation sends {', '.join(missing)} along, which {workspace} has not; put it there, or "
                    "leave --workspace out."
                )
        self.texts = dict(options.get("texts") or {})
        if not self.options.get("model") and options.get("model"):
            self.options["model"] = options["model"]
        turns = [Turn(**row) for row in options.get("exchanges") or ()]
        if record.status is WorkflowStatus.Success:
            turns.append(Turn(record.run_id, options["message"], record.summary or ""))
        # Some may be of runs from elsewhere, which a message brought along.
        self.runs = list(dict.fromkeys([turn.run for turn in turns] + await self._runs()))
        undone = options.get("taken_back") or ()
        self.turns = [turn for turn in turns if turn.run not in undone]
        answered = record.status is WorkflowStatus.Success or record.run_id in undone
        self.head, self.unanswered = record.run_id, None if answered else record.run_id

    async def _chat_run(self, run: str) -> RunRecord:
        if run != "last":
            record = await self.app.journal.get_run(run)
            if record.workflow != "chat":
                raise InputError(f"Run {record.run_id} is no chat (it is a run of {record.workflow}).")
            return record
        chats = await self.app.journal.list_runs(limit=1, workflow="chat")
        if not chats:
            raise InputError("There is no earlier chat to go on with; leave --resume out.")
        return chats[0]

    async def _runs(self) -> list[str]:
        """The conversation's runs, oldest first. The one it began with may have been no conversation then."""
        later = await self.app.journal.list_runs(limit=_ALL, workflow="chat", from_id=self.id)
        return [r.run_id for r in reversed(later) if self.id in (r.run_id, r.options.get("conversation"))]


def _stop_on_interrupt(task: asyncio.Future[Any], stop: Any, say: Say) -> None:
    def on_signal() -> None:
        if stop.requested:
            task.cancel()
            return
        stop.requested = True
        say("Stopping: the answer under way is waited for and kept. Once more stops at once.")

    if sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, on_signal)


def _default_interrupt() -> None:
    asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
