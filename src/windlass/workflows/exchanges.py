"""Earlier exchanges, brought from the run store into a new run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from windlass.errors import InputError, NotFound
from windlass.events import SEND_WORKFLOW, UPDATE_WORKFLOW_STEP
from windlass.journal import Journal


async def exchanges_of(journal: Journal, references: Sequence[str]) -> list[dict[str, str]]:
    """The message and the answer of each run, or of one step of it (``RUN:STEP``, by number or path).

    Raises NotFound for a run or step that does not exist, InputError for one that has no answer (yet).
    """
    return [await _exchange(journal, reference) for reference in references]


async def _exchange(journal: Journal, reference: str) -> dict[str, str]:
    wanted, _, step = reference.partition(":")
    if not wanted.strip():
        raise InputError(f"{reference!r} names no run; write RUN or RUN:STEP, such as last or last:1.")
    record = await journal.get_run(wanted.strip())
    message = record.options.get("message") or record.options.get("requirement") or record.title
    answer = record.summary or ""
    if step:
        answer = await _response(journal, record.run_id, step.strip())
    if not answer.strip():
        what = f"Step {step} of run {record.run_id}" if step else f"Run {record.run_id}"
        raise InputError(f"{what} has no answer to bring along (the run is {record.status.value}).")
    return {"run": reference if step else record.run_id, "message": str(message), "answer": answer}


async def _response(journal: Journal, run_id: str, step: str) -> str:
    names: dict[str, Any] = {}
    responses: dict[str, str] = {}
    for event in await journal.events(run_id):
        if event.name == SEND_WORKFLOW:
            names = {row["path"]: row["step_id"] for row in event.payload["workflow"]["steps"]}
        elif event.name == UPDATE_WORKFLOW_STEP and "response" in event.payload:
            responses[event.payload["path"]] = event.payload["response"]
    for path, number in names.items():
        if step in (path, str(number)):
            return responses.get(path, "")
    known = ", ".join(f"{number} ({path})" for path, number in names.items()) or "none"
    raise NotFound(f"Run {run_id} has no step {step!r}; its steps: {known}.")
