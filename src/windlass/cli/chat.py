"""``windlass chat``: a conversation in the terminal."""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from windlass.cli.outcome import counted
from windlass.cli.root import safe
from windlass.cli.run import Usd, model_option, unknown_price_option
from windlass.errors import InputError, WindlassError

if TYPE_CHECKING:
    from windlass.cli.conversation import Conversation

HELP = '''\
/file PATH     send a file along (a pattern too); /file alone lists them, /file -PATH drops one
/model NAME    ask another model from now on; /model alone says which
/undo          take the last message back, with its answer
/retry         ask again what has no answer yet
/save PATH     write the conversation to a new file
/cost          what the conversation has cost
/help          this
/quit          leave (also Ctrl-D); go on later with: windlass chat --resume
A line that ends with \\ goes on in the next; """ alone begins and ends a message of many lines;
lines that are pasted together are one message.'''


@click.command("chat")
@click.argument("message", required=False)
@click.option(
    "--workspace",
    metavar="DIR",
    help="Where files are looked for. [default: this folder; with --resume where it was]",
)
@click.option("--file", "files", metavar="PATH", multiple=True, help="Send a file along; may be repeated.")
@model_option
@click.option(
    "--resume",
    metavar="RUN",
    is_flag=False,
    flag_value="last",
    help="Go on with the conversation of a run. [without RUN: the last]",
)
@click.option("--budget", type=Usd(), metavar="USD", help="Never spend more than this on the conversation.")
@unknown_price_option
def chat(message: str | None, **given: Any) -> None:
    """Talk with a model, beginning with MESSAGE if there is one. Every answer is kept as a run.

    \b
    windlass chat --file src/cart.py
    windlass chat --resume
    """
    from windlass.app import App
    from windlass.cli.conversation import Conversation
    from windlass.ids import generate_id
    from windlass.inputs import workspace_folder

    workspace, _ = workspace_folder(given["workspace"] or str(Path.cwd()), "chat")
    budget = given["budget"]
    options = {
        "model": given["model"],
        "budget": None if budget is None else str(budget),
        "allow_unknown_price": given["allow_unknown_price"],
        "yes": True,
    }
    app = App()
    talk = Conversation(app, workspace, generate_id(), {k: v for k, v in options.items() if v is not None})
    with asyncio.Runner() as runner:
        try:
            runner.run(_begin(talk, given))
            code = Session(talk, runner).loop(message)
        finally:
            runner.run(app.close())
    sys.exit(code)


async def _begin(talk: Conversation, given: dict[str, Any]) -> None:
    if given["resume"]:
        await talk.recall(given["resume"], talk.workspace if given["workspace"] else None)
    talk.app.check_models(talk.options)
    for pattern in given["files"]:
        talk.add_files(pattern)


