"""The tables of runs: what the SQL journal and the budget ledger keep.

Money is kept in whole nano-dollars (1 USD = 1,000,000,000): one token of a cheap model costs less than
a micro-dollar, and sums of integers are exact in every database. Times are seconds since 1970.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from windlass.store.base import Base

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
    # The run that did it, where this one is a fork that took it over at no cost.
    Column("copied_from", String(64)),
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
    # Few are open at a time, among one row for every call there ever was.
    Index(
        "ix_budget_reservations_open",
        "owner",
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
)
