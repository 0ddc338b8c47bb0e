"""``windlass runs``: list runs and look into them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import rich_click as click

from windlass.cli.common import console, json_list_option, json_option, print_json, when, with_app
from windlass.cli.maintenance import export, gc
from windlass.cli.root import safe

if TYPE_CHECKING:
    from windlass.app import App
    from windlass.journal import RunRecord


@click.group()
def runs() -> None:
    """List runs and look into them."""


runs.add_command(export)
runs.add_command(gc)


#: The columns before the title, and from which width of the screen on each is shown.
_COLUMNS = (("run", 0), ("status", 0), ("workflow", 50), ("started", 70))
_STEP_COLUMNS = (("seconds", 60), ("calls", 70), ("cost", 45))


@runs.command("list")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Show at most this many."
)
@click.option("--status", multiple=True, help="Only runs of this status, such as Failure; may be repeated.")
@click.option("--search", metavar="TEXT", help="Only runs whose id, title or workflow holds this.")
@json_list_option
def list_runs(limit: int, status: tuple[str, ...], search: str | None, as_json: bool) -> None:
    """Runs, newest first.

    \b
    windlass runs list --status Failure --search slug
    """
    from rich.table import Table
    from rich.text import Text

    from windlass.cli.session import offer_interrupted
    from windlass.errors import InputError
    from windlass.events import WorkflowStatus
    from windlass.report import display_status

    known = {s.value.lower(): s for s in WorkflowStatus}
    for word in status:
        if word.lower() not in known:
            raise InputError(
                f"No status is called {word!r}; known: {', '.join(s.value for s in WorkflowStatus)}."
            )
    wanted = [known[word.lower()] for word in status] or None

    async def collect(app: App) -> tuple[list[RunRecord], int]:
        listed = await app.journal.list_runs(limit=limit, status=wanted, search=search)
        return listed, 0 if as_json else len(await app.interrupted())

    found, interrupted = with_app(collect)
    if as_json:
        print_json(
            [
                {
                    "run_id": r.run_id,
                    "workflow": r.workflow,
                    "status": r.status.value,
                    "title": r.title,
                    "workspace": r.workspace,
                    "created_at": r.created_at,
                    "finished_at": r.finished_at,
                    "owner": r.owner,
                }
                for r in found
            ]
        )
        return
    if not found:
        console().print("No runs." if not (search or status) else "No run fits.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    # Where it is narrow, the others give way: a cut id could not be copied.
    out = console()
    columns = [name for name, least in _COLUMNS if out.width >= least]
    for column in columns:
        table.add_column(column, no_wrap=True)
    table.add_column("title", no_wrap=True, overflow="ellipsis", ratio=1)
    table.expand = True
    styles = {"Success": "green", "Failure": "red", "Waiting": "yellow", "interrupted": "yellow"}
    for r in found:
        word = display_status(r)
        cells: dict[str, str | Text] = {
            "run": r.run_id,
            "status": Text(word, style=styles.get(word, "")),
            "workflow": r.workflow,
            "started": when(r.created_at),
        }
        table.add_row(*(cells[name] for name in columns), Text(safe(r.title)[:80]))
    out.print(table)
    offer_interrupted(out, interrupted)


@runs.command("show")
@click.argument("run", metavar="RUN")
@click.option(
    "--calls", is_flag=True, help="Also every model call: attempt, model, prompt version, tokens, cost."
)
@click.option("--events", is_flag=True, help="Also every stored event.")
@json_option
def show(run: str, calls: bool, events: bool, as_json: bool) -> None:
    """What RUN did: steps, files, tests, tokens and cost. RUN is an id, its beginning or end, or `last`.

    \b
    windlass runs show last --calls
    """
    found = with_app(lambda app: _collect(app, run, calls, events))
    if as_json:
        print_json(found)
        return
    _print_run(found)


async def _collect(app: App, run: str, calls: bool, events: bool) -> dict[str, Any]:
    from windlass.report import call_rows, report

    record = await app.journal.get_run(run)
    entries = await app.journal.entries(record.run_id)
    stored = await app.journal.events(record.run_id)
    found = report(record, entries, stored)
    found |= {
        "title": record.title,
        "created_at": record.created_at,
        "finished_at": record.finished_at,
        "owner": record.owner,
        "parent_run": record.parent_run,
    }
    if calls:
        found["calls"] = call_rows(entries)
    if events:
        found["events"] = [{"name": e.name, "seq": e.seq, "at": e.at, **dict(e.payload)} for e in stored]
    return found


def _print_run(found: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from windlass.cli.ask import show_detail
    from windlass.cli.outcome import outcome_lines

    out = console()
    out.print(Text(safe(found["title"]), style="bold"))
    out.print(
        Text(
            f"run {found['run_id']} · {found['workflow']} · started {when(found['created_at'])}", style="dim"
        )
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("step")
    table.add_column("status", no_wrap=True)
    # Where it is narrow, the steps' names and how they ended are what counts.
    columns = [name for name, least in _STEP_COLUMNS if out.width >= least]
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for step in found["steps"]:
        depth = step["path"].count(".") + step["path"].count("[")
        known = f"${step['known_cost_usd']:.4f}" if step["known_cost_usd"] else "-"
        cost = known if step["cost_usd"] is not None else "unknown" if known == "-" else f"≥ {known}"
        cells = {
            "seconds": f"{step['seconds']:.1f}",
            "calls": str(step["requests"] or "-"),
            "cost": cost if step["requests"] else "-",
        }
        name = Text("  " * depth + safe(f"{step['name']}"))
        table.add_row(name, step["status"], *(cells[column] for column in columns))
    out.print(table)
    if found["waiting_for"]:
        show_detail(out, found["waiting_for"]["detail"])
    for line in outcome_lines(found):
        out.print(line, soft_wrap=True)
    for call in found.get("calls", ()):
        out.print(Text(f"  {call['path']}#{call['attempt']} {call['state']}"), soft_wrap=True)
        details = safe(" · ".join(_call_details(call)))
        for part in textwrap.wrap(details, out.width - 4, break_on_hyphens=False):
            out.print(Text(f"    {part}", style="dim"), soft_wrap=True)
    for event in found.get("events", ()):
        import json

        rest = {k: v for k, v in event.items() if k not in ("name", "seq", "at", "run_id", "event_id")}
        out.print(
            Text(f"  {event['seq']:>4} {when(event['at'])} {event['name']} {safe(json.dumps(rest))[:400]}"),
            soft_wrap=True,
        )


#: What is said where the text of a prompt is not the database's.
_SOURCES = {"stale": " (stale)", "default": " (from the code)"}


def _cost(call: Mapping[str, Any]) -> str:
    if call["copied_from"] is not None:
        return f"copied from run {call['copied_from']}"
    return "cost unknown" if call["cost_usd"] is None else f"${call['cost_usd']}"


def _call_details(call: Mapping[str, Any]) -> list[str]:
    tokens = [call["input_tokens"], call["output_tokens"]]
    return [
        call["prompt"] + _SOURCES.get(call["provenance"], ""),
        f"{call['model']}",
        "tokens unknown" if None in tokens else f"{tokens[0]}→{tokens[1]} tokens",
        _cost(call),
        *filter(None, [call["error"]]),
    ]


@runs.command("prompt")
@click.argument("run", metavar="RUN")
@click.argument("step", metavar="STEP")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list with prompt versions and replies.")
def prompt(run: str, step: str, as_json: bool) -> None:
    """The exact text that STEP of RUN sent, as it was sent. STEP is a path from `runs show`.

    \b
    windlass runs prompt last design_step
    """
    from windlass.errors import NotFound
    from windlass.report import sent_texts

    async def collect(app: App) -> list[dict[str, Any]]:
        record = await app.journal.get_run(run)
        return sent_texts(await app.journal.entries(record.run_id), step)

    found = with_app(collect)
    if not found:
        raise NotFound(
            f"The step {step!r} of that run has sent nothing; see its paths with: windlass runs show {run} --calls"
        )
    if as_json:
        print_json(found)
        return
    for call in found:
        for message in call["messages"]:
            print(safe(message["content"]))
