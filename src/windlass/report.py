"""What a run did, from its record alone: for ``--json``, ``runs show`` and the API."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from windlass.events import SEND_WORKFLOW, UPDATE_WORKFLOW_STEP, Event, StepStatus, WorkflowStatus
from windlass.history import net_changes
from windlass.journal import Entry, EntryState, Journal, RunRecord, step_of
from windlass.owners import is_interrupted
from windlass.prefixes import cacheable_tokens


async def run_report(journal: Journal, run_id: str) -> dict[str, Any]:
    """The object that ``windlass run … --json`` prints. Raises NotFound."""
    record = await journal.get_run(run_id)
    entries = await journal.entries(record.run_id)
    events = await journal.events(record.run_id)
    return report(record, entries, events)


def report(record: RunRecord, entries: Sequence[Entry], events: Sequence[Event]) -> dict[str, Any]:
    """The same, from parts that are at hand."""
    return {
        "run_id": record.run_id,
        "workflow": record.workflow,
        "status": record.status.value,
        "summary": record.summary,
        "workspace": record.workspace,
        "files": files_of(entries),
        "tests": tests_of(entries),
        "usage": {**usage_of(entries), "cacheable_tokens": cacheable_tokens(entries)},
        "steps": steps_of(entries, events),
        "error": record.error,
        "label": next(
            (e.payload["label"] for e in events if e.name == "notice" and "label" in e.payload), None
        ),
        "waiting_for": waiting_for(record, events),
    }


def files_of(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Each file that the run changed, once: from what it was before the run to what it is now."""
    sizes: dict[str, int] = {}
    for entry in entries:
        if entry.state is EntryState.DONE and entry.kind in ("write", "undo", "redo"):
            sizes.update((row["path"], row["bytes"]) for row in entry.result)
    return [{"path": c.path, "change": c.kind, "bytes": sizes[c.path]} for c in net_changes(entries)]


def tests_of(entries: Sequence[Entry]) -> dict[str, Any] | None:
    """The last test run; None when no tests were run."""
    runs = [e for e in entries if e.kind == "tests" and e.state is EntryState.DONE]
    if not runs:
        return None
    last = runs[-1].result
    return {key: last[key] for key in ("passed", "failed", "errors")} | {"sandbox": last["sandbox"]}


def usage_of(entries: Sequence[Entry]) -> dict[str, Any]:
    """Requests, tokens and cost over all attempts, but for those that a fork took over from another run.

    ``cost_usd`` is null when any part of it is not known, ``known_cost_usd`` the part that is, ``unpriced_calls`` how
    many calls the rest is of.
    """
    calls = [e for e in entries if e.kind == "model" and e.copied_from is None]
    # An attempt that certainly cost nothing has a cost of 0 on record.
    known = [e.cost_usd for e in calls if e.cost_usd is not None]
    cost, unpriced = sum(known, Decimal(0)), len(calls) - len(known)
    return {
        "requests": len(calls),
        "input_tokens": sum(e.input_tokens or 0 for e in calls),
        "output_tokens": sum(e.output_tokens or 0 for e in calls),
        "cached_tokens": sum(e.cached_tokens or 0 for e in calls),
        "cost_usd": None if unpriced else float(cost),
        "known_cost_usd": float(cost),
        "unpriced_calls": unpriced,
        "unknown_calls": sum(e.state is EntryState.UNKNOWN for e in calls),
    }


def steps_of(entries: Sequence[Entry], events: Sequence[Event]) -> list[dict[str, Any]]:
    """Every declared step: status, seconds spent, requests and cost, those of its sub-steps and branches included."""
    steps: dict[str, dict[str, Any]] = {}
    began: dict[str, float] = {}
    for event in events:
        if event.name == SEND_WORKFLOW:
            for row in event.payload["workflow"]["steps"]:
                steps.setdefault(
                    row["path"],
                    {"path": row["path"], "name": row["module"], "status": row["status"], "seconds": 0.0},
                )["status"] = row["status"]
        elif event.name == UPDATE_WORKFLOW_STEP and "status" in event.payload:
            path, status = event.payload["path"], event.payload["status"]
            steps[path]["status"] = status
            if status == StepStatus.IN_PROGRESS:
                began[path] = event.at
            elif status != StepStatus.STREAMING and path in began:
                steps[path]["seconds"] = round(steps[path]["seconds"] + event.at - began.pop(path), 3)
    mine: dict[str, list[Entry]] = {path: [] for path in steps}
    for entry in entries:
        for path in owners_of(step_of(entry.path)):
            if path in mine:
                mine[path].append(entry)
    for path, step in steps.items():
        used = usage_of(mine[path])
        for key in ("requests", "cost_usd", "known_cost_usd", "unpriced_calls"):
            step[key] = used[key]
    return in_tree_order(list(steps.values()))


