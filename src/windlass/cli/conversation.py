"""A conversation at the terminal: its exchanges, files and model, each turn a run of its own."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.errors import InputError
from windlass.events import Event, WorkflowStatus

if TYPE_CHECKING:
    from windlass.app import App
    from windlass.journal import RunRecord

Say = Callable[[str], None]


@dataclass(frozen=True)
class Turn:
    """A message and its answer; ``run`` is the run that gave it."""

    run: str
    message: str
    answer: str

    def to_dict(self) -> dict[str, str]:
        """As a run's options hold it."""
        return {"run": self.run, "message": self.message, "answer": self.answer}


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
    #: Spent over all turns in USD, those that were undone included; None = not known.
    spent: Decimal | None = Decimal(0)
    tokens: int = 0

    async def ask(self, message: str, on_text: Callable[[str], None], say: Say) -> bool:
        """Send a message; True when an answer came. What came of it is in ``turns`` or ``unanswered``."""
        record = await self.app.create_run("chat", message, self.workspace, self._options(message))
        self.app.check_models(record.options)
        self.unanswered = record.run_id
        return await self.go_on(on_text, say)

    async def go_on(self, on_text: Callable[[str], None], say: Say) -> bool:
        """Get the answer to the message that has none."""
        from windlass.people import StopSignal
        from windlass.report import usage_of

        assert self.unanswered is not None
        stop = StopSignal()

        def listen(event: Event) -> None:
            if event.name == "text":
                on_text(event.payload["delta"])
            elif event.name == "text_reset":
                say("(the answer broke off; it begins again)")
            elif event.name == "notice":
                say(event.payload["text"])

        task = asyncio.ensure_future(self.app.execute(self.unanswered, listeners=[listen], stop=stop))
        _stop_on_interrupt(task, stop, say)
        try:
            record = await task
        except asyncio.CancelledError:
            say("Stopped at once; what had come was kept. /retry asks again.")
            return False
        finally:
            _default_interrupt()
        used = usage_of(await self.app.journal.entries(record.run_id))
        self._count(used)
        if record.status is WorkflowStatus.Success:
            self.turns.append(Turn(record.run_id, record.options["message"], record.summary or ""))
            self.unanswered = None
            return True
        say(record.error or "Stopped; what came is kept. /retry goes on.")
        return False

    def _options(self, message: str) -> dict[str, Any]:
        options = {
            **self.options,
            "message": message,
            "files": self.files,
            "texts": self.texts,
            "conversation": self.id,
            "exchanges": [turn.to_dict() for turn in self.turns],
        }
        budget = self.options.get("budget")
        if budget is not None:
            if self.spent is None:
                raise InputError(
                    "What this conversation has cost is not known, so its budget cannot be kept."
                )
            left = Decimal(budget) - self.spent
            if left <= 0:
                raise InputError(
                    f"The conversation's budget of ${budget} is used up (${self.spent:.4f} spent)."
                )
            options["budget"] = str(left)
        return options

    def _count(self, used: dict[str, Any]) -> None:
        self.tokens += used["input_tokens"] + used["output_tokens"]
        cost = used["cost_usd"]
        self.spent = None if cost is None or self.spent is None else self.spent + Decimal(str(cost))

    # -- what the commands do -------------------------------------------------------------------

    def add_files(self, pattern: str) -> list[str]:
        """Send these files along from now on; their names. InputError when nothing fits."""
        from windlass.inputs import given_files

        found = given_files([pattern], self.workspace, must_exist=True, what="file")
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

    def undo(self) -> Turn:
        """Forget the last exchange; its run stays in the store. InputError when there is none."""
        if not self.turns:
            raise InputError("There is nothing to take back.")
        return self.turns.pop()

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

    async def recall(self, run: str) -> None:
        """Take up the conversation that a run belongs to, as it stood after that run."""
        record = await self._chat_run(run)
        options = record.options
        self.id = options.get("conversation") or record.run_id
        self.workspace = record.workspace
        self.files = list(options.get("files") or ())
        self.texts = dict(options.get("texts") or {})
        if not self.options.get("model") and options.get("model"):
            self.options["model"] = options["model"]
        self.turns = [Turn(**row) for row in options.get("exchanges") or ()]
        if record.status is WorkflowStatus.Success:
            self.turns.append(Turn(record.run_id, options["message"], record.summary or ""))
        else:
            self.unanswered = record.run_id
        await self._recount()

    async def _chat_run(self, run: str) -> RunRecord:
        journal = self.app.journal
        if run != "last":
            record = await journal.get_run(run)
            if record.workflow != "chat":
                raise InputError(f"Run {record.run_id} is no chat (it is a run of {record.workflow}).")
            return record
        for record in await journal.list_runs(limit=1000, search="chat"):
            if record.workflow == "chat":
                return record
        raise InputError("There is no earlier chat to go on with; leave --resume out.")

    async def _recount(self) -> None:
        from windlass.report import usage_of

        for run in dict.fromkeys(turn.run for turn in self.turns):
            self._count(usage_of(await self.app.journal.entries(run)))


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
