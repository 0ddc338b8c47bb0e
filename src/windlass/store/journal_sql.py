"""The statements of the SQL journal, in one database's dialect."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Double, Insert, Update, bindparam, func, insert, or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from windlass.journal.base import EntryState
from windlass.store.runs import blobs, run_blobs, run_entries, run_events, runs

_KEY = ("run_id", "path", "attempt")


class Statements:
    """The statements that many rows share."""

    def __init__(self, is_sqlite: bool) -> None:
        dialect: Any = sqlite if is_sqlite else postgresql
        entry = dialect.insert(run_entries)
        changing = [c.name for c in run_entries.c if c.name not in ("id", *_KEY)]
        #: A finished effect is never written over, whoever comes late.
        self.put_entry: Insert = entry.on_conflict_do_update(
            index_elements=list(_KEY),
            set_={name: entry.excluded[name] for name in changing},
            where=run_entries.c.state != EntryState.DONE.value,
        )
        self.put_blob: Insert = dialect.insert(blobs).on_conflict_do_nothing()
        self.put_run_blob: Insert = dialect.insert(run_blobs).on_conflict_do_nothing()
        self.add_answer: ReturningInsert[Any] = (
            dialect.insert(run_entries).on_conflict_do_nothing().returning(run_entries.c.id)
        )
        self.add_event: Insert = insert(run_events)
        self.save_partial: Update = (
            update(run_entries)
            .where(
                run_entries.c.run_id == bindparam("of_run"),
                run_entries.c.path == bindparam("of_path"),
                run_entries.c.attempt == bindparam("of_attempt"),
            )
            .values(partial=bindparam("text"))
        )
        self.add_run: Insert = insert(runs)
        lease_until = func.coalesce(runs.c.lease_until, 0.0)
        lasting: dict[str, Any] = {"lease_until": bindparam("until"), "lease_ttl": bindparam("ttl")}
        of_run = runs.c.run_id == bindparam("of_run")
        held = (of_run, runs.c.owner == bindparam("of_owner"), runs.c.epoch == bindparam("of_epoch"))
        now: ColumnElement[float] = bindparam("now", type_=Double())
        #: Decides and takes in one statement, so that of two processes one finds the other's lease.
        self.take: ReturningUpdate[Any] = (
            update(runs)
            .where(
                of_run,
                or_(runs.c.owner.is_(None), runs.c.owner == bindparam("to_owner"), ~(lease_until > now)),
            )
            .values(owner=bindparam("to_owner"), epoch=runs.c.epoch + 1, **lasting)
            .returning(runs.c.epoch)
        )
        self.shorten: Update = (
            update(runs)
            .where(of_run, runs.c.lease_until > runs.c.lease_ttl + now)
            .values(lease_until=runs.c.lease_ttl + now)
        )
        self.extend: ReturningUpdate[Any] = update(runs).where(*held).values(**lasting).returning(runs)
        self.release: Update = update(runs).where(*held).values(owner=None, lease_until=None, lease_ttl=None)
        self.cancel: Update = update(runs).where(of_run).values(cancel_requested=True)


@cache
def statements(is_sqlite: bool) -> Statements:
    """For SQLite, or else for PostgreSQL."""
    return Statements(is_sqlite)


@cache
def change_run(columns: frozenset[str]) -> Update:
    """Sets these columns of the run ``of_run``, and when that was."""
    return (
        update(runs)
        .where(runs.c.run_id == bindparam("of_run"))
        .values({name: bindparam(name) for name in sorted(columns | {"updated_at"})})
    )
