"""Whether the file that a person named to be written can be written there: asked before anything is kept or spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.errors import ArgumentError, UnsafePath, WorkspaceError
from windlass.steps.naming_tests import like_the_source
from windlass.vocabulary import with_ending
from windlass.workspace import Workspace, to_text
from windlass.workspace.changes import folder_of, name_of, parents, refuse_twin


async def check_target(options: Mapping[str, Any], workspace: Workspace) -> None:
    """Raises ArgumentError where a folder, a device or a twin of another name is in the place of ``to``."""
    if options.get("to"):
        to = str(options["to"])
        if not await _is_file(workspace, to):
            await _check_new(workspace, with_ending(to))


async def check_test_target(options: Mapping[str, Any], workspace: Workspace) -> None:
    """The same for a test file, which is named like its source and is not that."""
    files = options.get("files") or ()
    if options.get("to") and files:
        target = like_the_source(str(options["to"]), files[0])
        if target in files:
            raise ArgumentError(f"{target} is the file under test; its tests need a file of their own.")
        if not await _is_file(workspace, target):
            await _check_new(workspace, target)


async def _is_file(workspace: Workspace, name: str) -> bool:
    try:
        found = await workspace.read(name)
        if found is not None:
            to_text(name, found.data)
    except (WorkspaceError, UnsafePath) as error:
        raise ArgumentError(f"{str(error).rstrip('.')}; name a file to write.") from error
    return found is not None


async def _check_new(workspace: Workspace, name: str) -> None:
    await _is_file(workspace, name)
    present = await workspace.list()
    for spot in (*parents(name), name):
        if spot != name and spot in present:
            raise ArgumentError(f"{name} cannot be written, because {spot} is a file; name another place.")
        folder = folder_of(spot)
        prefix = f"{folder}/" if folder else ""
        siblings = {path[len(prefix) :].partition("/")[0] for path in present if path.startswith(prefix)}
        try:
            refuse_twin(name, name_of(spot), siblings)
        except UnsafePath as error:
            raise ArgumentError(f"{str(error).rstrip('.')}; name that one, or another.") from error
