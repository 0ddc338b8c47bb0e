"""Pages of runs with what they used, and sums by day, model, workflow or prompt."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy.engine import Connection

from windlass.app import App
from windlass.errors import ArgumentError
from windlass.events import WorkflowStatus
from windlass.journal import RunRecord
from windlass.owners import is_dead
from windlass.report import display_status as shown_status
from windlass.store import stats as queries

ENDED = frozenset({WorkflowStatus.Success, WorkflowStatus.Failure, WorkflowStatus.Cancelled})
_UNFINISHED = [WorkflowStatus.Started, WorkflowStatus.Pending]
_NANO = 1_000_000_000
#: Runs looked at for one page of a search.
_STRIDE = 500

By = Literal["day", "model", "workflow", "prompt"]


def display_status(record: RunRecord) -> str:
    """The status as people want it: ``running`` or ``interrupted`` for a run that has begun."""
    if is_dead(record.owner):
        record = record.evolve(owner=None)
    return shown_status(record)


def read_statuses(text: str) -> tuple[list[WorkflowStatus] | None, set[str] | None]:
    """What to ask the database for, and which displayed statuses to keep. Raises ArgumentError."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        return None, None
    stored = {status.value.lower(): status for status in WorkflowStatus}
    asked: list[WorkflowStatus] = []
    shown: set[str] = set()
    for word in words:
        if word.lower() in ("running", "interrupted"):
            asked += _UNFINISHED
            shown.add(word.lower())
        elif word.lower() in stored:
            asked.append(stored[word.lower()])
            shown.add(stored[word.lower()].value)
        else:
            known = ", ".join([*(status.value for status in WorkflowStatus), "running", "interrupted"])
            raise ArgumentError(f"No status is called {word!r}; known: {known}.")
    return asked, shown


async def run_page(app: App, limit: int, status: str, search: str, before: str | None) -> dict[str, Any]:
    """A page of runs, newest first, and the run to ask for the next page with; None at the end."""
    asked, shown = read_statuses(status)
    wanted = search.strip().lower()

    def fits(record: RunRecord) -> bool:
        if shown is not None and not ({record.status.value, display_status(record)} & shown):
            return False
        # Not in SQL: lower() of SQLite knows only ASCII.
        return not wanted or wanted in f"{record.run_id} {record.title} {record.workflow}".lower()

    def read(connection: Connection) -> tuple[list[RunRecord], dict[str, queries.Used], bool]:
        found: list[RunRecord] = []
        last, more = before, True
        stride = _STRIDE if wanted or shown else limit + 1
        while more and len(found) <= limit:
            rows = queries.runs_before(connection, stride, asked, last)
            found += [record for record in rows if fits(record)]
            more = len(rows) == stride
            last = rows[-1].run_id if rows else last
        page = found[:limit]
        return page, queries.used_by(connection, [r.run_id for r in page]), len(found) > limit

    page, used, more = await in_thread(app, read)
    return {
        "runs": [_row(record, used.get(record.run_id)) for record in page],
        "next": page[-1].run_id if more and page else None,
    }


def _row(record: RunRecord, used: queries.Used | None) -> dict[str, Any]:
    seconds = None
    if record.finished_at is not None:
        seconds = round(record.finished_at - record.created_at, 3)
    used = used or queries.Used(0, 0, 0)
    known = used.cost_nano_usd / _NANO
    return {
        "run_id": record.run_id,
        "workflow": record.workflow,
        "title": record.title,
        "status": record.status.value,
        "display_status": display_status(record),
        "workspace": record.workspace,
        "created_at": record.created_at,
        "finished_at": record.finished_at,
        "seconds": seconds,
        "requests": used.requests,
        "tokens": used.tokens,
        "cost_usd": None if used.unpriced else known,
        "known_cost_usd": known,
        "unpriced_calls": used.unpriced,
        "error": record.error,
        "parent_run": record.parent_run,
    }


async def sums(app: App, by: By, days: int) -> list[dict[str, Any]]:
    """What was used in the last ``days`` days (UTC, today included): the newest day first, else the dearest first."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = today.timestamp() - (days - 1) * 86_400
    calls = await in_thread(app, lambda connection: queries.calls_since(connection, since))
    key_of = _KEYS[by]
    groups: dict[str, list[queries.CallRow]] = {}
    for call in calls:
        groups.setdefault(key_of(call), []).append(call)
    rows = [_sum(key, group) for key, group in groups.items()]
    if by == "day":
        return sorted(rows, key=lambda row: str(row["key"]), reverse=True)
    return sorted(
        rows, key=lambda row: (-float(row["known_cost_usd"]), -int(row["requests"]), str(row["key"]))
    )


_KEYS: dict[str, Callable[[queries.CallRow], str]] = {
    "day": lambda call: time.strftime("%Y-%m-%d", time.gmtime(call.started_at)),
    "model": lambda call: call.model or "?",
    "workflow": lambda call: call.workflow,
    "prompt": lambda call: call.prompt or "?",
}


def _sum(key: str, calls: Sequence[queries.CallRow]) -> dict[str, Any]:
    known = sum(call.cost_nano_usd or 0 for call in calls) / _NANO
    unpriced = sum(call.cost_nano_usd is None for call in calls)
    return {
        "key": key,
        "runs": len({call.run_id for call in calls}),
        "requests": len(calls),
        "input_tokens": sum(call.input_tokens for call in calls),
        "output_tokens": sum(call.output_tokens for call in calls),
        "cached_tokens": sum(call.cached_tokens for call in calls),
        "cost_usd": None if unpriced else known,
        "known_cost_usd": known,
        "unpriced_calls": unpriced,
        "unknown_calls": sum(call.unknown for call in calls),
    }


async def in_thread(app: App, read: Callable[[Connection], Any]) -> Any:
    """What a question to the database gives, asked in a thread."""

    def work() -> Any:
        with app.database.reading() as connection:
            return read(connection)

    return await asyncio.to_thread(work)
