"""``windlass resume``: go on with a run."""

from __future__ import annotations

from typing import Any

import rich_click as click

from windlass.cli.run import Usd


@click.command("resume")
@click.argument("run", metavar="RUN")
@click.option("--yes", "-y", is_flag=True, help="Approve what the run waits for, and go on without asking.")
@click.option(
    "--budget", type=Usd(), metavar="USD", help="From now on, never spend more than this on the run in all."
)
@click.option(
    "--allow-unknown-price", is_flag=True, help="Call models whose price is unknown, budget or not."
)
@click.option(
    "--max-repairs", type=click.IntRange(0, 20), help="Repairs before giving up, those already made included."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@click.option("--quiet", "-q", is_flag=True, help="Print only the outcome.")
def resume(run: str, yes: bool, as_json: bool, quiet: bool, **given: Any) -> None:
    """Go on with RUN: an id, its beginning or end, or `last`.

    What the run has done is not done again: replies come from its journal. A run that failed goes on at the
    step that failed.

    \b
    windlass resume last
    windlass resume 01k9z --budget 2 --json
    """
    from windlass.cli.session import Output, resume_run

    changes = {
        "budget": None if given["budget"] is None else str(given["budget"]),
        "allow_unknown_price": given["allow_unknown_price"] or None,
        "max_repairs": given["max_repairs"],
    }
    resume_run(
        run,
        Output(as_json, quiet),
        assume_yes=yes,
        changes={key: value for key, value in changes.items() if value is not None},
    )
