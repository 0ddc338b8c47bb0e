"""``windlass runs export`` and ``runs gc``: take a run elsewhere, forget old ones."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import rich_click as click

from windlass.cli.common import console, json_option, print_json, when, with_app
from windlass.cli.outcome import counted
from windlass.cli.root import safe

if TYPE_CHECKING:
    from windlass.app import App


class Days(click.ParamType[float]):
    """An age: ``90d``, ``2w`` or ``36h``."""

    name = "AGE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The age in days, or a usage error in one sentence."""
        if isinstance(value, float):
            return value
        text = str(value).strip().lower()
        units = {"h": 1 / 24, "d": 1.0, "w": 7.0}
        try:
            days = float(text[:-1]) * units[text[-1:]]
        except (ValueError, KeyError):
            self.fail(f"{value!r} is no age; write it like 90d, 2w or 36h.", param, ctx)
        if not 0 <= days < 1e6:
            self.fail(f"{value!r} is no age that runs can have.", param, ctx)
        return days


@click.command("export")
@click.argument("run", metavar="RUN")
@click.option("--output", "-o", type=click.File("w", encoding="utf-8", lazy=True), help="Write to this file.")
@click.option("--json", "as_json", is_flag=True, help="Always so; here for scripts that give it everywhere.")
def export(run: str, output: Any, as_json: bool) -> None:
    """Everything about RUN as one JSON object: record, requests, replies, events, file contents.

    It holds what was sent and received word for word; keys are never part of it.

    \b
    windlass runs export last > run.json
    """
    from windlass.cli.output import json_text
    from windlass.export import export_run

    found = with_app(lambda app: export_run(app.journal, run))
    if output is None:
        print_json(found)
    else:
        output.write(json_text(found, indent=2, encoding="utf-8") + "\n")


@click.command("gc")
@click.option(
    "--keep",
    "days",
    type=Days(),
    default="90d",
    show_default=True,
    help="Keep runs that ended within this time.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be forgotten.")
@json_option
def gc(days: float, dry_run: bool, as_json: bool) -> None:
    """Forget runs that ended long ago, and stored contents that no run needs any more.

    Never forgotten: a run that waits, was interrupted or is being worked on, and one that evidence about a prompt
    rests on. What is forgotten cannot be looked at or undone any more.
    """

    async def work(app: App) -> dict[str, Any]:
        old = await app.forgettable(keep_days=days)
        rows = [{"run_id": r.run_id, "title": r.title, "finished_at": r.finished_at} for r in old]
        if dry_run:
            return {"dry_run": True, "runs": len(old), "blobs": None, "bytes": None, "would_forget": rows}
        collected = await app.forget_old(keep_days=days)
        return {"dry_run": False, "runs": collected.runs, "blobs": collected.blobs, "bytes": collected.bytes}

    began = time.monotonic()
    found = with_app(work)
    if as_json:
        print_json(found)
        return
    out = console()
    for row in found.get("would_forget", ()):
        out.print(f"{row['run_id']}  {when(row['finished_at'])}  {safe(row['title'])[:60]}", markup=False)
    if dry_run:
        out.print(f"{counted(found['runs'], 'run')} would be forgotten.")
    else:
        size = found["bytes"] / 1024**2
        took = time.monotonic() - began
        out.print(
            f"{counted(found['runs'], 'run')} and {counted(found['blobs'], 'content')} ({size:.1f} MiB) forgotten in {took:.1f} s."
        )
