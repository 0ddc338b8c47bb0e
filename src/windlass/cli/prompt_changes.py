"""``windlass prompts add | edit | use | rollback``: new versions, and which one is in effect."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import rich_click as click

from windlass.cli.common import console, print_json
from windlass.cli.prompts import who, with_store
from windlass.errors import InputError, WindlassError

if TYPE_CHECKING:
    from windlass.prompt import PromptStore, Resolved

_AUTHOR = click.option("--author", help="Who. [default: your user name]")
_REVISION = click.option(
    "--expected-revision",
    type=int,
    metavar="N",
    help="Refuse when the prompt has changed since this revision (see show --json).",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command("add")
@click.argument("name")
@click.argument("text", metavar="TEXT")
@click.option("--note", help="Why: kept with the version.")
@_AUTHOR
@click.option("--use", "use_it", is_flag=True, help="Also put it in effect.")
@_JSON
def add(name: str, text: str, note: str | None, author: str | None, use_it: bool, as_json: bool) -> None:
    """Add a version: TEXT, @FILE, or - for standard input. It is not in effect yet.

    \b
    windlass prompts add coding.repair @repair.md --note "ask for the cause first"
    """
    from windlass.inputs import read_requirement

    content = read_requirement(text, "prompt")

    def work(store: PromptStore) -> int:
        number = store.add(name, content, note=note, author=who(author))
        if use_it:
            store.use(name, number, actor=who(author), reason=note)
        return number

    number = with_store(work)
    if as_json:
        print_json({"name": name, "version": number, "in_effect": use_it})
    elif use_it:
        console().print(f"{name} has version {number} now, in effect.", soft_wrap=True)
    else:
        _say_added(name, number)


def _say_added(name: str, number: int, base: int | None = None) -> None:
    made = "" if base is None else f", made from version {base}"
    console().print(
        f"{name} has version {number} now{made}; put it in effect with: windlass prompts use {name} {number}",
        soft_wrap=True,
    )


@click.command("edit")
@click.argument("name")
@click.option(
    "--from", "number", type=int, metavar="N", help="Start from this version. [default: the one in effect]"
)
@click.option("--note", help="Why: kept with the version.")
@_AUTHOR
@_JSON
def edit(name: str, number: int | None, note: str | None, author: str | None, as_json: bool) -> None:
    """Edit a prompt in $EDITOR; what is saved becomes the next version, not in effect yet.

    \b
    EDITOR=nano windlass prompts edit coding.repair --note "shorter"
    """

    def start(store: PromptStore) -> tuple[int, str]:
        if number is not None:
            return number, store.get(name, number, retired=True).prompt_content
        now = store.effective(name)
        assert now.version_no is not None
        return now.version_no, now.content

    base, text = with_store(start)
    edited = _edited(name, text)
    added = None
    if edited != text:
        try:
            added = with_store(lambda s: s.add(name, edited, note=note, author=who(author), parent=base))
        except WindlassError:
            _keep(name, edited)
            raise
    if as_json:
        print_json({"name": name, "version": added, "parent": base})
    elif added is None:
        console().print("Nothing changed; no version was added.")
    else:
        _say_added(name, added, base)


def _edited(name: str, text: str) -> str:
    """What the person saved; ``text`` itself when they saved nothing."""
    try:
        edited = click.edit(text, extension=".md", require_save=True)
    except click.ClickException as error:
        raise InputError(
            f"The editor did not do its work ({error.message}); set EDITOR to another one, or use: "
            f"windlass prompts add {name} @FILE"
        ) from None
    if edited is None:
        return text
    # Editors, and click before them, end a file with a line feed; that alone is no change.
    return edited if text.endswith("\n") else edited.removesuffix("\n")


def _keep(name: str, text: str) -> None:
    """What was written must not be lost because it was refused."""
    with tempfile.NamedTemporaryFile(
        "w", prefix=f"{name}-", suffix=".md", delete=False, encoding="utf-8", newline=""
    ) as file:
        file.write(text)
    click.echo(
        f"What you wrote is kept in {file.name}; mend it, then: windlass prompts add {name} @{file.name}",
        err=True,
    )


@click.command("use")
@click.argument("name")
@click.argument("number", type=int)
@click.option("--reason", help="Why: kept in the log.")
@_AUTHOR
@_REVISION
@_JSON
def use(
    name: str,
    number: int,
    reason: str | None,
    author: str | None,
    expected_revision: int | None,
    as_json: bool,
) -> None:
    """Put a version in effect. Runs under way keep theirs; the next step of any other sees it.

    \b
    windlass prompts use coding.repair 2 --reason "reviewed"
    """

    def work(store: PromptStore) -> tuple[bool, Resolved]:
        before = store.effective(name).version_no
        now = store.use(name, number, reason=reason, actor=who(author), expected_revision=expected_revision)
        return before != now.version_no, now

    changed, now = with_store(work)
    if as_json:
        print_json({"name": name, "version": now.version_no, "revision": now.revision, "changed": changed})
    elif changed:
        console().print(f"Version {number} of {name} is in effect.", soft_wrap=True)
    else:
        console().print(f"Version {number} of {name} was in effect already.", soft_wrap=True)


@click.command("rollback")
@click.argument("name")
@click.option("--reason", help="Why: kept in the log.")
@_AUTHOR
@_REVISION
@_JSON
def rollback(
    name: str, reason: str | None, author: str | None, expected_revision: int | None, as_json: bool
) -> None:
    """Put the version back in effect that was before; again: the one before that."""
    now = with_store(
        lambda store: store.rollback(
            name, reason=reason, actor=who(author), expected_revision=expected_revision
        )
    )
    if as_json:
        print_json({"name": name, "version": now.version_no, "revision": now.revision})
    else:
        console().print(f"Version {now.version_no} of {name} is in effect again.", soft_wrap=True)
