"""``windlass resume``: go on with a run."""

from __future__ import annotations

import rich_click as click


@click.command("resume")
@click.argument("run", metavar="RUN")
@click.option("--yes", "-y", is_flag=True, help="Approve what the run waits for, and go on without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@click.option("--quiet", "-q", is_flag=True, help="Print only the outcome.")
def resume(run: str, yes: bool, as_json: bool, quiet: bool) -> None:
    """Go on with RUN: an id, its beginning or end, or `last`.

    What the run has done is not done again: replies come from its journal. A run that failed starts again at the
    step that failed.

    \b
    windlass resume last
    windlass resume 01k9z --json
    """
    from windlass.cli.session import Output, resume_run

    resume_run(run, Output(as_json, quiet), assume_yes=yes)
