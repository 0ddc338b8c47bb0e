"""Writes docs/reference/cli.md from the commands themselves. A test fails when the page is not what this makes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from windlass.cli.root import cli

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"


def commands(command: click.Command, ctx: click.Context, name: str) -> Iterator[tuple[str, click.Command]]:
    """Every command below ``command`` by its whole name, groups before what is in them."""
    if isinstance(command, click.Group):
        for sub_name in command.list_commands(ctx):
            sub = command.get_command(ctx, sub_name)
            if sub is None or sub.hidden:
                continue
            whole = f"{name} {sub_name}"
            yield whole, sub
            yield from commands(sub, click.Context(sub, parent=ctx, info_name=sub_name), whole)


def page() -> str:
    """The whole page."""
    lines = [
        "# Commands",
        "",
        "Every command answers `--help`. Made from the commands by `scripts/cli_reference.py`; do not edit.",
        "",
    ]
    for name, command in commands(cli, click.Context(cli, info_name="windlass"), "windlass"):
        arguments = " ".join(
            p.make_metavar(click.Context(command)) for p in command.params if isinstance(p, click.Argument)
        )
        lines += [f"## `{name}{' ' + arguments if arguments else ''}`", ""]
        lines += [_prose(command.help or ""), ""]
        rows = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
        if rows:
            lines += ["| option | meaning |", "|---|---|"]
            for option in rows:
                names = ", ".join(f"`{o}`" for o in (*option.opts, *option.secondary_opts))
                said = (option.help or "").replace("|", "\\|")
                lines.append(f"| {names} | {said} |")
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _prose(text: str) -> str:
    """Help text as Markdown: paragraphs marked ``\\b`` become console blocks."""
    parts = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            parts.append("```console\n" + paragraph.lstrip("\b").strip("\n") + "\n```")
        else:
            parts.append(paragraph)
    return "\n\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
