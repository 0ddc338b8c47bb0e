"""``windlass prompts compare | promote``: which version is better, how sure that is, and what follows from it."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from rich.text import Text

from windlass.cli.common import console, json_option, print_json
from windlass.cli.outcome import counted
from windlass.cli.prompts import who, with_prompts
from windlass.cli.root import safe
from windlass.cli.run import Usd, model_option
from windlass.errors import InputError

if TYPE_CHECKING:
    from windlass.app import App
    from windlass.evidence import Comparison, Tally
    from windlass.prompt import Resolved
    from windlass.prompt.compare import Compared


@click.command("compare")
@click.argument("name")
@click.option(
    "--versions", required=True, metavar="OLD,NEW", help="Two version numbers, the present one first."
)
@click.option(
    "--cases", "cases_file", required=True, type=click.Path(path_type=Path), help="JSONL: a case a line."
)
@model_option
@click.option("--budget", type=Usd(), metavar="USD", help="Stop before spending more than this.")
@click.option(
    "--alpha",
    type=click.FloatRange(0.0001, 0.5),
    default=0.05,
    show_default=True,
    help="Error rate of a promotion.",
)
@click.option(
    "--cost-cap",
    type=click.FloatRange(min=0.01),
    help="Highest allowed ratio of cost per success, new to old.",
)
@click.option("--all-cases", is_flag=True, help="Run every case, even when it is decided earlier.")
@click.option(
    "--concurrency", type=click.IntRange(1, 64), default=4, show_default=True, help="Cases side by side."
)
@click.option("--promote", "promote_it", is_flag=True, help="Put NEW in effect if it is proven better.")
@click.option("--author", help="Who, for --promote. [default: your user name]")
@json_option
def compare(
    name: str,
    versions: str,
    cases_file: Path,
    model: str | None,
    budget: Decimal | None,
    alpha: float,
    cost_cap: float | None,
    all_cases: bool,
    concurrency: int,
    promote_it: bool,
    author: str | None,
    as_json: bool,
) -> None:
    """Run two versions of a prompt on the same cases, and say plainly which is better.

    A case is a coding task with its tests, or values for the prompt with what the reply must hold; see
    docs/reference/prompts.md. Stopped in the middle, the same command goes on where it was. Cases that a version was found on
    (see optimise) are left out.

    \b
    windlass prompts compare coding.repair --versions 1,2 --cases cases.jsonl --model openai:gpt-5-mini --budget 5
    """
    from windlass.prompt.cases import cases_digest, fingerprint, load_cases
    from windlass.prompt.compare import compare as run_compare
    from windlass.prompt.promotion import promote as promote_on
    from windlass.trials import Trials, check_cases

    old, new = _two(versions)
    cases = load_cases(cases_file)
    check_cases(cases)

    async def work(app: App) -> tuple[Compared, int]:
        from windlass.store.prompt_comparisons import SqlResultBook
        from windlass.store.prompt_searches import learnt_from

        options = {"model": model, "fast_model": None}
        app.check_models(options)
        store = app.prompts
        first = await asyncio.to_thread(store.get, name, old, retired=True)
        second = await asyncio.to_thread(store.get, name, new, retired=True)
        learnt = set[str]().union(
            *[await asyncio.to_thread(learnt_from, app.database, name, number) for number in (old, new)]
        )
        fair = [case for case in cases if fingerprint(case) not in learnt]
        left_out = len(cases) - len(fair)
        if not fair:
            raise InputError(
                f"Every case in {cases_file} was used to find one of these versions; compare them on others, such as those that "
                "windlass prompts optimise held out."
            )
        if left_out and not as_json:
            click.echo(
                f"  left out: {counted(left_out, 'case')} that one of the versions was found on", err=True
            )
        context = f"{cases_digest(fair)} {model or app.settings.model}"

        def progress(now: Comparison) -> None:
            if not as_json:
                click.echo(
                    f"  {counted(now.pairs, 'case')}: only {new} passed {now.only_new}, only {old} {now.only_old}, E = {now.e_value:.3g}",
                    err=True,
                )

        done = await run_compare(
            first,
            second,
            fair,
            Trials(app, name, options, context).run_case,
            SqlResultBook(app.database, name, old, new, context=context),
            alpha=alpha,
            cost_cap=cost_cap,
            budget_micro=None if budget is None else int(budget * 1_000_000),
            side_by_side=concurrency,
            until_decided=not all_cases,
            on_progress=progress,
        )
        if promote_it and done.comparison.decision == "promote":
            await asyncio.to_thread(promote_on, store, name, done.comparison, actor=who(author))
        return done, left_out

    done, left_out = with_prompts(work)
    promoted = promote_it and done.comparison.decision == "promote"
    if as_json:
        print_json(
            {
                "ended": done.ended,
                "ran": done.ran,
                "spent_micro": done.spent_micro,
                "promoted": promoted,
                "problem": done.problem,
                "left_out": left_out,
                **done.comparison.to_json(),
            }
        )
        return
    _show(done.comparison)
    out = console()
    if done.problem is not None:
        told = f"Cases that ended in an error count for nothing and are tried again by the same command ({safe(done.problem)})"
        out.print(Text(told, style="yellow"), soft_wrap=True)
    if done.ended == "budget":
        out.print(Text("Stopped at the budget; the same command with a larger one goes on.", style="yellow"))
    if promoted:
        out.print(f"Version {new} of {name} is in effect.", soft_wrap=True)
    elif done.comparison.decision == "promote":
        out.print(f"Put it in effect with: windlass prompts promote {name} --auto", soft_wrap=True)


def _two(versions: str) -> tuple[int, int]:
    try:
        old, new = (int(part) for part in versions.split(","))
    except ValueError:
        raise InputError(f"--versions takes two numbers such as 2,5, not {versions!r}.") from None
    return old, new


def _show(comparison: Comparison) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("version", "passed", "failed", "errors", "pass rate", "95 % bounds", "cost per success"):
        table.add_column(column, justify="right")
    for tally in (comparison.old, comparison.new):
        table.add_row(*_row(tally))
    out = console()
    out.print(table)
    out.print(
        f"{counted(comparison.pairs, 'case')} answered by both: {comparison.both} both passed, {comparison.only_new} only the new one, "
        f"{comparison.only_old} only the old one, {comparison.neither} neither; E = {comparison.e_value:.3g}, "
        f"{1 / comparison.alpha:.0f} is enough.",
        soft_wrap=True,
    )
    style = {"promote": "bold green", "worse": "bold red"}.get(comparison.decision, "bold yellow")
    out.print(Text(safe(comparison.verdict), style=style), soft_wrap=True)


def _row(tally: Tally) -> list[str]:
    rate = "-" if tally.pass_rate is None else f"{tally.pass_rate:.0%}"
    low, high = tally.interval
    cost = tally.cost_per_success_micro
    told = "unknown" if tally.unpriced else "-" if cost is None else f"${cost / 1e6:.4f}"
    counts = (tally.version_no, tally.passes, tally.fails, tally.errors)
    return [*map(str, counts), rate, f"{low:.0%}–{high:.0%}", told]


@click.command("promote")
@click.argument("name")
@click.option("--auto", is_flag=True, help="Needed: promote what the evidence proves, or nothing.")
@click.option("--author", help="Who. [default: your user name]")
@json_option
def promote(name: str, auto: bool, author: str | None, as_json: bool) -> None:
    """Put the version in effect that has earned it; refuse when none has.

    Evidence is a comparison with the version in effect whose E-value reached 1/alpha with at least five discordant cases,
    within its cost cap. To switch without evidence, use: windlass prompts use.

    \b
    windlass prompts promote coding.repair --auto
    """
    if not auto:
        raise InputError(
            f"Add --auto to promote what the evidence proves; to switch without evidence: windlass prompts use {name} NUMBER"
        )

    async def work(app: App) -> tuple[Resolved, Comparison]:
        return await asyncio.to_thread(_promote, app, name, who(author))

    resolved, found = with_prompts(work)
    if as_json:
        print_json(
            {
                "name": name,
                "version": resolved.version_no,
                "revision": resolved.revision,
                "evidence": found.to_json(),
            }
        )
    else:
        console().print(
            f"Version {resolved.version_no} of {name} is in effect. {found.verdict}", soft_wrap=True
        )


def _promote(app: App, name: str, actor: str) -> tuple[Resolved, Comparison]:
    from windlass.errors import NotFound
    from windlass.prompt.promotion import earned
    from windlass.prompt.promotion import promote as promote_on
    from windlass.store.prompt_comparisons import concluded
    from windlass.store.prompt_experiments import PromptExperiments

    now = app.prompts.effective(name).version_no
    assert now is not None
    experiments = PromptExperiments(app.database)
    try:
        running = experiments.status(name)
    except NotFound:
        running = None
    if running is not None and running.state != "running":
        running = None
    found = running.winner if running is not None else None
    if found is None:
        found = earned(concluded(app.database, name), now)
    if found is None and running is not None:
        found = max(running.comparisons, key=lambda each: each.e_value)
    if found is None:
        raise InputError(
            f"Prompt {name!r} stays as it is: there is no evidence that another version is better than version {now}; "
            f"make some with: windlass prompts compare {name} --versions {now},NEW --cases FILE"
        )
    resolved = promote_on(app.prompts, name, found, actor=actor)
    if running is not None:
        experiments.stop(name, decision=f"version {resolved.version_no} promoted")
    return resolved, found
