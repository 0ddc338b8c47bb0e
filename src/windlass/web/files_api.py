"""The API's routes about what a run sent to models and what it changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from windlass import report
from windlass.errors import NotFound
from windlass.history import NetChange, counts, diff_of, net_changes
from windlass.journal import Entry, EntryState, Journal
from windlass.web import schemas
from windlass.web.runs_api import TheRun, services_of
from windlass.web.services import Services

router = APIRouter(prefix="/api/runs/{run_id}")


@router.get("/calls", response_model=list[schemas.CallRow])
async def calls(request: Request, record: TheRun) -> list[dict[str, Any]]:
    """Every attempt at a model call, in the order they were made."""
    services = services_of(request)
    return report.call_rows(await services.app.journal.entries(record.run_id))


@router.get("/call", response_model=schemas.Call)
async def call(
    request: Request,
    record: TheRun,
    path: Annotated[str, Query(max_length=2000)],
    attempt: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> dict[str, Any]:
    """One attempt: what was sent, what came, and the prompt version it was made with."""
    services = services_of(request)
    entries = await services.app.journal.entries(record.run_id)
    found = [e for e in entries if e.kind == "model" and e.path == path and e.attempt == attempt]
    if not found:
        raise NotFound(f"Run {record.run_id} has no attempt {attempt} of a call at {path!r}.")
    entry = found[0]
    return report.call_rows(found)[0] | {
        "messages": list(entry.request["messages"]),
        "reply": entry.result["text"] if entry.state is EntryState.DONE else None,
        "prompt": await _prompt_of(services, entry),
    }


async def _prompt_of(services: Services, entry: Entry) -> dict[str, Any]:
    template = None
    if entry.template_sha256 is not None:
        template = (await services.app.journal.get_blob(entry.template_sha256)).decode()
    previous, diff = None, None
    if entry.prompt_name and entry.prompt_version:
        previous, diff = await asyncio.to_thread(_previous, services, entry.prompt_name, entry.prompt_version)
    return {
        "name": entry.prompt_name,
        "version": entry.prompt_version,
        "template": template,
        "previous_version": previous,
        "previous_diff": diff,
    }


def _previous(services: Services, name: str, version: int) -> tuple[int | None, str | None]:
    """The version that this one was made from (else the one before it) and the difference."""
    prompts = services.app.prompts
    try:
        versions = {info.version_no: info for info in prompts.versions(name, retired=True)}
        info = versions.get(version)
        earlier = [number for number in versions if number < version]
        previous = (
            info.parent_version_no
            if info is not None and info.parent_version_no
            else max(earlier, default=None)
        )
        return previous, None if previous is None else prompts.diff(name, previous, version)
    except NotFound:
        return None, None


@router.get("/files", response_model=list[schemas.ChangedFile])
async def files(request: Request, record: TheRun) -> list[dict[str, Any]]:
    """Each file that the run changed, once: from what it was before the run to what it is now."""
    services = services_of(request)
    journal = services.app.journal
    entries = await journal.entries(record.run_id)
    sizes = {row["path"]: row["bytes"] for row in report.files_of(entries)}
    found = []
    for change in net_changes(entries):
        added, removed = counts(await diff_of(journal, change))
        found.append(
            {
                "path": change.path,
                "change": change.kind,
                "bytes": sizes[change.path],
                "added": added,
                "removed": removed,
            }
        )
    return found


@router.get("/file", response_model=schemas.FileDetail)
async def file(
    request: Request, record: TheRun, path: Annotated[str, Query(max_length=2000)]
) -> dict[str, Any]:
    """One file that the run changed: its text before and after, the difference, and each write. Null text = no such
    file, or one that is no text. Only names that the run's record holds; nothing is read from a disk."""
    services = services_of(request)
    journal = services.app.journal
    entries = await journal.entries(record.run_id)
    changes = net_changes(entries, [path])
    writes = _writes(entries, path)
    change = (
        changes[0] if changes else NetChange(path, writes[-1]["after_sha"], writes[-1]["after_sha"], None)
    )
    return {
        "path": path,
        "change": change.kind if changes else "unchanged",
        "before": await _text(journal, change.before),
        "after": await _text(journal, change.after),
        "diff": await diff_of(journal, change),
        "writes": writes,
    }


def _writes(entries: Sequence[Entry], path: str) -> list[dict[str, Any]]:
    return [
        {
            "step_path": entry.path.rpartition("/")[0],
            "kind": entry.kind,
            "at": entry.finished_at,
            "before_sha": row["before"],
            "after_sha": row["after"],
        }
        for entry in entries
        if entry.kind in ("write", "undo", "redo") and entry.state is EntryState.DONE
        for row in entry.result
        if row["path"] == path
    ]


async def _text(journal: Journal, sha256: str | None) -> str | None:
    if sha256 is None:
        return None
    try:
        return (await journal.get_blob(sha256)).decode()
    except UnicodeDecodeError:
        return None
