"""``windlass resume``: go on with a run, or with all that were interrupted."""

from __future__ import annotations

from typing import Any

import rich_click as click

from windlass.cli.run import Usd, log_option, quiet_option, unknown_price_option


@click.command("resume")
@click.argument("run", metavar="[RUN]", required=False)
@click.option("--all", "every", is_flag=True, help="Go on with every interrupted run, one after the other.")
@click.option("--yes", "-y", is_flag=True, help="Approve what the run waits for, and go on without asking.")
@click.option(
    "--budget", type=Usd(), metavar="USD", help="From now on, never spend more than this on the run in all."
)
@unknown_price_option
@click.option(
    "--max-repairs", type=click.IntRange(0, 20), help="Repairs before giving up, those already made included."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end; a list with --all.")
@quiet_option
@log_option
def resume(run: str | None, every: bool, yes: bool, as_json: bool, quiet: bool, **given: Any) -> None:
    """Go on with RUN: an id, its beginning or end, or `last`.

    What the run has done is not done again: replies come from its journal. A run that failed goes on at the
    step that failed.

    \b
    windlass resume last
    windlass resume --all
    windlass resume 01k9z --budget 2 --json
    """
    from windlass.cli.session import Output, resume_all, resume_run

    changes = {
        "budget": None if given["budget"] is None else str(given["budget"]),
        "allow_unknown_price": given["allow_unknown_price"] or None,
        "max_repairs": given["max_repairs"],
    }
    wanted = {key: value for key, value in changes.items() if value is not None}
    if every:
        if run is not None or wanted:
            raise click.UsageError("--all goes with --yes, --json, --quiet and --log-file only.")
        resume_all(Output(as_json, quiet), assume_yes=yes)
    elif run is None:
        raise click.UsageError("Name a run, such as `last`, or add --all.")
    else:
        resume_run(run, Output(as_json, quiet), assume_yes=yes, changes=wanted)
