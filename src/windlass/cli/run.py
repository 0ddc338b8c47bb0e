"""``windlass run``: start a run of a workflow."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import rich_click as click

from windlass.cli.enqueue import queue_options
from windlass.cli.root import LazyGroup


class Usd(click.ParamType[Decimal]):
    """An amount of money above zero."""

    name = "USD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """The amount, or a usage error in one sentence."""
        try:
            amount = Decimal(str(value).lstrip("$"))
        except InvalidOperation:
            self.fail(f"{value!r} is no amount of money; write it in USD, such as 0.50.", param, ctx)
        if not amount.is_finite() or amount <= 0:
            self.fail(
                f"a budget of {value} USD allows no call; give more than 0, or leave it out.", param, ctx
            )
        return amount


#: The workflows of :mod:`windlass.cli.documents`.
DOCUMENTS = {
    "chat": ("windlass.cli.documents:chat", "One answer to a message."),
    "write": ("windlass.cli.documents:write", "Plan and write the files a message asks for."),
    "write-pages": ("windlass.cli.documents:write_pages", "Write a file of many pages."),
    "write-tests": ("windlass.cli.documents:write_tests", "Write, run and repair tests for files."),
    "auto": ("windlass.cli.documents:auto", "Do one thing to each of many files."),
}


@click.group(cls=LazyGroup, lazy=DOCUMENTS)
def run() -> None:
    """Start a run of a workflow and watch it.

    Every reply is kept as it arrives: an interrupted run goes on with `windlass resume`.
    """


def _keep_log_file(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    from windlass.cli.session import LOG_FILE

    if value is not None:
        ctx.meta[LOG_FILE] = value.absolute()


#: Where a command that works on a run writes its log; the session looks it up by itself.
log_option = click.option(
    "--log-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    expose_value=False,
    callback=_keep_log_file,
    help="Append a JSON line for each thing that happens, without prompts or replies. [env: WINDLASS_LOG]",
)

# Options that say the same in several commands.
model_option = click.option("--model", metavar="MODEL", help="Model or alias. [env: WINDLASS_MODEL]")
unknown_price_option = click.option(
    "--allow-unknown-price", is_flag=True, help="Call models whose price is unknown, budget or not."
)
json_end_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
quiet_option = click.option("--quiet", "-q", is_flag=True, help="Print only the outcome.")


def common_options(command: Any) -> Any:
    """The options that every workflow has."""
    command = queue_options(command)
    for option in reversed(
        [
            click.option(
                "--model",
                metavar="MODEL",
                help="Model or alias, such as openai:gpt-5-mini. [env: WINDLASS_MODEL]",
            ),
            click.option(
                "--fast-model", metavar="MODEL", help="Model for summaries. [default: the main model]"
            ),
            click.option(
                "--budget", type=Usd(), metavar="USD", help="Never spend more than this on the run."
            ),
            unknown_price_option,
            click.option(
                "--approve",
                type=click.Choice(["writes"]),
                multiple=True,
                help="Show the diff and ask before files are written.",
            ),
            click.option("--yes", "-y", is_flag=True, help="Go on without asking."),
            json_end_option,
            quiet_option,
            log_option,
        ]
    ):
        command = option(command)
    return command


@run.command("coding", short_help="From a requirement to tested code.")
@click.argument("requirement", metavar="REQUIREMENT")
@click.option(
    "--workspace", metavar="DIR", help="Where to work. [default: a new folder, named after the requirement]"
)
@click.option(
    "--file",
    "files",
    metavar="PATH",
    multiple=True,
    help="Context and allowed target; may be repeated, may be a pattern.",
)
@click.option("--tests", metavar="PATH", multiple=True, help="Given tests: read-only, none are written.")
@click.option(
    "--max-repairs",
    type=click.IntRange(0, 20),
    default=3,
    show_default=True,
    help="Repairs before giving up.",
)
@click.option("--test-command", metavar="COMMAND", help="Run tests with this instead of pytest.")
@common_options
def coding(requirement: str, **given: Any) -> None:
    """Turn REQUIREMENT (a text, @FILE, or - for standard input) into code whose tests pass.

    \b
    windlass run coding "A function slugify(text) for URL slugs, with tests"
    windlass run coding @task.md --workspace . --file src/cart.py --tests tests/test_cart.py --budget 0.50
    echo "A Roman numeral parser" | windlass run coding - --yes --json

    Exit codes: 0 Success, 1 Failure, 2 wrong usage, 3 waiting for a person, 130 interrupted.
    """
    from windlass.cli.common import stored_names
    from windlass.cli.session import Output, start_run
    from windlass.inputs import given_files, read_requirement, workspace_folder

    text = read_requirement(requirement)
    workspace, new_folder = workspace_folder(given["workspace"], text)
    stored = stored_names(workspace, given["files"], given["tests"])
    files = given_files(
        given["files"], workspace, must_exist=False, what="file", stored=stored, brought_in=True
    )
    tests = given_files(
        given["tests"],
        workspace,
        must_exist=True,
        what="tests",
        stored=stored,
        brought_in=True,
        besides=files,
    )
    targets = [name for name in files.names if name not in tests.names]
    options = {
        "requirement": text,
        "files": targets,
        "tests": tests.names,
        "imports": {**files.imports, **tests.imports},
        "max_repairs": given["max_repairs"],
        "test_command": command_of(given),
        **run_options(given),
    }
    start_run(
        "coding",
        text,
        workspace,
        options,
        Output(as_json=given["as_json"], quiet=given["quiet"]),
        new_folder=new_folder,
        outline=CODING_OUTLINE,
    )


#: The top-level steps, to draw before the workflow itself is imported; a test keeps it true.
CODING_OUTLINE = (
    ("requirement_step", "Requirement"),
    ("design_step", "Design"),
    ("test_generation_step", "Tests"),
    ("implementation_step", "Implementation"),
    ("testing_step", "Testing"),
    ("summary_step", "Summary"),
)


def command_of(given: dict[str, Any]) -> list[str] | None:
    """The words of ``--test-command``. InputError where it cannot be read."""
    command = given.get("test_command")
    if not command:
        return None
    from windlass.inputs import command_words

    return command_words(command) or None


def run_options(given: dict[str, Any]) -> dict[str, Any]:
    """The common options as a run keeps them."""
    budget = given["budget"]
    return {
        "model": given["model"],
        "fast_model": given["fast_model"],
        "budget": None if budget is None else str(budget),
        "allow_unknown_price": given["allow_unknown_price"],
        "approve": list(given["approve"]),
        "yes": given["yes"],
    }
