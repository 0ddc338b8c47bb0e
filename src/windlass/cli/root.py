"""The command tree, loaded a command at a time, and the one place where an error becomes words and an exit code."""

from __future__ import annotations

import errno
import importlib
import json
import os
import sys
from typing import Any, NoReturn

import rich_click as click
from click.exceptions import Exit

from windlass import __version__
from windlass.errors import WindlassError

#: Commands in the order of the help page: where they are, and what the page says of them.
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("windlass.cli.run:run", "Start a run: coding, chat, write, auto, …"),
    "demo": ("windlass.cli.demo:demo", "See a whole run without a model (about 10 s)."),
    "chat": ("windlass.cli.chat:chat", "Talk with a model; every answer is kept."),
    "resume": ("windlass.cli.resume:resume", "Go on with a run that was interrupted or waits."),
    "cancel": ("windlass.cli.control:cancel", "End a run, wherever it runs."),
    "fork": ("windlass.cli.control:fork", "Do a run's work anew from one of its steps on."),
    "answer": ("windlass.cli.control:answer", "Answer what a run waits for."),
    "batch": ("windlass.cli.batch:batch", "Do many items, each an ordinary run."),
    "runs": ("windlass.cli.runs:runs", "List runs and look into them."),
    "diff": ("windlass.cli.files:diff", "Show what a run changed."),
    "undo": ("windlass.cli.files:undo", "Put files back to what they were before a run."),
    "redo": ("windlass.cli.files:redo", "Take the last undo back."),
    "prompts": ("windlass.cli.prompts:prompts", "Versions of prompts: look, edit, switch, compare."),
    "serve": ("windlass.cli.serve:serve", "Watch and steer runs in the browser."),
    "worker": ("windlass.cli.worker:worker", "Work on queued runs, here or on any machine."),
    "workers": ("windlass.cli.worker:workers", "Show who works on queued runs."),
    "models": ("windlass.cli.models:models", "List models, roles, prices and what is missing."),
    "doctor": ("windlass.cli.doctor:doctor", "Check database, sandbox, models and disk."),
    "db": ("windlass.cli.db:db", "Look after the database."),
    "completion": ("windlass.cli.completion:completion", "Print the shell completion script."),
}


#: Commands that follow a run, and print its report as one object with ``--json``.
_FOLLOWING = ("run", "resume", "fork", "answer", "demo")


class LazyGroup(click.RichGroup):
    """A group whose commands are imported when they are called or their own help is asked for."""

    def __init__(self, *args: Any, lazy: dict[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order they were declared."""
        return [*self.lazy, *(name for name in super().list_commands(ctx) if name not in self.lazy)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command; on a help page only a stand-in with its first line."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        place, short = self.lazy[cmd_name]
        if ctx.meta.get("windlass.listing"):
            return click.RichCommand(name=cmd_name, short_help=short, help=short)
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help page, without importing any command."""
        ctx.meta["windlass.listing"] = True
        super().format_help(ctx, formatter)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As usual; a mistyped name gets the nearest ones."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 1)
            if not near:
                raise
            raise click.UsageError(f"No such command {args[0]!r}. Did you mean {near[0]!r}?", ctx) from error


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, "-V", "--version", prog_name="windlass", message="%(prog)s %(version)s")
def cli() -> None:
    """Coding and writing workflows made of steps, run by language models.

    No paid reply is lost, nothing a model says touches a file before it parses whole, and prompts move
    forward only on evidence.

    \b
    Try:   windlass demo
    Then:  windlass run coding "A function slugify(text) with tests" --model openai:gpt-5-mini
    """


def fail(message: str, code: int) -> NoReturn:
    """Print one sentence to standard error and exit."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text.assemble(("Error: ", "bold red"), safe(message)))
    sys.exit(code)


def safe(text: str) -> str:
    """The text without control characters that could drive a terminal."""
    return "".join(c if c in "\n\t" or (c.isprintable()) else "\ufffd" for c in text)


def run() -> None:
    """Run the command line; every way out has an exit code, none a traceback."""
    try:
        code = cli.main(standalone_mode=False)
        if sys.stdout is not None:  # None where it was closed: `>&-`
            sys.stdout.flush()
    except Exit as done:
        sys.exit(done.exit_code)
    except click.Abort:
        print(file=sys.stderr)
        sys.exit(130)
    except click.ClickException as error:
        _tell_scripts(error.format_message())
        error.show()
        sys.exit(error.exit_code)
    except WindlassError as error:
        _tell_scripts(str(error))
        fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): there is nobody left to tell.
        _discard_output()
        sys.exit(1)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM and error.filename is None:
            _discard_output()
            fail(f"The output could not be written: {error.strerror}.", 1)
        fail(_unexpected(error), 1)
    sys.exit(code if isinstance(code, int) else 0)


#: What writing to a file that has no room says.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def _discard_output() -> None:
    """What is still buffered goes nowhere, without a word when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell_scripts(message: str) -> None:
    """With ``--json`` the one object of a command that follows a run is printed also when there is no run to follow."""
    words = sys.argv[1 : sys.argv.index("--") if "--" in sys.argv else None]
    if "--json" in words and words[0] in _FOLLOWING:
        print(json.dumps({"run_id": None, "status": None, "error": message}))


def _unexpected(error: Exception) -> str:
    import tempfile
    import traceback

    if os.environ.get("WINDLASS_DEBUG"):
        traceback.print_exc()
    with tempfile.NamedTemporaryFile("w", prefix="windlass-", suffix=".log", delete=False) as log:
        traceback.print_exception(error, file=log)
    return (
        f"Windlass met a fault of its own ({type(error).__name__}: {error}). What is known is in {log.name}; please "
        "report it. Runs keep everything that was paid for: see windlass runs list."
    )
