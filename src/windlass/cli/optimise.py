"""``windlass prompts optimise``: let a model rewrite a prompt; what it finds must earn its promotion."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from windlass.cli.common import console, json_option, print_json
from windlass.cli.prompts import who, with_prompts
from windlass.cli.run import Usd
from windlass.errors import InputError

if TYPE_CHECKING:
    from windlass.app import App
    from windlass.prompt.cases import Case
    from windlass.prompt.optimise import Optimised


@click.command("optimise")
@click.argument("name")
@click.option(
    "--cases", "cases_file", required=True, type=click.Path(path_type=Path), help="JSONL: a case a line."
)
@click.option("--model", metavar="MODEL", help="Model that is prompted. [env: WINDLASS_MODEL]")
@click.option(
    "--reflection-model", metavar="MODEL", help="Model that rewrites the prompt. [default: the same]"
)
@click.option("--budget", type=Usd(), metavar="USD", help="Stop once this is spent.")
@click.option(
    "--max-case-runs",
    type=click.IntRange(4, 100_000),
    default=200,
    show_default=True,
    help="Stop after so many.",
)
@json_option
def optimise(
    name: str,
    cases_file: Path,
    model: str | None,
    reflection_model: str | None,
    budget: Decimal | None,
    max_case_runs: int,
    as_json: bool,
) -> None:
    """Search for better texts with GEPA (extra: optimise). Half of the cases are held out.

    What is found becomes versions that are not in effect; compare them on the held-out cases, which are written beside the
    case file, to promote one. The others do not count for them. Started again, it asks for no reply that it has.

    \b
    windlass prompts optimise coding.repair --cases cases.jsonl --reflection-model openai:gpt-5
    """
    from windlass.prompt.cases import cases_digest, fingerprint, hold_out, load_cases
    from windlass.prompt.optimise import optimise as search
    from windlass.trials import Trials, check_cases

    cases = load_cases(cases_file)
    check_cases(cases)
    learn, held = hold_out(cases)

    async def work(app: App) -> Optimised:
        from windlass.store.prompt_searches import remember

        options = {"model": model, "fast_model": None}
        app.check_models(options)
        app.check_models({"model": reflection_model or model, "fast_model": None})
        context = f"{cases_digest(learn)} {model or app.settings.model}"
        trials = Trials(app, name, options, context)
        found = await search(
            app.prompts,
            name,
            learn,
            trials.run_case,
            partial(trials.reflect, reflection_model or model),
            max_case_runs=max_case_runs,
            budget_micro=None if budget is None else int(budget * 1_000_000),
            author=who(None),
        )
        if found.candidates:
            numbers = [candidate.version_no for candidate in found.candidates]
            await asyncio.to_thread(remember, app.database, name, numbers, map(fingerprint, learn))
        return found

    found = with_prompts(work)
    held_file = _write(cases_file.with_suffix(".held-out.jsonl"), held)
    if as_json:
        candidates = [
            {"version": c.version_no, "parent": c.parent_version_no, "score": c.score}
            for c in found.candidates
        ]
        print_json(
            {
                "base": found.base_version_no,
                "base_score": found.base_score,
                "candidates": candidates,
                "texts_tried": found.texts_tried,
                "case_runs": found.case_runs,
                "spent_micro": found.spent_micro,
                "held_out": str(held_file),
            }
        )
    else:
        _show(name, found, held_file)


def _write(file: Path, cases: Sequence[Case]) -> Path:
    lines = [json.dumps({**case.data, "id": case.id}) + "\n" for case in cases]
    try:
        file.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}.") from None
    return file


def _show(name: str, found: Optimised, held_file: Path) -> None:
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
