"""``windlass prompts``: the group, and what its commands share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import rich_click as click

from windlass.cli.common import with_app
from windlass.cli.root import LazyGroup

if TYPE_CHECKING:
    from windlass.app import App
    from windlass.prompt import PromptStore

T = TypeVar("T")

#: In the order of the help page.
_COMMANDS = {
    "list": ("prompt_views:list_prompts", "All prompts, and which version is in effect."),
    "show": ("prompt_views:show", "The text of a version, or the list of versions."),
    "add": ("prompt_changes:add", "Add a version; it is not in effect yet."),
    "edit": ("prompt_changes:edit", "Edit a version in $EDITOR; the result is a new one."),
    "diff": ("prompt_views:diff", "What changed from one version to another."),
    "use": ("prompt_changes:use", "Put a version in effect."),
    "rollback": ("prompt_changes:rollback", "Put the version back that was in effect before."),
    "log": ("prompt_views:log", "Every switch: when, who, why, on what evidence."),
    "drift": ("prompt_views:drift", "Prompts whose default changed in the code."),
    "stats": ("prompt_views:stats", "How each version did in real runs."),
    "compare": ("evidence:compare", "Say which of two versions is better on the same cases."),
    "promote": ("evidence:promote", "Put the version in effect that earned it."),
    "experiment": ("experiments:experiment", "Split real runs between versions: start, status, stop."),
    "optimise": ("optimise:optimise", "Search for better texts, which must earn promotion."),
    "export": ("prompt_files:export", "Write versions as Markdown files, for review."),
    "import": ("prompt_files:import_", "Add versions from such files."),
    "gc": ("prompt_files:gc", "Remove retired versions that nothing refers to."),
}


@click.group(
    cls=LazyGroup, lazy={name: (f"windlass.cli.{place}", short) for name, (place, short) in _COMMANDS.items()}
)
def prompts() -> None:
    """Versions of prompts: look, add, switch, compare.

    Every call of every run records the version that it used.

    \b
    windlass prompts add coding.repair @repair.md --note "ask for the cause first"
    windlass prompts compare coding.repair --versions 1,2 --cases cases.jsonl
    windlass prompts promote coding.repair --auto
    """


def with_prompts(work: Callable[[App], Awaitable[T]]) -> T:
    """Do ``work`` with the process's parts, once every prompt that comes with Windlass is stored."""

    async def whole(app: App) -> T:
        from windlass.catalogue import introduce

        await asyncio.to_thread(introduce, app.prompts)
        return await work(app)

    return with_app(whole)


def with_store(work: Callable[[PromptStore], T]) -> T:
    """The same, for what needs nothing but the store."""
    return with_prompts(lambda app: asyncio.to_thread(work, app.prompts))


def who(author: str | None) -> str:
    """The author that was named, else the person who runs this."""
    from windlass.vocabulary import get_user_context

    return author or get_user_context().name
