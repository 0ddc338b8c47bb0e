"""The workflows, by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from windlass.errors import InputError

if TYPE_CHECKING:
    from windlass.journal import Journal
    from windlass.workspace import Workspace

#: Workflows by the name people type. Each module has ``build(record) -> StepWorkflow``, and may have ``async
#: check_options(options, journal) -> options``, which refuses or completes what a new run was asked for, and ``async
#: check_workspace(options, workspace)``, which refuses what cannot be done there.
WORKFLOWS: Mapping[str, str] = {
    "coding": "windlass.workflows.coding",
    "chat": "windlass.workflows.chat",
    "write": "windlass.workflows.write",
    "write-pages": "windlass.workflows.write_pages",
    "write-tests": "windlass.workflows.write_tests",
    "auto": "windlass.workflows.auto",
}
#: Those that nobody starts by name: a comparison makes their runs itself.
_INTERNAL: Mapping[str, str] = {"trial": "windlass.workflows.trial"}


def workflow_module(name: str) -> ModuleType | None:
    """Where a run's workflow is, also one that nobody starts by name; None for a name that is not known."""
    place = WORKFLOWS.get(name) or _INTERNAL.get(name)
    return None if place is None else importlib.import_module(place)


async def checked_options(name: str, options: Mapping[str, Any], journal: Journal) -> Mapping[str, Any]:
    """What a new run of a workflow was asked for, completed. Raises InputError for an unknown workflow, or options it
    cannot use."""
    if name not in WORKFLOWS:
        raise InputError(f"No workflow is called {name!r}; known: {', '.join(WORKFLOWS)}.")
    check = getattr(workflow_module(name), "check_options", None)
    checked: Mapping[str, Any] = options if check is None else await check(options, journal)
    return checked


async def check_workspace(name: str, options: Mapping[str, Any], workspace: Workspace) -> None:
    """Raises InputError for what a new run of a workflow cannot do in this workspace: a file that it is given is not
    there, one that it is to write cannot be written."""
    check = getattr(workflow_module(name), "check_workspace", None)
    if check is not None:
        await check(options, workspace)
