"""Whether the files that a run is given are there and can be sent to a model: asked before anything is kept or spent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from windlass.errors import ArgumentError, StepFailed, UnsafePath, WorkspaceError
from windlass.inputs import given_text
from windlass.steps.context import show_files
from windlass.workspace import Workspace

#: Files that are looked at side by side.
_AT_ONCE = 16


async def check_given(options: Mapping[str, Any], workspace: Workspace, *, one_by_one: bool = False) -> None:
    """Raises InputError for a file or reference of a document run that is missing, no file or no text, and for more text
    than one request may show. ``one_by_one``: the files are sent each in a request of its own, the references with all."""
    texts: Mapping[str, str] = options.get("texts") or {}
    files, references = options.get("files", ()), options.get("references", ())
    found = await _check([name for name in (*files, *references) if name not in texts], workspace)
    apart = {*(set(files) - set(references) if one_by_one else ()), options.get("to")}
    try:
        show_files({**{name: text for name, text in found.items() if name not in apart}, **texts})
    except StepFailed as error:
        raise ArgumentError(str(error)) from None


async def check_given_code(options: Mapping[str, Any], workspace: Workspace) -> None:
    """The same for the coding workflow, which may make its files itself; its tests must be there. What is brought in is
    not in the workspace yet."""
    brought_in: Mapping[str, str] = options.get("imports") or {}
    for name, text in brought_in.items():
        given_text(name, text.encode())
    await _check([name for name in options.get("tests", ()) if name not in brought_in], workspace)
    files = [name for name in options.get("files", ()) if name not in brought_in]
    await _check(files, workspace, may_be_missing=True)


async def _check(
    names: Sequence[str], workspace: Workspace, *, may_be_missing: bool = False
) -> dict[str, str]:
    texts: dict[str, str] = {}

    async def one(name: str) -> None:
        try:
            found = await workspace.read(name)
        except (WorkspaceError, UnsafePath) as error:
            raise ArgumentError(str(error)) from error
        if found is not None:
            texts[name] = given_text(name, found.data)
        elif not may_be_missing:
            raise ArgumentError(f"There is no file {name} in the workspace {workspace.location}.")

    for start in range(0, len(names), _AT_ONCE):
        await asyncio.gather(*(one(name) for name in names[start : start + _AT_ONCE]))
    return texts
