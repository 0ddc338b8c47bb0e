"""The tables of many runs and many machines: batches, what is queued, and who works.

Times are seconds since 1970. ``runs`` stays the one truth about a run; nothing here repeats its status.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, Index, Integer, String, Table, Text, UniqueConstraint

from windlass.store.base import Base

metadata = Base.metadata

batches = Table(
    "batches",
    metadata,
    Column("batch_id", String(64), primary_key=True),
    Column("workflow", Text, nullable=False),
    Column("title", Text, nullable=False),
    # The folder of the results.
    Column("out", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Index("ix_batches_created_at", "created_at"),
)

#: The items of a batch in their order; each is an ordinary run.
batch_items = Table(
    "batch_items",
    metadata,
    Column("batch_id", String(64), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("item_id", Text, nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("tags", Text, nullable=False),
    UniqueConstraint("batch_id", "item_id", name="uq_batch_items_batch_id_item_id"),
    Index("ix_batch_items_run_id", "run_id"),
)

#: The runs that workers are to work on until they end. A job of the queue only makes it quick: what has a row here and no
#: living owner is put into the queue again.
queued_runs = Table(
    "queued_runs",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("queue", String(200), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("enqueued_at", Double, nullable=False),
    # Not to be begun before this.
    Column("not_before", Double, nullable=False),
    # How often a worker could not begin it, and why the last one could not.
    Column("refusals", Integer, nullable=False),
    Column("refusal", Text),
)

workers = Table(
    "workers",
    metadata,
    Column("worker_id", String(64), primary_key=True),
    # What the owner names of its runs begin with.
    Column("process", Text, nullable=False),
    Column("queues", Text, nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("stopping", Boolean, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
)
