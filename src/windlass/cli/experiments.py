"""``windlass prompts experiment start | status | stop``: real runs split between versions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click
from rich.text import Text

from windlass.cli.common import console, print_json
from windlass.cli.prompts import with_prompts
from windlass.cli.root import safe

if TYPE_CHECKING:
    from windlass.app import App
    from windlass.store.prompt_experiments import Experiment, PromptExperiments

T = TypeVar("T")

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group("experiment")
def experiment() -> None:
    """Split real runs between versions, more of them to what does better.

    Which version a run gets follows from its id; no version gets less than a tenth of the runs.

    \b
    windlass prompts experiment start coding.repair 2
    windlass prompts experiment status coding.repair
    windlass prompts promote coding.repair --auto
    """


@experiment.command("start")
@click.argument("name")
@click.argument("versions", metavar="VERSION...", nargs=-1, type=int, required=True)
@click.option(
    "--alpha",
    type=click.FloatRange(0.0001, 0.5),
    default=0.05,
    show_default=True,
    help="Error rate of a promotion; several versions share it.",
)
@click.option(
    "--cost-cap", type=click.FloatRange(min=0.01), help="Highest allowed ratio of cost per success."
)
@_JSON
def start(name: str, versions: tuple[int, ...], alpha: float, cost_cap: float | None, as_json: bool) -> None:
    """Give each VERSION a share of new runs beside the one in effect."""
    found = _experiments(lambda e: e.start(name, versions, alpha=alpha, cost_cap=cost_cap))
    if as_json:
        print_json(_shown(found))
        return
    arms = ", ".join(str(arm.version_no) for arm in found.arms)
    console().print(
        f"New runs are split between versions {arms} of {name}; see how they do with: "
        f"windlass prompts experiment status {name}",
        soft_wrap=True,
    )


@experiment.command("status")
@click.argument("name")
@_JSON
def status(name: str, as_json: bool) -> None:
    """How the versions do, and whether one has earned promotion."""
    found = _experiments(lambda e: e.status(name))
    if as_json:
        print_json(_shown(found))
        return
    out = console()
    out.print(f"{found.state}{': ' + found.decision if found.decision else ''}", soft_wrap=True)
    for arm in found.arms:
        out.print(
            f"  version {arm.version_no}: {arm.weight:.0%} of new runs, {arm.tally.passes} passed, {arm.tally.fails} failed"
        )
    for comparison in found.comparisons:
        out.print(Text(f"  {safe(comparison.verdict)}"), soft_wrap=True)
    out.print(
        Text("  A case is one run of each version, paired in the order in which they ended.", style="dim"),
        soft_wrap=True,
    )


def _shown(found: Experiment) -> dict[str, Any]:
    arms = [
        {"version": a.version_no, "weight": a.weight, "passes": a.tally.passes, "fails": a.tally.fails}
        for a in found.arms
    ]
    return {
        "id": found.id,
        "state": found.state,
        "decision": found.decision,
        "arms": arms,
        "comparisons": [c.to_json() for c in found.comparisons],
    }


@experiment.command("stop")
@click.argument("name")
@_JSON
def stop(name: str, as_json: bool) -> None:
    """End the split; all new runs get the version in effect. What was learnt is kept."""
    found = _experiments(lambda e: e.stop(name))
    if as_json:
        print_json(_shown(found))
    else:
        console().print(f"The experiment on {name} has ended.", soft_wrap=True)


def _experiments(work: Callable[[PromptExperiments], T]) -> T:
    async def whole(app: App) -> T:
        from windlass.store.prompt_experiments import PromptExperiments

        return await asyncio.to_thread(work, PromptExperiments(app.database))

    return with_prompts(whole)
