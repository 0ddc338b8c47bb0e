"""``windlass run chat | write | write-pages | write-tests | auto``: the workflows over a message and files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import rich_click as click

from windlass.cli.run import common_options, run_options

if TYPE_CHECKING:
    from windlass.cli.view import Outline

Command = Callable[..., Any]


class Tag(click.ParamType[tuple[str, str]]):
    """``key=value``."""

    name = "KEY=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """The two parts, or a usage error in one sentence."""
        key, equals, text = str(value).partition("=")
        if not equals or not key.strip() or not text.strip():
            self.fail(f"{value!r} is no tag; write KEY=VALUE, such as 'best of=3'.", param, ctx)
        return key.strip(), text.strip()


def document_options(*, files: str, to: str | None = None) -> Callable[[Command], Command]:
    """The options of every document workflow; ``files`` and ``to`` are the help texts of ``--file`` and ``--to``."""

    def add(command: Command) -> Command:
        options = [
            click.option("--workspace", metavar="DIR", help="Where the files are. [default: this folder]"),
            click.option("--file", "files", metavar="PATH", multiple=True, help=files),
            click.option(
                "--reference",
                "references",
                metavar="PATH",
                multiple=True,
                help="A file to read, never written.",
            ),
            *([] if to is None else [click.option("--to", metavar="PATH", help=to)]),
            click.option(
                "--context",
                metavar="RUN[:STEP]",
                multiple=True,
                help="Bring an earlier run's exchange along; may be repeated.",
            ),
            click.option("--best-of", type=int, metavar="N", help="Write N answers, let a judge choose. [1]"),
            click.option("--loops", type=int, metavar="N", help="Improve the answer N times. [0]"),
            click.option("--criteria", metavar="TEXT", help="What judge and improvement go by."),
            click.option(
                "--tag",
                "tags",
                type=Tag(),
                multiple=True,
                help="model, pages, write, workflow, best of or loops, the way earlier clients say it.",
            ),
        ]
        for option in reversed(options):
            command = option(command)
        return command

    return add


_CONCURRENCY = click.option("--concurrency", type=int, metavar="N", help="Files at once. [16]")
_EACH = "Which files to work on; may be repeated, may be a pattern such as 'src/**/*.py'."
_READ = "A file to go by; may be repeated, may be a pattern."


@click.command("chat", short_help="One answer to a message.")
@click.argument("message")
@document_options(files=_READ)
@common_options
def chat(message: str, **given: Any) -> None:
    """Answer MESSAGE (a text, @FILE, or - for standard input), given files and earlier exchanges.

    \b
    windlass run chat "What does this module do?" --file src/cart.py
    windlass run chat "And how is it tested?" --context last

    For a conversation: windlass chat.
    """
    _start("chat", message, given, (("chat_step", "Chat"),))


@click.command("write", short_help="Plan and write the files a message asks for.")
@click.argument("message")
@document_options(files=_READ, to="The file to write. [default: the model finds the files]")
@_CONCURRENCY
@common_options
def write(message: str, **given: Any) -> None:
    """Write or change the files that MESSAGE asks for, side by side: each is planned, then written.

    \b
    windlass run write "A README for this project" --to README.md --file 'src/*.py'
    windlass run write "Release notes and an upgrade guide" --file CHANGELOG.md --best-of 3
    """
    _start("write", message, given, ())


@click.command("write-pages", short_help="Write a file of many pages.")
@click.argument("message")
@document_options(files=_READ, to="The file to write. [default: the model names it]")
@click.option("--pages", metavar="N", help="How many pages, 1 to 100.")
@common_options
def write_pages(message: str, **given: Any) -> None:
    """Write one file of N pages: the pages are defined, written one after the other, and saved together.

    \b
    windlass run write-pages "A manual for the cart module" --to manual.md --pages 12 --file src/cart.py
    """
    _start("write-pages", message, given, ())


@click.command("write-tests", short_help="Write, run and repair tests for files.")
@click.argument("message")
@document_options(
    files="Which files to test; may be repeated, may be a pattern.",
    to="The test file. [default: named after the file under test]",
)
@click.option(
    "--max-repairs",
    type=click.IntRange(0, 20),
    default=3,
    show_default=True,
    help="Repairs of the tests before giving up.",
)
@click.option("--test-command", metavar="COMMAND", help="Run tests with this instead of pytest.")
@_CONCURRENCY
@common_options
def write_tests(message: str, **given: Any) -> None:
    """Write tests for the files given, run them in the sandbox and repair them. The files under test are never changed.

    \b
    windlass run write-tests "Cover the edge cases of parsing" --file src/cart.py
    """
    _start("write-tests", message, given, ())


@click.command("auto", short_help="Do one thing to each of many files.")
@click.argument("message")
@document_options(files=_EACH)
@_CONCURRENCY
@common_options
def auto(message: str, **given: Any) -> None:
    """Do what MESSAGE asks to each file by itself, side by side; each is written back to its own path.

    A file that fails does not stop the others; `windlass resume` tries only those again.

    \b
    windlass run auto "Add type annotations" --file 'src/**/*.py' --budget 2
    """
    _start("auto", message, given, ())


def _start(workflow: str, message: str, given: dict[str, Any], outline: Outline) -> None:
    from pathlib import Path

    from windlass.cli.common import stored_names
    from windlass.cli.run import command_of
    from windlass.cli.session import Output, start_run
    from windlass.errors import InputError
    from windlass.inputs import given_files, read_requirement, workspace_folder

    workflow, tagged = _tagged(workflow, dict(given["tags"]))
    asked = {
        name: given.get(name)
        for name in ("to", "pages", "best_of", "loops", "criteria", "concurrency", "max_repairs")
    }
    asked = {**asked, **run_options(given), **tagged}
    text = read_requirement(message, "message")
    workspace, _ = workspace_folder(given["workspace"] or str(Path.cwd()), text)
    stored = stored_names(workspace, given["files"], given["references"])
    reserved = [asked["to"]] if asked["to"] else []
    files = given_files(
        given["files"], workspace, must_exist=True, what="file", stored=stored, reserved=reserved
    )
    references = given_files(
        given["references"],
        workspace,
        must_exist=True,
        what="reference",
        stored=stored,
        besides=files,
        reserved=reserved,
    )
    if files.imports and workflow in ("auto", "write-tests"):
        name = next(iter(files.imports))
        raise InputError(f"{name} is outside the workspace {workspace}; name its folder with --workspace.")
    options = {
        "message": text,
        "files": [name for name in files.names if name not in files.imports],
        "references": [name for name in references.names if name not in references.imports],
        "texts": {**files.imports, **references.imports},
        "context": list(given["context"]),
        "test_command": command_of(given),
        **asked,
    }
    options = {name: value for name, value in options.items() if value is not None}
    output = Output(as_json=given["as_json"], quiet=given["quiet"])
    start_run(workflow, text, workspace, options, output, outline=outline)


def _tagged(workflow: str, tags: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The workflow that a tag names, else the command's own, and the options that tags set."""
    if not tags:
        return workflow, {}
    from windlass.workflows.adapter import tagged

    return tagged(workflow, tags)