def belongs(effect_path: str, step_path: str) -> bool:
    """Whether an effect happened in a step, one of its occurrences or one of its sub-steps."""
    owner = effect_path.rpartition("/")[0]
    return owner == step_path or owner.startswith((f"{step_path}[", f"{step_path}."))


def owners_of(step_path: str) -> list[str]:
    """The step itself and every path that it could be a sub-step or an occurrence of."""
    return [step_path[:at] for at, char in enumerate(step_path) if char in "[."] + [step_path]


def in_tree_order(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sub-steps and occurrences directly after what they belong to, else as declared."""
    ordered: list[dict[str, Any]] = []
    known: set[str] = set()
    for step in steps:
        if known.isdisjoint(owners_of(step["path"])):
            # Part of nothing: thousands of files side by side need no search each.
            known.add(step["path"])
            ordered.append(step)
            continue
        known.add(step["path"])
        at = len(ordered)
        for index in range(len(ordered) - 1, -1, -1):
            if belongs(step["path"] + "/", ordered[index]["path"]):
                above = ordered[index]["path"]
                at = index + 1
                # After its earlier siblings and all that belongs to them.
                while at < len(ordered) and belongs(ordered[at]["path"] + "/", above):
                    at += 1
                break
        ordered.insert(at, step)
    return ordered


def waiting_for(record: RunRecord, events: Sequence[Event]) -> dict[str, Any] | None:
    """The question that a waiting run asks; None when it waits for nothing."""
    if record.status is not WorkflowStatus.Waiting:
        return None
    asked = [e for e in events if e.name == "gate" and "kind" in e.payload]
    if not asked:
        return None
    return {key: asked[-1].payload[key] for key in ("path", "kind", "text", "detail", "digest")}


def display_status(record: RunRecord) -> str:
    """The status as people want it: a started run without a living owner is ``interrupted``."""
    if record.status is WorkflowStatus.Started:
        return "interrupted" if is_interrupted(record) else "running"
    return record.status.value


def call_rows(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Every attempt at a model call, in the order they were made; those of another run have its id as ``copied_from``."""
    return [
        {
            "path": e.path,
            "attempt": e.attempt,
            "state": e.state.value,
            "model": e.model,
            "prompt": f"{e.prompt_name}@{e.prompt_version or 'default'}",
            "template_sha256": e.template_sha256,
            "rendered_sha256": e.rendered_sha256,
            "provenance": e.provenance,
            "input_tokens": e.input_tokens,
            "output_tokens": e.output_tokens,
            "cached_tokens": e.cached_tokens,
            "cost_usd": None if e.cost_usd is None else str(e.cost_usd),
            "reserved_usd": None if e.reserved_usd is None else str(e.reserved_usd),
            "started_at": e.started_at,
            "finished_at": e.finished_at,
            "error": e.error,
            "partial": e.partial,
            "copied_from": e.copied_from,
        }
        for e in entries
        if e.kind == "model"
    ]


def sent_texts(entries: Sequence[Entry], step: str) -> list[dict[str, Any]]:
    """What a step (or one of its occurrences or calls) sent, with the reply where there is one."""
    return [
        {
            "path": e.path,
            "prompt": f"{e.prompt_name}@{e.prompt_version or 'default'}",
            "messages": e.request["messages"],
            "reply": e.result["text"] if e.state is EntryState.DONE else None,
        }
        for e in entries
        if e.kind == "model" and (e.path == step or step_of(e.path) == step)
    ]
