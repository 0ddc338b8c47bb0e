"""``windlass demo``: a whole run, played from a recorded session through the real engine."""

from __future__ import annotations

import rich_click as click

REQUIREMENT = (
    "A module durations.py: parse_duration turns texts such as '1h30m' into seconds, format_duration turns seconds "
    "back into the shortest such text. Bad input is a ValueError."
)


@click.command("demo")
@click.option("--workspace", metavar="DIR", help="Where to work. [default: a new folder windlass-demo]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@click.option("--quiet", "-q", is_flag=True, help="Print only the outcome.")
def demo(workspace: str | None, as_json: bool, quiet: bool) -> None:
    """Watch a requirement become tested code, without a model or a key.

    The model's replies are played from a session that Windlass's authors wrote; everything else is real: the
    files, the sandbox, the tests that fail first, the repair, and the journal.
    """
    from windlass.cli.run import CODING_OUTLINE
    from windlass.cli.session import Output, start_run
    from windlass.inputs import workspace_folder

    folder, new = workspace_folder(workspace, "windlass demo")
    options = {
        "requirement": REQUIREMENT,
        "model": "scripted:demo",
        "fast_model": "scripted:demo",
        "yes": True,
        "max_repairs": 3,
    }
    start_run(
        "coding",
        f"Demo: {REQUIREMENT}",
        folder,
        options,
        Output(as_json, quiet),
        new_folder=new,
        outline=CODING_OUTLINE,
    )
