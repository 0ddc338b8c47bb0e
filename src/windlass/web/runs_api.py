"""The API's routes about runs: list, start, look into, follow, steer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from windlass import report
from windlass.events import SEND_WORKFLOW, Event
from windlass.history import undone
from windlass.journal import Entry, RunRecord
from windlass.web import schemas, starting, stats
from windlass.web.live import as_json
from windlass.web.services import Services
from windlass.web.streams import event_stream

router = APIRouter(prefix="/api/runs")

RunPath = Annotated[
    str, Path(min_length=4, max_length=64, pattern=r"^[0-9A-Za-z_-]+$", description="A run's id.")
]


def services_of(request: Request) -> Services:
    """The server's parts."""
    services: Services = request.app.state.services
    return services


async def _run_at(request: Request, run_id: RunPath) -> RunRecord:
    return await services_of(request).app.journal.get_run(run_id, whole=True)


#: The run that an address names by its whole id: an abbreviation may be another run's tomorrow. What takes one of
#: these answers 404 by itself where there is no such run.
TheRun = Annotated[RunRecord, Depends(_run_at)]


@router.get("", response_model=schemas.RunPage)
async def list_runs(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    status: Annotated[str, Query(max_length=100)] = "",
    search: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[str | None, Query(max_length=64)] = None,
) -> dict[str, Any]:
    """Runs, newest first. ``status`` is one or several of them with commas between, those of ``display_status``
    included; ``before`` is the last run of the page before."""
    return await stats.run_page(services_of(request).app, limit, status, search, before)


@router.post("", response_model=schemas.RunRef, status_code=201)
async def start_run(request: Request, body: schemas.StartRun) -> dict[str, Any]:
    """Start a run. It waits its turn when the server works on many."""
    services = services_of(request)
    record = await starting.create(
        services.app,
        services.roots,
        workflow=body.workflow,
        prompt=body.prompt,
        options=body.options,
        workspace=body.workspace,
        files=body.files,
    )
    services.crew.start(record.run_id)
    return {"run_id": record.run_id}


@router.get("/{run_id}", response_model=schemas.Run)
async def show_run(request: Request, record: TheRun) -> dict[str, Any]:
    """What a run did and how it stands."""
    services = services_of(request)
    entries = await services.app.journal.entries(record.run_id)
    events = await services.app.journal.events(record.run_id)
    found = report.report(record, entries, events)
    _complete_steps(found["steps"], entries, events)
    return found | {
        "title": record.title,
        "created_at": record.created_at,
        "finished_at": record.finished_at,
        "display_status": stats.display_status(record),
        "parent_run": record.parent_run,
        "options": dict(record.options),
        "command": starting.command_text(record),
        "last_event_id": max((event.seq or 0 for event in events), default=0),
        "undone": bool(undone(entries)),
    }


def _complete_steps(steps: list[dict[str, Any]], entries: list[Entry], events: list[Event]) -> None:
    numbers: dict[str, int] = {}
    for event in events:
        if event.name == SEND_WORKFLOW:
            numbers.update((row["path"], row["step_id"]) for row in event.payload["workflow"]["steps"])
    for step in steps:
        used = report.usage_of([e for e in entries if report.belongs(e.path, step["path"])])
        step["step"] = numbers.get(step["path"])
        step["input_tokens"], step["output_tokens"] = used["input_tokens"], used["output_tokens"]


@router.get(
    "/{run_id}/events",
    response_model=schemas.EventPage,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, 204: {"model": None}},
)
async def run_events(
    request: Request,
    record: TheRun,
    since: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    accept: Annotated[str, Header()] = "",
    last_event_id: Annotated[str, Header()] = "",
) -> Response:
    """A run's events after ``since``: those that are stored as JSON, or, for ``Accept: text/event-stream``, live until
    the run ends (``id`` is the event's number, so a browser's EventSource goes on where it was)."""
    services, run_id = services_of(request), record.run_id
    if "text/event-stream" not in accept:
        events = await services.app.journal.events(run_id, since=since)
        last = max([since, *(event.seq or 0 for event in events)])
        return JSONResponse({"events": [as_json(event) for event in events], "last": last})
    resumed = last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 10
    if resumed:
        since = max(since, int(last_event_id))
    ended = record.status in stats.ENDED
    if ended and resumed and not await services.app.journal.events(run_id, since=since, limit=1):
        # Tells EventSource that there is nothing to come back for.
        return Response(status_code=204)
    stream = event_stream(services, run_id, since, request.scope["windlass.abort"])
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
