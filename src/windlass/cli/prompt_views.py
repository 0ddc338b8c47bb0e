"""``windlass prompts list | show | diff | log | drift | stats``: what is there, and how it got there."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.text import Text

from windlass.cli.common import console, json_list_option, json_option, print_json, when
from windlass.cli.files import coloured
from windlass.cli.outcome import counted
from windlass.cli.prompts import with_store
from windlass.cli.root import safe

if TYPE_CHECKING:
    from windlass.prompt import PromptStore, Switch, VersionInfo


@click.command("list")
@json_list_option
def list_prompts(as_json: bool) -> None:
    """Every prompt: how many versions live, which one is in effect."""
    from rich.table import Table

    def work(store: PromptStore) -> list[dict[str, Any]]:
        rows = []
        for name in store.names():
            effective, versions = store.effective(name), store.versions(name)
            rows.append(
                {
                    "name": name,
                    "effective": effective.version_no,
                    "revision": effective.revision,
                    "latest": max(v.version_no for v in versions),
                    "versions": [v.version_no for v in versions],
                }
            )
        return rows

    rows = with_store(work)
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("prompt", "in effect", "live versions"):
        table.add_column(column)
    for row in rows:
        table.add_row(row["name"], str(row["effective"]), " ".join(map(str, row["versions"])))
    console().print(table)


@click.command("show")
@click.argument("name")
@click.option("--version", "number", type=int, help="This version. [default: the one in effect]")
@click.option("--versions", "listing", is_flag=True, help="List the versions, retired ones too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, number: int | None, listing: bool, as_json: bool) -> None:
    """The text of a prompt, exactly; or its versions.

    \b
    windlass prompts show coding.repair > repair.md
    windlass prompts show coding.repair --versions
    """
    if listing:
        versions = with_store(lambda store: store.versions(name, retired=True))
        if as_json:
            print_json([_version(v) for v in versions])
        else:
            _print_versions(versions)
        return

    def work(store: PromptStore) -> dict[str, Any]:
        now = store.effective(name)
        text = now.content if number is None else store.get(name, number, retired=True).prompt_content
        version = now.version_no if number is None else number
        return {"name": name, "version": version, "text": text, "revision": now.revision}

    found = with_store(work)
    if as_json:
        print_json(found)
    else:
        text = safe(found["text"])
        # A text without a last line feed would run into the shell's prompt; a file gets it as it is.
        sys.stdout.write(text + ("\n" if sys.stdout.isatty() and not text.endswith("\n") else ""))


def _version(v: VersionInfo) -> dict[str, Any]:
    archived = None if v.archived_at is None else v.archived_at.isoformat()
    return {**asdict(v), "created_at": v.created_at.isoformat(), "archived_at": archived}


def _print_versions(versions: Any) -> None:
    line = "{:>7}  {:<16}  {:<9}  {:>4}  {:<12}  {:<9}  {}"
    out = console()
    head = line.format("version", "added", "origin", "from", "author", "state", "note")
    out.print(Text(head, style="bold"), soft_wrap=True)
    for v in versions:
        state = "in effect" if v.is_current_effective else "retired" if v.archived_at else "live"
        added = when(v.created_at.timestamp())[:16]
        told = (
            v.version_no,
            added,
            v.origin,
            v.parent_version_no or "-",
            v.author or "-",
            state,
            v.note or "",
        )
        out.print(Text(safe(line.format(*told)).rstrip()), soft_wrap=True)


@click.command("diff")
@click.argument("name")
@click.argument("numbers", metavar="[OLD] [NEW]", nargs=-1, type=int)
@json_option
def diff(name: str, numbers: tuple[int, ...], as_json: bool) -> None:
    """What changed from version OLD to version NEW.

    With one number: from the version in effect to that one; with none: to the newest.

    \b
    windlass prompts diff coding.repair 1 2
    """
    if len(numbers) > 2:
        raise click.UsageError("Two versions can be compared, not more.")

    def work(store: PromptStore) -> tuple[int, int, str]:
        old = numbers[0] if len(numbers) == 2 else store.effective(name).version_no
        new = numbers[-1] if numbers else store.latest(name).version_no
        assert old is not None
        return old, new, store.diff(name, old, new)

    old, new, text = with_store(work)
    if as_json:
        print_json({"name": name, "old": old, "new": new, "diff": text})
    elif text:
        console().print(coloured(text), soft_wrap=True, end="")
    else:
        console().print(f"Versions {old} and {new} of {name} have the same text.", soft_wrap=True)


@click.command("log")
@click.argument("name")
@json_list_option
def log(name: str, as_json: bool) -> None:
    """Every move of the effective version: when, who, why, and on what evidence."""
    found = with_store(lambda store: store.log(name))
    if as_json:
        print_json([{**asdict(s), "at": s.at.isoformat()} for s in found])
        return
    out = console()
    for s in found:
        moved = f"{s.from_version_no or '-'} → {s.to_version_no}"
        line = f"{when(s.at.timestamp())}  {moved:<7}  {s.kind:<8}  {s.actor or '-'}  {s.reason or ''}"
        out.print(Text(safe(line.rstrip())), soft_wrap=True)
        for told in _evidence(s):
            out.print(Text(safe(f"    {told}"), style="dim"), soft_wrap=True)


def _evidence(switch: Switch) -> list[str]:
    """The evidence a promotion rested on, in words."""
    if not switch.evidence:
        return []
    from windlass.evidence import Comparison

    found = Comparison.from_json(switch.evidence)
    sides = [
        f"version {t.version_no} passed {t.passes} of {t.passes + t.fails}" for t in (found.old, found.new)
    ]
    ratio = found.cost_ratio
    cost = "" if ratio is None else f"; a success cost {ratio:.2f} times as much"
    return [
        f"evidence: {counted(found.pairs, 'case')} answered by both; {', '.join(sides)}{cost}; error rate {found.alpha:.2g}"
    ]


@click.command("drift")
@click.option(
    "--adopt", metavar="NAME", help="Add the code's new default of this prompt as a version, not in effect."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def drift(adopt: str | None, as_json: bool) -> None:
    """Prompts whose default in the code is no longer the one that was stored as version 1.

    What is stored stays in effect until you switch.
    """
    if adopt:
        number = with_store(lambda store: store.adopt_default(adopt))
        if as_json:
            print_json({"name": adopt, "version": number})
        else:
            console().print(
                f"The new default of {adopt} is version {number}, not in effect; put it in effect with: "
                f"windlass prompts use {adopt} {number}",
                soft_wrap=True,
            )
        return
    found = with_store(lambda store: store.drift())
    if as_json:
        print_json([asdict(d) for d in found])
        return
    if not found:
        console().print("No prompt has drifted.")
    from windlass.prompt.rules import text_diff

    for d in found:
        text = text_diff(d.stored_default, d.code_default, f"{d.name} as stored", f"{d.name} in the code")
        console().print(coloured(text), soft_wrap=True)
        console().print(
            f"Add {d.name}'s new default as a version with: windlass prompts drift --adopt {d.name}",
            soft_wrap=True,
        )


@click.command("stats")
@click.argument("name")
@json_list_option
def stats(name: str, as_json: bool) -> None:
    """How each version did in real runs: passes, pass rate with its 95 % bounds, cost per success.

    The runs of a comparison are not among them.
    """
    from rich.table import Table

    found = with_store(lambda store: store.stats(name))
    if as_json:
        print_json(
            [
                {**asdict(s), "pass_rate": s.pass_rate, "cost_per_success_micro": s.cost_per_success_micro}
                for s in found
            ]
        )
        return
    if not found:
        console().print(f"No run has used {name} yet.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in (
        "version", "calls", "passed", "failed", "errors", "pass rate", "95 % bounds", "cost per success"
    ):  # fmt: skip
        table.add_column(column, justify="right")
    for s in found:
        rate = "-" if s.pass_rate is None else f"{s.pass_rate:.0%}"
        cost = s.cost_per_success_micro
        told = "unknown" if s.unpriced else "-" if cost is None else f"${cost / 1e6:.4f}"
        low, high = s.interval
        counts = (s.version_no, s.calls, s.passes, s.fails, s.errors)
        table.add_row(*map(str, counts), rate, f"{low:.0%}–{high:.0%}", told)
    console().print(table)
