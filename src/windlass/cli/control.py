"""``windlass cancel``, ``fork`` and ``answer``: a person's hand on a run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from windlass.cli.common import console, json_option, print_json, with_app
from windlass.cli.run import Usd, json_end_option, log_option, quiet_option

if TYPE_CHECKING:
    from windlass.app import App
    from windlass.journal import RunRecord
    from windlass.people import Answer

#: How long `windlass cancel` waits for the run's process to end it (seconds): replies under way are kept.
CANCEL_WAIT = 20.0


@click.command("cancel")
@click.argument("run", metavar="RUN")
@click.option("--now", is_flag=True, help="Do not wait for replies under way; they may be paid and lost.")
@json_option
def cancel(run: str, now: bool, as_json: bool) -> None:
    """End RUN, wherever it runs. What it has done is kept; `windlass resume` takes it up again.

    The process that works on it lets replies under way arrive and keeps them, then ends the run within seconds.
    """

    async def work(app: App) -> RunRecord:
        record = await app.cancel(run, now=now)
        until = time.monotonic() + CANCEL_WAIT
        while record.status.value in ("Started", "Pending", "Waiting") and time.monotonic() < until:
            await asyncio.sleep(0.2)
            record = await app.journal.get_run(record.run_id)
        return record

    record = with_app(work)
    ended = record.status.value not in ("Started", "Pending", "Waiting")
    if as_json:
        print_json({"run_id": record.run_id, "status": record.status.value, "asked": True, "ended": ended})
    elif ended:
        console().print(f"Run {record.run_id}: {record.status.value}")
    else:
        console().print(
            f"Run {record.run_id} was asked to end; a reply is still under way. Look again with windlass runs show, or "
            "end it at once with --now.",
            soft_wrap=True,
        )


@click.command("fork")
@click.argument("run", metavar="RUN")
@click.option(
    "--from", "step", metavar="PATH", required=True, help="The first step to do anew; see windlass runs show."
)
@click.option("--model", metavar="MODEL", help="Another model or alias from there on.")
@click.option("--fast-model", metavar="MODEL", help="Another model for summaries.")
@click.option(
    "--workspace",
    metavar="DIR",
    help="Work in this folder; the files written before PATH are put there. [default: the run's own]",
)
@click.option("--budget", type=Usd(), metavar="USD", help="Never spend more than this on the new run.")
@click.option("--yes", "-y", is_flag=True, help="Go on without asking.")
@click.option("--later", is_flag=True, help="Only make the new run; windlass resume starts it.")
@json_end_option
@quiet_option
@log_option
def fork(run: str, step: str, later: bool, as_json: bool, quiet: bool, **given: Any) -> None:
    """Start a new run that takes over what RUN did before the step PATH, and does the rest anew.

    Replies before PATH are not paid for again. The prompts that made them stay; those from PATH on are the ones in
    effect now.

    \b
    windlass fork last --from implementation_step --model openai:gpt-5
    windlass fork last --from 'testing_step.repair[2]' --workspace ../second-try
    """
    from windlass.cli.session import Output, follow

    changes = {
        "model": given["model"],
        "fast_model": given["fast_model"],
        "budget": None if given["budget"] is None else str(given["budget"]),
        "yes": given["yes"] or None,
    }

    async def prepare(app: App) -> str:
        wanted = {key: value for key, value in changes.items() if value is not None}
        with _made(given["workspace"]) as workspace:
            return (await app.fork(run, step, workspace=workspace, changes=wanted)).run_id

    if not later:
        follow(prepare, f"Fork of run {run} from {step}", Output(as_json, quiet))
        return
    run_id = with_app(prepare)
    if as_json:
        print_json({"run_id": run_id})
    else:
        console().print(f"Run {run_id} was made; start it with: windlass resume {run_id}")


@contextlib.contextmanager
def _made(folder: str | None) -> Iterator[str | None]:
    """The workspace's address, its folder made where there is none; it goes again when the block ends in an error."""
    from windlass.errors import InputError
    from windlass.inputs import workspace_folder

    if folder is None or "://" in folder:
        yield folder
        return
    path = Path(folder).expanduser()
    new = not os.path.lexists(path)
    if new:
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"The folder {folder} cannot be made: {error.strerror}.") from None
    try:
        yield workspace_folder(folder, "")[0]
    except BaseException:
        if new:
            with contextlib.suppress(OSError):  # something came into it
                path.rmdir()
        raise


@click.command("answer")
@click.argument("run", metavar="RUN")
@click.argument("word", metavar="[approve|reject|edit|answer]", required=False)
@click.argument("text", metavar="[TEXT]", required=False)
@click.option("--later", is_flag=True, help="Only keep the answer; windlass resume goes on.")
@json_end_option
@quiet_option
@log_option
def answer(run: str, word: str | None, text: str | None, later: bool, as_json: bool, quiet: bool) -> None:
    """Answer what RUN waits for, from any terminal, and go on with it. Without a word, asks you.

    `approve` and `reject` stand alone; `edit` takes the new requirement and `answer` the answers, as TEXT, @FILE or -.

    \b
    windlass answer last approve
    windlass answer last answer "Umlauts become two letters."
    """
    from windlass.cli.session import Output, follow

    said = _said(word, text) if word is not None else _asked(run)

    async def prepare(app: App) -> str:
        record = await app.journal.get_run(run)
        await app.answer(record.run_id, said)
        return record.run_id if later else await app.prepare_resume(record.run_id)

    if not later:
        follow(prepare, None, Output(as_json, quiet))
        return
    run_id = with_app(prepare)
    if as_json:
        print_json({"run_id": run_id, "action": said.action})
    else:
        console().print(f"The answer is kept; go on with: windlass resume {run_id}")


def _said(word: str, text: str | None) -> Answer:
    from windlass.inputs import read_requirement
    from windlass.people import Answer

    if word in ("approve", "reject"):
        if text is not None:
            raise click.UsageError(f"`{word}` stands alone; use `answer` or `edit` to say more.")
        return Answer(word)
    if word in ("edit", "answer"):
        if text is None:
            raise click.UsageError(f"`{word}` needs a TEXT, @FILE, or - for standard input.")
        return Answer(word, read_requirement(text, "answer" if word == "answer" else "requirement"))
    raise click.UsageError(f"No answer is called {word!r}; known: approve, reject, edit, answer.")


def _asked(run: str) -> Answer:
    """What the person at this terminal says to the run's question."""
    import sys

    from windlass.cli.ask import ask_at_terminal
    from windlass.errors import InputError, JournalError
    from windlass.people import Question
    from windlass.report import waiting_for

    async def question(app: App) -> Question:
        record = await app.journal.get_run(run)
        asked = waiting_for(record, await app.journal.events(record.run_id))
        if asked is None:
            raise JournalError(f"Run {record.run_id} waits for no answer (it is {record.status.value}).")
        return Question(asked["path"], asked["kind"], asked["text"], asked["detail"])

    found = with_app(question)
    if not sys.stdin.isatty():
        raise InputError("Nobody is at the terminal; say approve, reject, edit TEXT or answer TEXT.")

    async def ask() -> Answer | None:
        return await ask_at_terminal(console(), found, asyncio.Event())

    said = asyncio.run(ask())
    if said is None:
        raise click.Abort
    return said
