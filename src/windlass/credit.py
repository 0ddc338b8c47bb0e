"""What a run's end says about the prompt versions it used."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from windlass.errors import (
    BudgetExceeded,
    InputError,
    ModelError,
    SandboxError,
    StoreError,
    WorkspaceError,
)
from windlass.events import WorkflowStatus
from windlass.journal import Entry, EntryState, RunJournal, step_of
from windlass.prompt import Outcome, PromptUsage, Source

#: Failures that say nothing about a prompt: the network, the money, the machine, what the person gave.
_NOT_THE_PROMPT = (ModelError, BudgetExceeded, StoreError, SandboxError, WorkspaceError, InputError)

#: The most that every table takes, 24 days: what seems to have taken longer, the clock was set meanwhile.
_LONGEST_MS = 2**31 - 1


def outcome_of(status: WorkflowStatus, failure: BaseException | None) -> Outcome:
    """How a run that has ended counts for its prompts; infrastructure errors are counted apart."""
    if status is WorkflowStatus.Success:
        return "pass"
    if status is WorkflowStatus.Cancelled:
        return "cancelled"
    return "error" if isinstance(failure, _NOT_THE_PROMPT) else "fail"


async def usages_of(journal: RunJournal, *, case_id: str | None = None) -> list[PromptUsage]:
    """Every finished model call of a run, with the exact texts before and after the values were put in.

    ``case_id``: the case that the run tries a version on.
    """
    found = []
    templates: dict[str, str] = {}
    for entry in journal.all.values():
        if entry.kind == "model" and entry.state is EntryState.DONE and entry.template_sha256:
            sha256 = entry.template_sha256
            if sha256 not in templates:
                templates[sha256] = (await journal.journal.get_blob(sha256)).decode()
            found.append(replace(_usage(entry, templates[sha256]), case_id=case_id))
    return found


def _usage(entry: Entry, template: str) -> PromptUsage:
    took = None if entry.finished_at is None else int((entry.finished_at - entry.started_at) * 1000)
    if took is not None and not 0 <= took <= _LONGEST_MS:
        took = None
    return PromptUsage(
        run_id=entry.run_id,
        step_path=step_of(entry.path),
        call_path=entry.path,
        prompt_name=entry.prompt_name or "",
        version_no=entry.prompt_version,
        template=template,
        rendered=entry.request["messages"][0]["content"],
        provenance=cast("Source", entry.provenance or "db"),
        model=entry.model,
        tokens_in=entry.input_tokens,
        tokens_out=entry.output_tokens,
        cost_micro=None if entry.cost_usd is None else int(entry.cost_usd * 1_000_000),
        latency_ms=took,
    )
