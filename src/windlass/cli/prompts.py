"""``windlass prompts``: the versions of every prompt, and which one is in effect."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.text import Text

from windlass.cli.common import console, print_json, with_app
from windlass.cli.files import coloured
from windlass.cli.root import LazyGroup, safe

if TYPE_CHECKING:
    from windlass.app import App

_EVIDENCE = {
    name: (f"windlass.cli.evidence:{name}", short)
    for name, short in (
        ("compare", "Run two versions on the same cases and say which is better."),
        ("promote", "Put a version in effect that earned it."),
        ("experiment", "Split real runs between versions: start, status, stop."),
        ("optimise", "Search for better texts; what is found must earn its promotion."),
    )
}


@click.group(cls=LazyGroup, lazy=_EVIDENCE)
def prompts() -> None:
    """Versions of prompts: look, add, switch, compare.

    Every call of every run records the version that it used.
    """


def _store(work: Any) -> Any:
    async def whole(app: App) -> Any:
        import asyncio

        from windlass.catalogue import introduce

        await asyncio.to_thread(introduce, app.prompts)
        return await asyncio.to_thread(work, app.prompts)

    return with_app(whole)


@prompts.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_prompts(as_json: bool) -> None:
    """Every prompt: how many versions live, which one is in effect."""
    from rich.table import Table

    def work(store: Any) -> list[dict[str, Any]]:
        rows = []
        for name in store.names():
            versions = store.versions(name)
            effective = next(v for v in versions if v.is_current_effective)
            rows.append(
                {
                    "name": name,
                    "effective": effective.version_no,
                    "latest": max(v.version_no for v in versions),
                    "versions": [v.version_no for v in versions],
                }
            )
        return rows

    rows = _store(work)
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("prompt", "in effect", "live versions"):
        table.add_column(column)
    for row in rows:
        table.add_row(row["name"], str(row["effective"]), " ".join(map(str, row["versions"])))
    console().print(table)


@prompts.command("show")
@click.argument("name")
@click.option("--version", "number", type=int, help="This version. [default: the one in effect]")
@click.option("--versions", "listing", is_flag=True, help="List the versions, retired ones too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, number: int | None, listing: bool, as_json: bool) -> None:
    """The text of a prompt, exactly; or its versions."""

    def work(store: Any) -> Any:
        if listing:
            return store.versions(name, retired=True)
        if number is None:
            resolved = store.effective(name)
            return resolved.version_no, resolved.content
        return number, store.get(name, number, retired=True).prompt_content

    found = _store(work)
    if listing:
        rows = [
            {
                **asdict(v),
                "created_at": v.created_at.isoformat(),
                "archived_at": v.archived_at and v.archived_at.isoformat(),
            }
            for v in found
        ]
        if as_json:
            print_json(rows)
            return
        for v in found:
            mark = "in effect" if v.is_current_effective else "retired" if v.archived_at else ""
            line = f"{v.version_no:>4}  {v.created_at:%Y-%m-%d %H:%M}  {v.origin:<9} {v.author or '-':<12} {mark:<9} {v.note or ''}"
            console().print(Text(safe(line)), soft_wrap=True)
        return
    if as_json:
        print_json({"name": name, "version": found[0], "text": found[1]})
    else:
        sys.stdout.write(safe(found[1]))


@prompts.command("add")
@click.argument("name")
@click.argument("text", metavar="TEXT")
@click.option("--note", help="Why: kept with the version.")
@click.option("--author", help="Who.")
@click.option("--use", "use_it", is_flag=True, help="Also put it in effect.")
def add(name: str, text: str, note: str | None, author: str | None, use_it: bool) -> None:
    """Add a version: TEXT, @FILE, or - for standard input. It is not in effect yet.

    \b
    windlass prompts add coding.repair @repair.md --note "ask for the cause first"
    """
    from windlass.inputs import read_requirement

    content = read_requirement(text, "prompt")

    def work(store: Any) -> int:
        number: int = store.add(name, content, note=note, author=author)
        if use_it:
            store.use(name, number, actor=author, reason=note)
        return number

    number = _store(work)
    console().print(
        f"{name} has version {number} now{', in effect' if use_it else '; put it in effect with: windlass prompts use ' + name + ' ' + str(number)}.",
        soft_wrap=True,
    )


@prompts.command("edit")
@click.argument("name")
@click.option("--from", "number", type=int, help="Start from this version. [default: the one in effect]")
@click.option("--note", help="Why: kept with the version.")
@click.option("--author", help="Who.")
def edit(name: str, number: int | None, note: str | None, author: str | None) -> None:
    """Edit a prompt in $EDITOR; what is saved becomes the next version, not in effect yet."""

    def start(store: Any) -> tuple[int, str]:
        if number is not None:
            return number, store.get(name, number, retired=True).prompt_content
        resolved = store.effective(name)
        return resolved.version_no, resolved.content

    base, text = _store(start)
    edited = click.edit(text, extension=".md", require_save=True)
    if edited is None or edited == text:
        console().print("Nothing changed; no version was added.")
        return
    added = _store(lambda store: store.add(name, edited, note=note, author=author, parent=base))
    console().print(f"{name} has version {added} now, made from version {base}.", soft_wrap=True)


@prompts.command("diff")
@click.argument("name")
@click.argument("old", type=int)
@click.argument("new", type=int)
def diff(name: str, old: int, new: int) -> None:
    """What changed from version OLD to version NEW."""
    text = _store(lambda store: store.diff(name, old, new))
    console().print(coloured(text) if text else "The texts are equal.", soft_wrap=True, end="")


@prompts.command("use")
@click.argument("name")
@click.argument("number", type=int)
@click.option("--reason", help="Why: kept in the log.")
@click.option("--author", help="Who.")
@click.option("--expected-revision", type=int, help="Refuse when the prompt has changed since this revision.")
def use(
    name: str, number: int, reason: str | None, author: str | None, expected_revision: int | None
) -> None:
    """Put a version in effect. Runs under way keep theirs; the next step of any other sees it."""
    _store(lambda s: s.use(name, number, reason=reason, actor=author, expected_revision=expected_revision))
    console().print(f"Version {number} of {name} is in effect.", soft_wrap=True)


@prompts.command("rollback")
@click.argument("name")
@click.option("--reason", help="Why: kept in the log.")
@click.option("--author", help="Who.")
def rollback(name: str, reason: str | None, author: str | None) -> None:
    """Put the version back in effect that was before."""
    resolved = _store(lambda store: store.rollback(name, reason=reason, actor=author))
    console().print(f"Version {resolved.version_no} of {name} is in effect again.", soft_wrap=True)


@prompts.command("log")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def log(name: str, as_json: bool) -> None:
    """Every move of the effective version: when, who, why, and on what evidence."""
    found = _store(lambda store: store.log(name))
    if as_json:
        print_json([{**asdict(s), "at": s.at.isoformat()} for s in found])
        return
    for s in found:
        line = f"{s.at:%Y-%m-%d %H:%M:%S}  {s.from_version_no or '-'} → {s.to_version_no}  {s.kind:<9} {s.actor or '-'}  {s.reason or ''}"
        console().print(Text(safe(line)), soft_wrap=True)
        if s.evidence:
            console().print(
                Text(f"    evidence: {safe(str(s.evidence.get('verdict', s.evidence)))}", style="dim"),
                soft_wrap=True,
            )


@prompts.command("drift")
@click.option(
    "--adopt", metavar="NAME", help="Add the code's new default of this prompt as a version, not in effect."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def drift(adopt: str | None, as_json: bool) -> None:
    """Prompts whose default in the code is no longer the one that was stored as version 1."""
    if adopt:
        number = _store(lambda store: store.adopt_default(adopt))
        console().print(f"The new default of {adopt} is version {number}, not in effect.", soft_wrap=True)
        return
    found = _store(lambda store: store.drift())
    if as_json:
        print_json([asdict(d) for d in found])
    elif not found:
        console().print("No prompt has drifted.")
    for d in [] if as_json else found:
        console().print(
            f"{d.name}: the default changed in the code; offer it as a version with: windlass prompts drift --adopt {d.name}",
            soft_wrap=True,
        )


@prompts.command("stats")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def stats(name: str, as_json: bool) -> None:
    """How each version did in real runs: passes, pass rate with its 95 % bounds, cost per success."""
    from rich.table import Table

    found = _store(lambda store: store.stats(name))
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
        "version",
        "calls",
        "passed",
        "failed",
        "errors",
        "pass rate",
        "95 % bounds",
        "cost per success",
    ):
        table.add_column(column, justify="right")
    for s in found:
        rate = "-" if s.pass_rate is None else f"{s.pass_rate:.0%}"
        cost = "-" if s.cost_per_success_micro is None else f"${s.cost_per_success_micro / 1e6:.4f}"
        low, high = s.interval
        table.add_row(
            str(s.version_no),
            str(s.calls),
            str(s.passes),
            str(s.fails),
            str(s.errors),
            rate,
            f"{low:.0%}–{high:.0%}",
            cost,
        )
    console().print(table)


@prompts.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1)
@click.option("--retired", is_flag=True, help="Retired versions too.")
def export(folder: Path, names: tuple[str, ...], retired: bool) -> None:
    """Write one Markdown file a version into FOLDER, to be reviewed in version control."""
    from windlass.prompt import files

    written = _store(lambda store: files.export(store, folder, names or None, retired=retired))
    console().print(f"Wrote {len(written)} files into {folder}.", soft_wrap=True)


@prompts.command("import")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--author", help="Who, where a file does not say.")
def import_(paths: tuple[Path, ...], author: str | None) -> None:
    """Add the texts of exported files that no version has yet; none is put in effect. A folder means its .md files."""
    from windlass.prompt import files

    given = [file for path in paths for file in (sorted(path.glob("*.md")) if path.is_dir() else [path])]
    for item in _store(lambda store: files.import_files(store, given, author=author)):
        word = "added as" if item.added else "is there already as"
        console().print(
            Text(safe(f"{item.file} {word} {item.name} version {item.version_no}")), soft_wrap=True
        )


@prompts.command("gc")
def gc() -> None:
    """Remove retired versions that no run, experiment or evidence refers to."""
    versions, texts = _store(lambda store: store.gc())
    console().print(f"Removed {versions} retired versions and {texts} texts that nothing refers to.")
