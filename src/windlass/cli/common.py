"""What the commands that look things up share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click
from rich.console import Console

from windlass.cli.output import json_text

if TYPE_CHECKING:
    from windlass.app import App

T = TypeVar("T")

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
json_list_option = click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")


def stored_names(workspace: str, *given: Sequence[str]) -> Sequence[str]:
    """The names in an object store, where files of it are named (``given``); none for a folder."""
    if "://" not in workspace or not any(given):
        return ()
    from windlass import wiring
    from windlass.settings import load_settings

    return asyncio.run(wiring.stored_names(load_settings(), workspace))


def with_app(work: Callable[[App], Awaitable[T]]) -> T:
    """Do ``work`` with the process's parts, and close them."""
    from windlass.app import App

    async def whole() -> T:
        app = App()
        try:
            return await work(app)
        finally:
            await app.close()

    return asyncio.run(whole())


def print_json(value: Any) -> None:
    """One JSON value to standard output."""
    print(json_text(value, indent=2))


def console() -> Console:
    """Standard output for tables and text; colours switch off with ``NO_COLOR`` and in pipes."""
    return Console(highlight=False)


def when(seconds: float | None) -> str:
    """A moment in the person's time zone."""
    if not seconds:
        return "-"
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
