"""The API's routes that steer a run: go on, cancel, fork, answer, take changes back and forth."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from windlass import history
from windlass.owners import owner_name
from windlass.people import Answer
from windlass.web import schemas, starting
from windlass.web.crew import SERVER, STARTED_BY
from windlass.web.runs_api import TheRun, services_of

router = APIRouter(prefix="/api/runs/{run_id}")


@router.post("/resume", response_model=schemas.RunRef)
async def resume(request: Request, record: TheRun, body: schemas.Resume) -> dict[str, Any]:
    """Go on with a run that was interrupted, failed or was cancelled, or that waited and has its answer."""
    services = services_of(request)
    changes: dict[str, Any] = {}
    if body.budget is not None:
        changes["budget"] = starting.money(body.budget)
    if body.max_repairs is not None:
        changes["max_repairs"] = body.max_repairs
    await services.crew.go_on(record.run_id, changes)
    return {"run_id": record.run_id}


@router.post("/cancel", response_model=schemas.RunRef)
async def cancel(request: Request, record: TheRun, body: schemas.Cancel) -> dict[str, Any]:
    """End a run: calls under way finish and are kept, or with ``now`` are cut off."""
    services = services_of(request)
    await services.crew.cancel(record.run_id, now=body.now)
    return {"run_id": record.run_id}


@router.post("/fork", response_model=schemas.RunRef, status_code=201)
async def fork(request: Request, record: TheRun, body: schemas.Fork) -> dict[str, Any]:
    """A new run that keeps what this one did before the step ``from``, and does the rest anew."""
    services = services_of(request)
    changes: dict[str, Any] = {STARTED_BY: SERVER}
    if body.model is not None:
        changes["model"] = body.model
    new = await services.app.fork(record.run_id, body.from_, changes=changes)
    services.crew.start(new.run_id)
    return {"run_id": new.run_id}


@router.post("/answer", response_model=schemas.RunRef)
async def answer(request: Request, record: TheRun, body: schemas.AnswerGate) -> dict[str, Any]:
    """Answer what a run waits for; it goes on then."""
    services = services_of(request)
    await services.crew.settled(record.run_id)
    await services.app.answer(record.run_id, Answer(body.action, body.text))
    await services.crew.go_on(record.run_id)
    return {"run_id": record.run_id}


@router.post("/undo", response_model=list[schemas.Changed])
async def undo(request: Request, record: TheRun, body: schemas.Undo) -> list[dict[str, Any]]:
    """Put the files that a run changed back to what they were before it: all of them, or only ``paths``."""
    services = services_of(request)
    await services.crew.settled(record.run_id)
    workspace = await services.app.workspace(record)
    changes = await history.undo(
        services.app.journal, record, workspace, owner_name(), paths=body.paths, force=body.force
    )
    return [{"path": change.path, "change": change.kind} for change in changes]


@router.post("/redo", response_model=list[schemas.Changed])
async def redo(request: Request, record: TheRun, body: schemas.Redo) -> list[dict[str, Any]]:
    """Take the last undo back."""
    services = services_of(request)
    await services.crew.settled(record.run_id)
    workspace = await services.app.workspace(record)
    changes = await history.redo(services.app.journal, record, workspace, owner_name(), force=body.force)
    return [{"path": change.path, "change": change.kind} for change in changes]
