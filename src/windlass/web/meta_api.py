"""The API's routes about the server itself: what it can do, models, costs, files, links, health."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from windlass import __version__
from windlass.errors import StoreError
from windlass.llm.catalog import describe
from windlass.llm.config import ModelConfig
from windlass.store import stats as queries
from windlass.vocabulary import get_user_context
from windlass.web import schemas, starting, stats
from windlass.web.access import SESSION_SECONDS
from windlass.web.forms import forms
from windlass.web.services import Services
from windlass.wiring import model_configs, roles

router = APIRouter()

#: Files listed for a picker at most, and folders that nobody wants to pick from.
MAX_LISTED = 5_000
_SKIPPED = frozenset({"node_modules", "__pycache__", "dist", "build", "venv"})


def services_of(request: Request) -> Services:
    """The server's parts."""
    services: Services = request.app.state.services
    return services


@router.get("/api/meta", response_model=schemas.Meta)
async def meta(request: Request) -> dict[str, Any]:
    """What this server can do."""
    services = services_of(request)
    return {
        "version": __version__,
        "user": get_user_context().name,
        "workflows": [
            {
                "name": name,
                "title": form.title,
                "prompt_label": form.label,
                "fields": [
                    {
                        "name": field.name,
                        "type": field.type,
                        "label": field.label,
                        "default": field.default,
                        "choices": None if field.choices is None else list(field.choices),
                    }
                    for field in form.shown
                ],
            }
            for name, form in forms().items()
        ],
        "model": services.app.settings.model,
        "sandbox": services.app.settings.sandbox,
        "workspace_root": str(services.roots[0]),
    }


@router.get("/api/models", response_model=list[schemas.Model])
async def models(request: Request) -> list[dict[str, Any]]:
    """Aliases and roles with their prices, and what is missing. Uses no network."""
    settings = services_of(request).app.settings
    found = await asyncio.to_thread(
        describe,
        roles(settings.model, settings.fast_model, settings.judge_model),
        model_configs(settings),
        env=settings.environment,
        defaults=ModelConfig(model=settings.model or ""),
    )
    return [
        {
            "name": model.name,
            "model": model.model,
            "roles": list(model.roles),
            "base_url": model.base_url,
            "price": {
                "policy": model.price.policy,
                "input_per_million": _number(model.price.input_per_million),
                "output_per_million": _number(model.price.output_per_million),
            },
            "fallbacks": list(model.fallbacks),
            "missing": list(model.missing),
        }
        for model in found
    ]


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))


@router.get("/api/stats", response_model=list[schemas.StatsRow])
async def costs(
    request: Request, by: stats.By = "day", days: Annotated[int, Query(ge=1, le=3660)] = 30
) -> list[dict[str, Any]]:
    """Requests, tokens and USD of the last ``days`` days. ``cost_usd`` is null where a part of it is not known."""
    return await stats.sums(services_of(request).app, by, days)


@router.get("/api/files", response_model=schemas.Files)
async def files(request: Request, workspace: Annotated[str, Query(max_length=4000)] = "") -> dict[str, Any]:
    """Names of the files in a folder, for a picker; only in the folders that this server may use."""
    services = services_of(request)
    folder, _ = starting.place(workspace or ".", services.roots, "", new_folder=False)
    found, truncated = await asyncio.to_thread(_list, folder)
    return {"workspace": str(folder), "files": found, "truncated": truncated}


def _list(folder: Path) -> tuple[list[str], bool]:
    found: list[str] = []
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED and not name.startswith("."))
        base = Path(here)
        for name in sorted(names):
            if name.startswith(".") or (base / name).is_symlink():
                continue
            if len(found) == MAX_LISTED:
                return found, True
            found.append((base / name).relative_to(folder).as_posix())
    return found, False


@router.post("/api/launch-links", response_model=schemas.LaunchLink, status_code=201)
async def launch_link(request: Request) -> dict[str, Any]:
    """A link that opens the page in another browser; it works once, within ten minutes."""
    services = services_of(request)
    return {"url": f"{services.url}/launch?code={services.access.launch_code()}"}


@router.get("/launch", include_in_schema=False)
async def launch(request: Request, code: str = "") -> Response:
    """Turns a launch link into a session. The code is gone from the address afterwards."""
    services = services_of(request)
    session = services.access.redeem(code)
    if session is None:
        text = "This link has been used or is too old. Get a new one with: windlass serve --link"
        return PlainTextResponse(text + "\n", status_code=401)
    response = RedirectResponse("/", status_code=303)
    response.set_cookie(
        services.cookie, session, max_age=int(SESSION_SECONDS), path="/", httponly=True, samesite="strict"
    )
    return response


@router.get("/healthz", include_in_schema=False)
async def healthz() -> Response:
    """The process is alive."""
    return PlainTextResponse("ok\n")


@router.get("/readyz", include_in_schema=False)
async def readyz(request: Request) -> Response:
    """The database answers, and the server is not stopping."""
    services = services_of(request)
    try:
        await stats.in_thread(services.app, queries.counts_by_status)
    except StoreError as error:
        return PlainTextResponse(f"{error}\n", status_code=503)
    if services.crew.closing or not services.feed.alive:
        return PlainTextResponse("The server is stopping.\n", status_code=503)
    return PlainTextResponse("ready\n")


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Counts in Prometheus' text format."""
    services = services_of(request)
    gauges = {
        "windlass_runs_active": float(len(services.crew.at_work())),
        "windlass_sockets": float(services.sockets()),
    }
    return PlainTextResponse(
        services.metrics.text(gauges), media_type="text/plain; version=0.0.4; charset=utf-8"
    )
