"""Batches in the database: which items, in which order, and which run does each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.engine import Connection, RowMapping

from windlass.errors import NotFound
from windlass.events import WorkflowStatus
from windlass.journal.base import RunRecord
from windlass.store.base import Database
from windlass.store.fleet import batch_items, batches
from windlass.store.journal_rows import from_nano, run_row
from windlass.store.runs import run_entries, runs
from windlass.store.values import dump_json, load_json
from windlass.store.writer import writer_of

_CHUNK = 200


@dataclass(frozen=True)
class Batch:
    """One batch. ``out`` is the folder of its results; ``options`` what all of its runs were started with."""

    batch_id: str
    workflow: str
    title: str
    out: str
    options: Mapping[str, Any] = field(default_factory=dict)
    created_at: float = 0.0


@dataclass(frozen=True)
class ItemState:
    """An item and how its run stands. ``cost_usd`` is what its calls cost so far as far as that is known.

    A ``status`` of None: the run was deleted.
    """

    item_id: str
    run_id: str
    tags: Mapping[str, Any]
    status: WorkflowStatus | None
    error: str | None = None
    cost_usd: Decimal = Decimal(0)


class BatchStore:
    """Keeps the batches of one database. Making one does no I/O; all of it raises StoreError and its children."""

    def __init__(self, database: Database) -> None:
        self._writer = writer_of(database)
        self._is_sqlite = database.is_sqlite

    async def create(
        self,
        batch: Batch,
        items: Sequence[tuple[str, Mapping[str, Any], RunRecord]],
        *,
        also: Callable[[Connection], None] | None = None,
    ) -> Batch:
        """Keep a batch, its items (id, tags, run) and their runs, all or nothing; ``also`` is done in the same
        transaction. The batch as it is kept."""
        kept = replace(batch, created_at=batch.created_at or time.time())

        def keep(connection: Connection) -> None:
            for start in range(0, len(items), _CHUNK):
                part = items[start : start + _CHUNK]
                now = kept.created_at
                connection.execute(
                    insert(runs), [run_row(run.evolve(created_at=now, updated_at=now)) for _, _, run in part]
                )
                connection.execute(
                    insert(batch_items),
                    [
                        {
                            "batch_id": kept.batch_id,
                            "position": start + number,
                            "item_id": item_id,
                            "run_id": run.run_id,
                            "tags": dump_json(dict(tags)),
                        }
                        for number, (item_id, tags, run) in enumerate(part)
                    ],
                )
            connection.execute(insert(batches), _row(kept))
            if also is not None:
                also(connection)

        await self._writer.call(keep)
        if not self._is_sqlite:
            # Without it the planner takes the tables for empty and reads them whole for each run.
            await self._writer.call(lambda c: c.exec_driver_sql("ANALYZE runs, batch_items"))
        return kept

    async def get(self, batch_id: str) -> Batch:
        """The batch. A part of an id (4 characters or more) will do, and ``last`` is the newest. Raises NotFound."""

        def read(connection: Connection) -> Batch:
            query = select(batches)
            if batch_id == "last":
                query = query.order_by(batches.c.created_at.desc(), batches.c.batch_id.desc()).limit(1)
            elif len(batch_id) < 4:
                query = query.where(batches.c.batch_id == batch_id)
            else:
                beginning = batches.c.batch_id.startswith(batch_id, autoescape=True)
                query = query.where(or_(beginning, batches.c.batch_id.endswith(batch_id, autoescape=True)))
            found = connection.execute(query).mappings().all()
            exact = [row for row in found if row["batch_id"] == batch_id] or found
            if len(exact) != 1:
                if batch_id == "last":
                    raise NotFound(
                        "There is no batch yet; start one with: windlass batch ITEMS.jsonl --out DIR"
                    )
                what = "No batch is" if not exact else f"{len(exact)} batches are"
                raise NotFound(f"{what} called {batch_id!r}; see them with: windlass batch list")
            return _batch(exact[0])

        return await self._writer.call(read)

    async def list(self, limit: int = 50) -> list[tuple[Batch, dict[str, int]]]:
        """Batches, newest first, each with the number of its runs by status."""

        def read(connection: Connection) -> list[tuple[Batch, dict[str, int]]]:
            newest = select(batches).order_by(batches.c.created_at.desc()).limit(limit)
            found = [_batch(row) for row in connection.execute(newest).mappings().all()]
            count = (
                select(runs.c.status, func.count())
                .join(batch_items, batch_items.c.run_id == runs.c.run_id)
                .group_by(runs.c.status)
            )
            mine = batch_items.c.batch_id
            counted = []
            for batch in found:
                rows = connection.execute(count.where(mine == batch.batch_id)).all()
                counted.append((batch, {status: number for status, number in rows}))  # noqa: C416
            return counted

        return await self._writer.call(read)

    async def items(self, batch_id: str) -> Sequence[ItemState]:
        """Every item in its order, as its run stands."""

        def read(connection: Connection) -> list[ItemState]:
            spent = (
                select(run_entries.c.run_id, func.sum(run_entries.c.cost_nano_usd).label("nano"))
                .where(run_entries.c.run_id.in_(select(batch_items.c.run_id).filter_by(batch_id=batch_id)))
                .group_by(run_entries.c.run_id)
                .subquery()
            )
            query = (
                select(batch_items, runs.c.status, runs.c.error, spent.c.nano)
                .outerjoin(runs, runs.c.run_id == batch_items.c.run_id)
                .outerjoin(spent, spent.c.run_id == batch_items.c.run_id)
                .where(batch_items.c.batch_id == batch_id)
                .order_by(batch_items.c.position)
            )
            return [_state(row) for row in connection.execute(query).mappings().all()]

        return await self._writer.call(read)

    async def change(self, batch_id: str, **options: Any) -> None:
        """Change options of the batch."""

        def write(connection: Connection) -> None:
            mine = batches.c.batch_id == batch_id
            kept = load_json(connection.execute(select(batches.c.options).where(mine)).scalar_one())
            connection.execute(update(batches).where(mine).values(options=dump_json({**kept, **options})))

        await self._writer.call(write)


def _row(batch: Batch) -> dict[str, Any]:
    return {
        "batch_id": batch.batch_id,
        "workflow": batch.workflow,
        "title": batch.title,
        "out": batch.out,
        "options": dump_json(dict(batch.options)),
        "created_at": batch.created_at,
    }


def _batch(row: RowMapping) -> Batch:
    return Batch(
        row["batch_id"],
        row["workflow"],
        row["title"],
        row["out"],
        load_json(row["options"]),
        row["created_at"],
    )


def _state(row: RowMapping) -> ItemState:
    return ItemState(
        row["item_id"],
        row["run_id"],
        load_json(row["tags"]),
        None if row["status"] is None else WorkflowStatus(row["status"]),
        row["error"],
        from_nano(None if row["nano"] is None else int(row["nano"])) or Decimal(0),
    )
