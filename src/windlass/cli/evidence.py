"""``windlass prompts compare | promote | experiment | optimise``: which version is better, and how sure that is."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.text import Text

from windlass.cli.common import console, print_json, with_app
from windlass.cli.root import safe
from windlass.cli.run import Usd
from windlass.errors import InputError

if TYPE_CHECKING:
    from windlass.app import App
    from windlass.evidence import Comparison, Tally


def _micro(budget: Decimal | None) -> int | None:
    return None if budget is None else int(budget * 1_000_000)


@click.command("compare")
@click.argument("name")
@click.option(
    "--versions", required=True, metavar="OLD,NEW", help="Two version numbers, the present one first."
)
@click.option(
    "--cases", "cases_file", required=True, type=click.Path(path_type=Path), help="JSONL: a case a line."
)
@click.option("--model", metavar="MODEL", help="Model or alias. [env: WINDLASS_MODEL]")
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
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def compare(name: str, versions: str, cases_file: Path, model: str | None, **given: Any) -> None:
    """Run two versions of a prompt on the same cases, and say plainly which is better.

    A case is a coding task with its tests, or values for the prompt with what the reply must hold; see
    docs/reference/prompts.md. Stopped in the middle, the same command goes on where it was.

    \b
    windlass prompts compare coding.repair --versions 1,2 --cases cases.jsonl --model openai:gpt-5-mini --budget 5
    """
    from windlass.prompt.compare import Compared, cases_digest, load_cases, promote
    from windlass.prompt.compare import compare as run_compare
    from windlass.trials import Trials, check_cases

    old, new = _two(versions)
    cases = load_cases(cases_file)
    check_cases(cases)

    async def work(app: App) -> Compared:
        from windlass.store.prompt_comparisons import SqlResultBook

        options = {"model": model, "fast_model": None}
        app.check_models(options)
        store = app.prompts
        first = await asyncio.to_thread(store.get, name, old, retired=True)
        second = await asyncio.to_thread(store.get, name, new, retired=True)
        context = f"{cases_digest(cases)} {model or app.settings.model}"
        book = SqlResultBook(app.database, name, old, new, context=context)

        def progress(now: Comparison) -> None:
            if not given["as_json"]:
                click.echo(
                    f"  {now.pairs} cases: only {new} passed {now.only_new}, only {old} {now.only_old}, E = {now.e_value:.3g}",
                    err=True,
                )

        done = await run_compare(
            first,
            second,
            cases,
            Trials(app, name, options, context).run_case,
            book,
            alpha=given["alpha"],
            cost_cap=given["cost_cap"],
            budget_micro=_micro(given["budget"]),
            side_by_side=given["concurrency"],
            until_decided=not given["all_cases"],
            on_progress=progress,
        )
        if given["promote_it"] and done.comparison.decision == "promote":
            await asyncio.to_thread(promote, store, name, done.comparison)
        return done

    done = with_app(work)
    if given["as_json"]:
        print_json(
            {
                "ended": done.ended,
                "ran": done.ran,
                "spent_micro": done.spent_micro,
                **done.comparison.to_json(),
            }
        )
        return
    _show(done.comparison)
    if done.ended == "budget":
        console().print(
            Text("Stopped at the budget; the same command with a larger one goes on.", style="yellow")
        )
    if given["promote_it"] and done.comparison.decision == "promote":
        console().print(f"Version {new} of {name} is in effect.")


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
        f"{comparison.pairs} cases answered by both: {comparison.both} both passed, {comparison.only_new} only the new one, "
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
    return [
        str(tally.version_no),
        str(tally.passes),
        str(tally.fails),
        str(tally.errors),
        rate,
        f"{low:.0%}–{high:.0%}",
        told,
    ]


@click.command("promote")
@click.argument("name")
@click.option("--auto", is_flag=True, help="Needed: promote what the evidence proves, or nothing.")
@click.option("--author", help="Who.")
def promote(name: str, auto: bool, author: str | None) -> None:
    """Put the version in effect that has earned it; refuse when none has.

    Evidence is a comparison whose E-value reached 1/alpha with at least five discordant cases, within its cost cap.
    To switch without evidence, use: windlass prompts use.
    """
    from windlass.prompt.compare import promote as promote_on

    if not auto:
        raise InputError(
            f"Add --auto to promote what the evidence proves; to switch without evidence: windlass prompts use {name} NUMBER"
        )

    async def work(app: App) -> Any:
        from windlass.store.prompt_comparisons import concluded
        from windlass.store.prompt_experiments import PromptExperiments

        experiments = PromptExperiments(app.database)
        try:
            running = await asyncio.to_thread(experiments.status, name)
        except LookupError:
            running = None
        found = running.winner if running is not None and running.state == "running" else None
        if found is None:
            proven = await asyncio.to_thread(concluded, app.database, name)
            if not proven:
                raise InputError(
                    f"Prompt {name!r} stays as it is: there is no evidence yet; make some with windlass prompts compare."
                )
            found = proven[-1]
        resolved = await asyncio.to_thread(promote_on, app.prompts, name, found, actor=author)
        if running is not None and running.state == "running":
            await asyncio.to_thread(
                experiments.stop, name, decision=f"version {resolved.version_no} promoted"
            )
        return resolved, found

    resolved, found = with_app(work)
    console().print(f"Version {resolved.version_no} of {name} is in effect. {found.verdict}", soft_wrap=True)


@click.group("experiment")
def experiment() -> None:
    """Split real runs between versions, more of them to what does better."""


@experiment.command("start")
@click.argument("name")
@click.argument("versions", nargs=-1, type=int, required=True)
@click.option(
    "--alpha",
    type=click.FloatRange(0.0001, 0.5),
    default=0.05,
    show_default=True,
    help="Error rate of a promotion.",
)
@click.option(
    "--cost-cap", type=click.FloatRange(min=0.01), help="Highest allowed ratio of cost per success."
)
def start(name: str, versions: tuple[int, ...], alpha: float, cost_cap: float | None) -> None:
    """Give VERSIONS a share of new runs beside the one in effect."""
    found = _experiments(lambda e: e.start(name, versions, alpha=alpha, cost_cap=cost_cap))
    arms = ", ".join(str(arm.version_no) for arm in found.arms)
    console().print(f"New runs are split between versions {arms} of {name}.", soft_wrap=True)


@experiment.command("status")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(name: str, as_json: bool) -> None:
    """How the versions do, and whether one has earned promotion."""
    found = _experiments(lambda e: e.status(name))
    if as_json:
        print_json(
            {
                "id": found.id,
                "state": found.state,
                "decision": found.decision,
                "arms": [
                    {
                        "version": a.version_no,
                        "weight": a.weight,
                        "passes": a.tally.passes,
                        "fails": a.tally.fails,
                    }
                    for a in found.arms
                ],
                "comparisons": [c.to_json() for c in found.comparisons],
            }
        )
        return
    out = console()
    out.print(f"{found.state}{': ' + found.decision if found.decision else ''}", soft_wrap=True)
    for arm in found.arms:
        out.print(
            f"  version {arm.version_no}: {arm.weight:.0%} of new runs, {arm.tally.passes} passed, {arm.tally.fails} failed"
        )
    for comparison in found.comparisons:
        out.print(Text(f"  {safe(comparison.verdict)}"), soft_wrap=True)


@experiment.command("stop")
@click.argument("name")
def stop(name: str) -> None:
    """End the split; all new runs get the version in effect. What was learnt is kept."""
    _experiments(lambda e: e.stop(name))
    console().print(f"The experiment on {name} has ended.", soft_wrap=True)


def _experiments(work: Any) -> Any:
    async def whole(app: App) -> Any:
        from windlass.store.prompt_experiments import PromptExperiments

        return await asyncio.to_thread(work, PromptExperiments(app.database))

    return with_app(whole)


@click.command("optimise")
@click.argument("name")
@click.option(
    "--cases", "cases_file", required=True, type=click.Path(path_type=Path), help="JSONL: a case a line."
)
@click.option("--model", metavar="MODEL", help="Model that is prompted. [env: WINDLASS_MODEL]")
@click.option(
    "--reflection-model", metavar="MODEL", help="Model that rewrites the prompt. [default: the same]"
)
@click.option("--budget", type=Usd(), metavar="USD", help="Stop before spending more than this on cases.")
@click.option(
    "--max-case-runs",
    type=click.IntRange(4, 100_000),
    default=200,
    show_default=True,
    help="Stop after so many.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def optimise(
    name: str, cases_file: Path, model: str | None, reflection_model: str | None, **given: Any
) -> None:
    """Search for better texts with GEPA (extra: optimise). Half of the cases are held out.

    What is found becomes versions that are not in effect; compare them on the held-out cases, which are written beside the
    case file, to promote one.
    """
    import json

    from windlass.prompt.compare import cases_digest, hold_out, load_cases
    from windlass.prompt.optimise import Optimised
    from windlass.prompt.optimise import optimise as search
    from windlass.trials import Trials, check_cases

    cases = load_cases(cases_file)
    check_cases(cases)
    learn, held = hold_out(cases)
    held_file = cases_file.with_suffix(".held-out.jsonl")

    async def work(app: App) -> Optimised:
        from windlass.llm.base import Message

        options = {"model": model, "fast_model": None}
        app.check_models(options)
        reflector = app.models_for({"model": reflection_model or model}).get("main")

        async def reflect(prompt: str) -> str:
            return (await reflector.request([Message("user", prompt)])).text

        context = f"{cases_digest(learn)} {model or app.settings.model}"
        return await search(
            app.prompts,
            name,
            learn,
            Trials(app, name, options, context).run_case,
            reflect,
            max_case_runs=given["max_case_runs"],
            budget_micro=_micro(given["budget"]),
        )

    found = with_app(work)
    try:
        held_file.write_text(
            "".join(json.dumps({**case.data, "id": case.id}) + "\n" for case in held), encoding="utf-8"
        )
    except OSError as error:
        raise InputError(f"{held_file} cannot be written: {error.strerror}.") from None
    if given["as_json"]:
        print_json(
            {
                "base": found.base_version_no,
                "base_score": found.base_score,
                "candidates": [
                    {"version": c.version_no, "parent": c.parent_version_no, "score": c.score}
                    for c in found.candidates
                ],
                "case_runs": found.case_runs,
                "held_out": str(held_file),
            }
        )
        return
    out = console()
    if not found.candidates:
        out.print(
            f"No text beat version {found.base_version_no} ({found.base_score:.0%} of the cases); {found.texts_tried} were tried.",
            soft_wrap=True,
        )
        return
    for c in found.candidates:
        out.print(
            f"version {c.version_no} (from {c.parent_version_no}): {c.score:.0%} against {found.base_score:.0%}"
        )
    best = max(found.candidates, key=lambda c: c.score)
    out.print(
        f"They must earn their place: windlass prompts compare {name} --versions {found.base_version_no},{best.version_no} "
        f"--cases {held_file} --promote",
        soft_wrap=True,
    )
