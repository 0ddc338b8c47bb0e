"""Which prompt text to use now: remembered, checked against the database, and still there when that is away."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select

from windlass.errors import StoreError
from windlass.ids import sha256_hex
from windlass.prompt import rules
from windlass.prompt.records import Resolved
from windlass.store import prompt_experiments, prompt_sql
from windlass.store.base import Database
from windlass.store.prompt_models import PromptModel
from windlass.store.watch import Moment, Watch

#: After a failed read, seconds during which the database is not asked again.
RETRY_AFTER = 5.0
_PINS_REMEMBERED = 4096


class PromptReader:
    """Reads the version in effect, or the one that a run got. Safe to share between threads; making one does no I/O."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watch = Watch(database)
        self._lock = threading.Lock()
        self._remembered: dict[str, tuple[Moment | None, prompt_sql.Effective]] = {}
        self._pins: OrderedDict[tuple[str, str], Resolved] = OrderedDict()
        self._outage: StoreError | None = None
        self._ask_again_at = 0.0

    def resolve(self, name: str, default: str, run_id: str | None, ensure: Callable[[], None]) -> Resolved:
        """The text to use now; never raises because of the database.

        ``ensure`` stores the default where the prompt has no version; it is called before the database is read.
        """
        if run_id is not None and (pinned := self._pins.get((run_id, name))) is not None:
            return pinned
        try:
            if self._outage is not None and time.monotonic() < self._ask_again_at:
                raise self._outage
            ensure()
            resolved = self._resolve(name, default, run_id)
            self._outage = None
        except StoreError as error:
            resolved = self._without_database(name, default, error)
        if run_id is not None:
            self._remember_pin(run_id, resolved)
        return resolved

    def _resolve(self, name: str, default: str, run_id: str | None) -> Resolved:
        # Before the row is read: a change in between is then noticed next time instead of never.
        version = self._watch.data_version()
        seen, effective = self._remembered.get(name, (None, None))
        if effective is not None and version is not None and version == seen:
            return self._for_run(effective, effective.resolved("cache"), run_id)
        with self._database.reading() as connection:
            if effective is not None and self._revision(connection, name) == effective.prompt.revision:
                source: Any = "cache"
            else:
                effective, source = prompt_sql.find_effective(connection, name), "db"
        if effective is None:
            return Resolved(name, None, default, "default", sha256_hex(default), 0)
        self._remembered[name] = (version, effective)
        return self._for_run(effective, effective.resolved(source), run_id)

    @staticmethod
    def _revision(connection: Connection, name: str) -> int | None:
        query = select(PromptModel.revision).where(PromptModel.prompt_name == name)
        return connection.scalars(query).one_or_none()

    def _for_run(self, effective: prompt_sql.Effective, resolved: Resolved, run_id: str | None) -> Resolved:
        if run_id is None:
            return resolved
        with self._database.reading() as connection:
            pinned = prompt_experiments.pinned(connection, run_id, effective.prompt.name)
        if pinned is None:
            with self._database.writing() as connection:
                pinned = prompt_experiments.pin(connection, run_id, effective.prompt.name)
        if pinned.version_no == resolved.version_no:
            return resolved
        return pinned

    def _without_database(self, name: str, default: str, error: StoreError) -> Resolved:
        if self._outage is None:
            rules.log.warning("Prompts are used as last seen, or as in the code: %s", error)
        if self._outage is None or time.monotonic() >= self._ask_again_at:
            self._outage, self._ask_again_at = error, time.monotonic() + RETRY_AFTER
        _, effective = self._remembered.get(name, (None, None))
        if effective is not None:
            return effective.resolved("stale")
        return Resolved(name, None, default, "default", sha256_hex(default), 0)

    def _remember_pin(self, run_id: str, resolved: Resolved) -> None:
        source = "cache" if resolved.source == "db" else resolved.source
        with self._lock:
            self._pins[run_id, resolved.name] = replace(resolved, source=source)
            if len(self._pins) > _PINS_REMEMBERED:
                self._pins.popitem(last=False)

    def close(self) -> None:
        """Give up the connection kept for watching; the database itself stays open."""
        self._watch.close()
