"""The tables of runs: what the SQL journal and the budget ledger keep, and how a row becomes a record.

Money is kept in whole nano-dollars (1 USD = 1,000,000,000): one token of a cheap model costs less than
a micro-dollar, and sums of integers are exact in every database. Times are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from windlass.events import Event, WorkflowStatus
from windlass.journal.base import Entry, EntryState, RunRecord
from windlass.store.base import Base
from windlass.store.values import Parcel, dump_json, load_json, unpack

metadata = Base.metadata

#: SQLite counts a row's place by itself only in a column of exactly its own INTEGER type.
_Ordinal = BigInteger().with_variant(Integer, "sqlite")

runs = Table(
    "runs",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("workflow", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("workspace", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("pins", Text, nullable=False),
    Column("summary", Text),
    Column("error", Text),
    Column("parent_run", String(64)),
    Column("owner", Text),
    Column("epoch", Integer, nullable=False),
    Column("lease_until", Double),
    Column("lease_ttl", Double),
    Column("cancel_requested", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("finished_at", Double),
    Index("ix_runs_created_at_run_id", "created_at", "run_id"),
    Index("ix_runs_status", "status"),
)

run_entries = Table(
    "run_entries",
    metadata,
    # The order of claims. A settled entry keeps its place.
    Column("id", _Ordinal, primary_key=True, autoincrement=True),
    Column("run_id", String(64), nullable=False),
    Column("path", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("digest", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("request", Text),
    Column("result", Text),
    Column("partial", Text),
    Column("error", Text),
    Column("model", Text),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cached_tokens", BigInteger),
    Column("cost_nano_usd", BigInteger),
    Column("reserved_nano_usd", BigInteger),
    Column("prompt_name", Text),
    Column("prompt_version", Integer),
    Column("template_sha256", String(64)),
    Column("rendered_sha256", String(64)),
    Column("provenance", Text),
    Column("started_at", Double, nullable=False),
    Column("finished_at", Double),
    UniqueConstraint("run_id", "path", "attempt", name="uq_run_entries_run_id_path_attempt"),
)

run_events = Table(
    "run_events",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("name", String(64), nullable=False),
    Column("payload", Text, nullable=False),
    Column("at", Double, nullable=False),
    sqlite_with_rowid=False,
)

blobs = Table(
    "blobs",
    metadata,
    Column("sha256", LargeBinary(32), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("encoding", String(8), nullable=False),
    Column("content", LargeBinary, nullable=False),
)

#: Which run needs which blob: a blob that no row here names can go.
run_blobs = Table(
    "run_blobs",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("sha256", LargeBinary(32), primary_key=True),
    sqlite_with_rowid=False,
)

#: The last group each writer committed: after a lost connection it tells whether the group was kept.
journal_writers = Table(
    "journal_writers",
    metadata,
    Column("writer_id", String(64), primary_key=True),
    Column("group_no", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
)

budget_scopes = Table(
    "budget_scopes",
    metadata,
    Column("scope", String(200), primary_key=True),
    Column("limit_nano_usd", BigInteger),
    Column("reserved_nano_usd", BigInteger, nullable=False),
    Column("spent_nano_usd", BigInteger, nullable=False),
)

budget_reservations = Table(
    "budget_reservations",
    metadata,
    Column("reservation_id", String(64), primary_key=True),
    Column("owner", String(200), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("amount_nano_usd", BigInteger, nullable=False),
    # open | settled | unknown (counted in full, its true cost may still come)
    Column("state", String(16), nullable=False),
    Column("created_at", Double, nullable=False),
    Index("ix_budget_reservations_owner_state", "owner", "state"),
)

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
    "pins": dump_json,
    "options": dump_json,
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


def entry_row(entry: Entry, parcel: Parcel) -> dict[str, Any]:
    """The row that keeps an attempt; long texts of its request and result go into ``parcel``."""
    return {
        "run_id": entry.run_id,
        "path": entry.path,
        "attempt": entry.attempt,
        "kind": entry.kind,
        "digest": entry.digest,
        "state": entry.state.value,
        "request": parcel.pack(entry.request),
        "result": parcel.pack(entry.result),
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
    )


def event_row(event: Event, parcel: Parcel) -> dict[str, Any]:
    """The row that keeps an event."""
    return {
        "run_id": event.run_id,
        "seq": event.seq,
        "name": event.name,
        "payload": parcel.pack(dict(event.payload)),
        "at": event.at,
    }


def event_record(row: RowMapping, texts: Mapping[str, str]) -> Event:
    """The event a row keeps."""
    return Event(row["name"], row["run_id"], unpack(row["payload"], texts), row["seq"], row["at"])
