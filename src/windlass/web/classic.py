"""The original's Socket.IO contract: what its clients send to start work, and what they wait for at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.errors import ArgumentError
from windlass.events import UPDATE_WORKFLOW_STEP, Event, WorkflowStatus
from windlass.journal import RunRecord
from windlass.vocabulary import plain
from windlass.workflows import WORKFLOWS
from windlass.workflows.adapter import workflow_named

#: What a client that names no workflow gets.
DEFAULT_WORKFLOW = "chat"


def read(given: Any) -> dict[str, Any]:
    """``start_stream``'s ``{prompt, tags, files, messages}`` as what a run is made from. Raises ArgumentError."""
    if not isinstance(given, dict) or not isinstance(given.get("prompt"), str):
        raise ArgumentError("start_stream takes one object with a text called prompt.")
    tags, files, messages = given.get("tags") or {}, given.get("files") or [], given.get("messages") or []
    if not isinstance(tags, dict):
        raise ArgumentError('The tags are an object, such as {"workflow": "write"}.')
    for name, value in (("files", files), ("messages", messages)):
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ArgumentError(f"The {name} are a list of texts.")
    asked = {plain(str(name)): value for name, value in tags.items()}
    workflow = DEFAULT_WORKFLOW
    if asked.get("workflow"):
        known = [name for name in WORKFLOWS if name != "coding"]
        given_name = str(asked["workflow"])
        workflow = "coding" if plain(given_name) == "coding" else workflow_named(given_name, known)
    options: dict[str, Any] = {"yes": True}
    if asked.get("model"):
        # Named here too, so that a model nobody knows is refused before there is a run.
        options["model"] = asked["model"]
    if workflow != "coding":
        options["tags"] = {name: value for name, value in tags.items() if plain(str(name)) != "workflow"}
        options["context"] = messages
    return {
        "workflow": workflow,
        "prompt": given["prompt"],
        "options": options,
        "workspace": given.get("workspace"),
        "files": files,
    }


def ending(
    run_id: str, record: RunRecord | None, wrong: str | None, events: Sequence[Event]
) -> list[tuple[str, Mapping[str, Any]]]:
    """The events that end a stream: ``response`` with the final text and ``stream_end``, or ``error``."""
    status = None if record is None else record.status
    if status in (WorkflowStatus.Success, WorkflowStatus.Waiting) and record is not None:
        text = record.summary or last_response(events)
        ends: list[tuple[str, Mapping[str, Any]]] = []
        if status is WorkflowStatus.Success:
            ends.append(("response", {"response": text, "run_id": run_id}))
        return [*ends, ("stream_end", {"run_id": run_id, "status": status.value})]
    sentence = wrong or (record.error if record is not None else None)
    if sentence is None:
        sentence = "The run was stopped." if record is None else f"The run ended: {record.status.value}."
    return [
        ("error", {"error": sentence, "run_id": run_id}),
        ("stream_end", {"run_id": run_id, "status": "Failure" if status is None else status.value}),
    ]


def last_response(events: Sequence[Event]) -> str:
    """What the last step that said anything said."""
    for event in reversed(events):
        if event.name == UPDATE_WORKFLOW_STEP and event.payload.get("response"):
            return str(event.payload["response"])
    return ""