class Session:
    """Reads lines, does commands, shows answers."""

    def __init__(self, talk: Conversation, runner: asyncio.Runner) -> None:
        self.talk = talk
        self.runner = runner
        self.interactive = sys.stdin.isatty()
        #: Exit codes of what went wrong, by the run of the message ("" where there is none).
        self.failed: dict[str, int] = {}
        if isinstance(sys.stdin, io.TextIOWrapper):
            # What is no text is refused below, with the whole message.
            sys.stdin.reconfigure(errors="surrogateescape")

    def loop(self, first: str | None) -> int:
        """Until the person leaves; the exit code: where nobody watches, the worst of what went wrong."""
        from windlass.inputs import utf8_text

        self._history()
        if self.interactive:
            self._say(f"{self._model()} · /help for commands, Ctrl-D to leave")
        for turn in self.talk.turns[-2:]:
            self._say(f"> {turn.message}\n{turn.answer}")
        if self.talk.unanswered is not None:
            self._say("The last message has no answer yet; /retry asks again.")
        message = first
        while True:
            try:
                if message is None:
                    message = self._read()
                if message is None:
                    break
                utf8_text(message, "message")
                if message.startswith("/") and "\n" not in message:
                    if not self._command(message):
                        break
                elif message.strip():
                    self._answer(self.talk.ask(message, self._show, self._say))
            except WindlassError as error:
                self._say(f"Error: {error}")
                self.failed[""] = max(error.exit_code, self.failed.get("", 0))
            if self.talk.stopped and not self.interactive:
                # The rest of what was piped in is not sent.
                return 130
            message = None
        return 0 if self.interactive else max(self.failed.values(), default=0)

    # -- talking --------------------------------------------------------------------------------

    def _answer(self, asked: Any) -> None:
        from windlass.cli.session import EXIT_CODES

        self._streamed = False
        status = self.runner.run(asked)
        if self.talk.unanswered is not None:
            self.failed[self.talk.unanswered] = EXIT_CODES.get(status, 1)
            return
        turn = self.talk.turns[-1]
        self.failed.pop(turn.run, None)
        print("" if self._streamed else safe(turn.answer), flush=True)

    def _show(self, delta: str) -> None:
        self._streamed = True
        print(safe(delta), end="", flush=True)

    def _say(self, sentence: str) -> None:
        print(safe(sentence), file=sys.stderr, flush=True)

    def _model(self) -> str:
        return self.talk.app.models_for(self.talk.options).get("main").model_name

    def _history(self) -> None:
        if not self.interactive:
            return
        import atexit
        import readline

        if "libedit" not in (readline.__doc__ or ""):
            # Lines that are pasted together are one message, sent with Enter; Python turns that off.
            readline.parse_and_bind("set enable-bracketed-paste on")
        place = self.talk.app.settings.data_dir / "chat_history"
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            readline.read_history_file(place)
        except FileNotFoundError:
            pass
        except OSError as error:
            # The arrow keys then know this session only; nothing else depends on it.
            self._say(f"Earlier lines cannot be read from {place}: {error.strerror}.")
            return
        readline.set_history_length(1000)
        atexit.register(readline.write_history_file, place)

    def _read(self) -> str | None:
        """A whole message; None when the person leaves. InputError for one that was begun and not ended."""
        lines: list[str] = []
        block = False
        while True:
            try:
                line = self._line("… " if lines or block else "> ")
            except EOFError:
                if self.interactive:
                    print(file=sys.stderr)
                if block or lines:
                    missing = 'the """ that ends it' if block else "the line after \\"
                    raise InputError(f"The message was not sent: {missing} is missing.") from None
                return None
            except KeyboardInterrupt:
                if not self.interactive:
                    raise
                # Takes back what was typed; leaving is Ctrl-D.
                print(file=sys.stderr)
                lines, block = [], False
                continue
            if line.strip() == '"""':
                if block:
                    return "\n".join(lines)
                block = True
            elif not block and line.endswith("\\"):
                lines.append(line[:-1])
            else:
                lines.append(line)
                if not block:
                    return "\n".join(lines)

    def _line(self, prompt: str) -> str:
        """One line, edited with the history's help where keys and screen are a person's. EOFError where none comes."""
        if self.interactive and sys.stdout is not None and sys.stdout.isatty():
            return input(prompt)
        if self.interactive:
            # What is redirected gets the answers alone.
            print(prompt, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.removesuffix("\n")

    # -- commands -------------------------------------------------------------------------------

    def _command(self, line: str) -> bool:
        """Do a command; False when it is the last. InputError where it cannot be done."""
        name, _, rest = line[1:].strip().partition(" ")
        rest = rest.strip()
        talk = self.talk
        if name in ("quit", "exit", "q"):
            return False
        if name == "help":
            self._say(HELP)
        elif name == "file":
            self._file(rest)
        elif name == "model":
            if rest:
                talk.use_model(rest)
            self._say(f"Model: {self._model()}")
        elif name == "undo":
            taken = self.runner.run(talk.undo()).strip()
            self._say(f"Taken back: {taken.splitlines()[0][:80]}")
        elif name == "retry":
            asked = talk.unanswered
            if asked is None:
                self._say("Every message has its answer.")
            else:
                self._answer(talk.go_on(self._show, self._say))
                if talk.unanswered != asked:
                    self.failed.pop(asked, None)
        elif name == "save":
            if not rest:
                raise InputError("Name the file: /save PATH")
            talk.save(Path(_from_home(rest)))
            self._say(f"Saved to {rest}")
        elif name == "cost":
            cost = self.runner.run(talk.cost())
            exchanges = counted(len(talk.turns), "exchange")
            self._say(f"{exchanges} · {counted(cost.tokens, 'token')} · {cost}")
        else:
            raise InputError(
                f"No command is called /{name}; /help lists them. Begin a message with a space to send a slash."
            )
        return True

    def _file(self, rest: str) -> None:
        if rest.startswith("-"):
            self.talk.drop_file(rest[1:].strip())
        elif rest:
            self._say("Sent along: " + ", ".join(self.talk.add_files(_from_home(rest))))
            return
        self._say("Files: " + (", ".join([*self.talk.files, *self.talk.texts]) or "none"))


def _from_home(typed: str) -> str:
    """A path as a shell would have handed it over."""
    return str(Path.home() / typed[2:]) if typed.startswith("~/") else typed
