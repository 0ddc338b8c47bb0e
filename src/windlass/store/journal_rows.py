"""How the records of a journal become rows, and rows records again."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import Any

from sqlalchemy import RowMapping

from windlass.events import Event, WorkflowStatus
from windlass.journal.base import Entry, EntryState, RunRecord
from windlass.store.values import dump_json, load_json, unpack

_NANO = Decimal(1_000_000_000)


def to_nano(amount: Decimal | None, *, up: bool = False) -> int | None:
    """USD as whole nano-dollars, to the nearest, or upwards so that a reservation is never too small."""
    if amount is None:
        return None
    return int((amount * _NANO).to_integral_value(ROUND_CEILING if up else ROUND_HALF_EVEN))


def from_nano(amount: int | None) -> Decimal | None:
    """Whole nano-dollars as USD."""
    return None if amount is None else Decimal(amount) / _NANO


def plain_text(text: str | None) -> str | None:
    """The text as every database takes it: no NUL, no lone surrogate."""
    if text is None:
        return None
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


#: The fields of a run that its owner may change, and how each is stored.
RUN_CHANGES: Mapping[str, Any] = {
    "status": lambda value: WorkflowStatus(value).value,
    "summary": plain_text,
    "error": plain_text,
    "pins": lambda value: dump_json(dict(value)),
    "options": lambda value: dump_json(dict(value)),
    "workspace": plain_text,
    "title": plain_text,
    "finished_at": lambda value: value,
    "cancel_requested": bool,
}


def run_row(run: RunRecord) -> dict[str, Any]:
    """The row that keeps a run."""
    return {
        "run_id": run.run_id,
        "workflow": run.workflow,
        "title": plain_text(run.title),
        "status": run.status.value,
        "workspace": plain_text(run.workspace),
        "options": dump_json(dict(run.options)),
        "pins": dump_json(dict(run.pins)),
        "summary": plain_text(run.summary),
        "error": plain_text(run.error),
        "parent_run": run.parent_run,
        "owner": run.owner,
        "epoch": run.epoch,
        "lease_until": run.lease_until,
        "lease_ttl": None,
        "cancel_requested": run.cancel_requested,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "finished_at": run.finished_at,
    }


def run_record(row: RowMapping) -> RunRecord:
    """The run a row keeps."""
    return RunRecord(
        run_id=row["run_id"],
        workflow=row["workflow"],
        title=row["title"],
        status=WorkflowStatus(row["status"]),
        workspace=row["workspace"],
        options=load_json(row["options"]),
        pins=load_json(row["pins"]),
        summary=row["summary"],
        error=row["error"],
        parent_run=row["parent_run"],
        owner=row["owner"],
        epoch=row["epoch"],
        lease_until=row["lease_until"],
        cancel_requested=bool(row["cancel_requested"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        finished_at=row["finished_at"],
    )


def entry_row(run_id: str, entry: Entry, request: str | None, result: str | None) -> dict[str, Any]:
    """The row that keeps an attempt, given the column texts of its request and result."""
    return {
        "run_id": run_id,
        "path": entry.path,
        "attempt": entry.attempt,
        "kind": entry.kind,
        "digest": entry.digest,
        "state": entry.state.value,
        "request": request,
        "result": result,
        "partial": None if entry.partial is None else dump_json(entry.partial),
        "error": plain_text(entry.error),
        "model": entry.model,
        "input_tokens": entry.input_tokens,
        "output_tokens": entry.output_tokens,
        "cached_tokens": entry.cached_tokens,
        "cost_nano_usd": to_nano(entry.cost_usd),
        "reserved_nano_usd": to_nano(entry.reserved_usd, up=True),
        "prompt_name": entry.prompt_name,
        "prompt_version": entry.prompt_version,
        "template_sha256": entry.template_sha256,
        "rendered_sha256": entry.rendered_sha256,
        "provenance": entry.provenance,
        "started_at": entry.started_at,
        "finished_at": entry.finished_at,
        "copied_from": entry.copied_from,
    }


def entry_record(row: RowMapping, texts: Mapping[str, str]) -> Entry:
    """The attempt a row keeps; ``texts`` holds the long texts it points to, by hash."""
    return Entry(
        run_id=row["run_id"],
        path=row["path"],
        kind=row["kind"],
        digest=row["digest"],
        state=EntryState(row["state"]),
        attempt=row["attempt"],
        request=unpack(row["request"], texts),
        result=unpack(row["result"], texts),
        partial=None if row["partial"] is None else load_json(row["partial"]),
        error=row["error"],
        model=row["model"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cached_tokens=row["cached_tokens"],
        cost_usd=from_nano(row["cost_nano_usd"]),
        reserved_usd=from_nano(row["reserved_nano_usd"]),
        prompt_name=row["prompt_name"],
        prompt_version=row["prompt_version"],
        template_sha256=row["template_sha256"],
        rendered_sha256=row["rendered_sha256"],
        provenance=row["provenance"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        copied_from=row["copied_from"],
    )


def event_row(run_id: str, event: Event, payload: str | None) -> dict[str, Any]:
    """The row that keeps an event, given the column text of its payload."""
    return {
        "run_id": run_id,
        "seq": event.seq,
        "name": event.name,
        "payload": payload,
        "at": event.at,
    }


def event_record(row: RowMapping, texts: Mapping[str, str]) -> Event:
    """The event a row keeps."""
    return Event(row["name"], row["run_id"], unpack(row["payload"], texts), row["seq"], row["at"])
