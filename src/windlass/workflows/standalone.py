"""A run's parts for a workflow that nobody attached to an engine: only its files are kept."""

from __future__ import annotations

from windlass.budget import Budget
from windlass.calling import Caller
from windlass.effects import Effects
from windlass.journal import MemoryJournal, RunJournal, RunRecord
from windlass.llm.registry import LLMIntegrationRegistry
from windlass.plan import EventLog
from windlass.prompt import default_store
from windlass.sandbox import select_sandbox
from windlass.workspace import WorkspaceSetting, open_workspace


async def standalone_effects(
    run_id: str, title: str, setting: WorkspaceSetting, models: LLMIntegrationRegistry
) -> Effects:
    """Effects over an in-memory journal, the process's prompt store and the given models."""
    journal = MemoryJournal()
    await journal.create_run(RunRecord(run_id, title, title))
    lease = await journal.acquire(run_id, "this process")
    return Effects(
        run_id=run_id,
        journal=await RunJournal.open(journal, lease),
        log=EventLog(run_id, journal, lease, workflow_name=title),
        models=models,
        prompts=default_store(),
        workspace=await open_workspace(setting, create=True),
        get_sandbox=select_sandbox,
        budget=Budget(),
        caller=Caller(),
    )
