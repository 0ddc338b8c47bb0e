"""The API's routes about prompts: versions, who switched them and why, and the evidence."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from windlass.prompt import PromptStore, Switch, VersionInfo, VersionStats
from windlass.vocabulary import get_user_context
from windlass.web import prompt_schemas as schemas
from windlass.web.evidence import comparisons
from windlass.web.runs_api import services_of

router = APIRouter(prefix="/api/prompts")

PromptName = Annotated[str, Path(min_length=1, max_length=200, description="A prompt's name.")]
Number = Annotated[int, Query(ge=1, le=1_000_000_000)]
_MICRO = 1_000_000


@router.get("", response_model=list[schemas.PromptRow])
async def prompts(request: Request) -> list[dict[str, Any]]:
    """All prompts with their effective version and how it did."""
    return await asyncio.to_thread(_rows, services_of(request).app.prompts)


def _rows(store: PromptStore) -> list[dict[str, Any]]:
    drifted = {drift.name for drift in store.drift()}
    rows = []
    for name in store.names():
        effective = store.effective(name)
        versions = store.versions(name)
        stats = [row for row in store.stats(name) if row.version_no == effective.version_no]
        rows.append(
            {
                "name": name,
                "effective": effective.version_no,
                "revision": effective.revision,
                "latest": max(info.version_no for info in versions),
                "versions": len(versions),
                "drift": name in drifted,
                "stats": _stats(stats[0]) if stats else None,
            }
        )
    return rows


@router.get("/{name}", response_model=schemas.Prompt)
async def prompt(request: Request, name: PromptName) -> dict[str, Any]:
    """One prompt: all versions, every switch with its reason, how each version did, and comparisons."""
    app = services_of(request).app

    def work() -> dict[str, Any]:
        store = app.prompts
        effective = store.effective(name)
        return {
            "name": name,
            "effective": effective.version_no,
            "revision": effective.revision,
            "drift": any(drift.name == name for drift in store.drift()),
            "versions": [_version(info) for info in store.versions(name, retired=True)],
            "log": [_switch(switch) for switch in store.log(name)],
            "stats": [_stats(row) for row in store.stats(name)],
            "comparisons": comparisons(app.database, name),
        }

    return await asyncio.to_thread(work)


@router.get("/{name}/diff", response_model=schemas.Diff)
async def diff(
    request: Request,
    name: PromptName,
    old: Annotated[Number, Query(alias="from")],
    new: Annotated[Number, Query(alias="to")],
) -> dict[str, Any]:
    """A unified diff of two versions; empty when their texts are equal."""
    store = services_of(request).app.prompts
    return {"diff": await asyncio.to_thread(store.diff, name, old, new)}


@router.post("/{name}/versions", response_model=schemas.VersionRef, status_code=201)
async def add(request: Request, name: PromptName, body: schemas.NewVersion) -> dict[str, Any]:
    """Store the next version; it is not in effect."""
    store = services_of(request).app.prompts

    def work() -> int:
        parent = store.effective(name).version_no
        return store.add(name, body.text, note=body.note, author=get_user_context().name, parent=parent)

    return {"version": await asyncio.to_thread(work)}


@router.post("/{name}/use", response_model=schemas.Effective)
async def use(request: Request, name: PromptName, body: schemas.UseVersion) -> dict[str, Any]:
    """Put a version in effect. With ``expected_revision`` only if nobody switched in the meantime."""
    store = services_of(request).app.prompts
    actor = get_user_context().name
    resolved = await asyncio.to_thread(
        lambda: store.use(
            name, body.version, reason=body.reason, actor=actor, expected_revision=body.expected_revision
        )
    )
    return {"name": name, "version": resolved.version_no, "revision": resolved.revision}


@router.post("/{name}/rollback", response_model=schemas.Effective)
async def rollback(request: Request, name: PromptName, body: schemas.Rollback) -> dict[str, Any]:
    """Put the version back in effect that was before."""
    store = services_of(request).app.prompts
    actor = get_user_context().name
    resolved = await asyncio.to_thread(
        lambda: store.rollback(
            name, reason=body.reason, actor=actor, expected_revision=body.expected_revision
        )
    )
    return {"name": name, "version": resolved.version_no, "revision": resolved.revision}


def _version(info: VersionInfo) -> dict[str, Any]:
    return {
        "version": info.version_no,
        "text": info.content,
        "effective": info.is_current_effective,
        "origin": info.origin,
        "created_at": info.created_at.timestamp(),
        "parent": info.parent_version_no,
        "author": info.author,
        "note": info.note,
        "archived": info.archived_at is not None,
    }


def _switch(switch: Switch) -> dict[str, Any]:
    return {
        "from_version": switch.from_version_no,
        "to_version": switch.to_version_no,
        "kind": switch.kind,
        "at": switch.at.timestamp(),
        "actor": switch.actor,
        "reason": switch.reason,
        "evidence": None if switch.evidence is None else dict(switch.evidence),
    }


def _stats(row: VersionStats) -> dict[str, Any]:
    per_success = row.cost_per_success_micro
    return {
        "version": row.version_no,
        "calls": row.calls,
        "passes": row.passes,
        "fails": row.fails,
        "errors": row.errors,
        "cancelled": row.cancelled,
        "pending": row.pending,
        "pass_rate": row.pass_rate,
        "interval": list(row.interval),
        "cost_usd": row.cost_micro / _MICRO,
        "cost_per_success_usd": None if per_success is None else per_success / _MICRO,
    }
