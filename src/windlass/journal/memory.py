"""A journal that lives in this process: for tests, and for workflows used without a database."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from windlass.errors import JournalError, LeaseLost, NotFound, RunOwnedElsewhere
from windlass.events import Event, WorkflowStatus
from windlass.ids import sha256_hex
from windlass.journal.base import Entry, EntryState, Lease, RunRecord, the_only


class MemoryJournal:
    """Keeps everything in dictionaries; the same rules as the SQL journal, gone with the process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._runs: dict[str, RunRecord] = {}
        self._entries: dict[str, dict[tuple[str, int], Entry]] = {}
        self._events: dict[str, list[Event]] = {}
        self._blobs: dict[str, bytes] = {}

    def _check(self, lease: Lease) -> RunRecord:
        run = self._runs.get(lease.run_id)
        if run is None or run.epoch != lease.epoch or run.owner != lease.owner:
            raise LeaseLost(f"Run {lease.run_id} was taken over by another process; this one stops writing.")
        return run

    async def create_run(self, run: RunRecord) -> None:
        now = self._clock()
        self._runs[run.run_id] = run.evolve(
            created_at=run.created_at or now, updated_at=run.updated_at or now
        )
        self._entries.setdefault(run.run_id, {})
        self._events.setdefault(run.run_id, [])

    async def get_run(self, run_id: str, *, whole: bool = False) -> RunRecord:
        if run_id in self._runs:
            return self._runs[run_id]
        if whole:
            raise NotFound(f"No run is called {run_id!r}.")
        if run_id == "last" and self._runs:
            return max(self._runs.values(), key=lambda r: (r.created_at, r.run_id))
        found = [
            r
            for key, r in self._runs.items()
            if len(run_id) >= 4 and (key.startswith(run_id) or key.endswith(run_id))
        ]
        return the_only(run_id, sorted(found, key=lambda r: (r.created_at, r.run_id), reverse=True))

    async def list_runs(
        self,
        *,
        limit: int = 50,
        status: Sequence[WorkflowStatus] | None = None,
        search: str | None = None,
        workflow: str | None = None,
        from_id: str | None = None,
    ) -> list[RunRecord]:
        runs = sorted(self._runs.values(), key=lambda r: (r.created_at, r.run_id), reverse=True)
        return [
            r
            for r in runs
            if (status is None or r.status in status)
            and (workflow is None or r.workflow == workflow)
            and (from_id is None or r.run_id >= from_id)
            and (not search or search.lower() in f"{r.run_id} {r.title} {r.workflow}".lower())
        ][:limit]

    async def acquire(self, run_id: str, owner: str, *, ttl: float = 30.0) -> Lease:
        run = await self.get_run(run_id)
        now = self._clock()
        if run.owner not in (None, owner) and (run.lease_until or 0) > now:
            raise RunOwnedElsewhere(f"Run {run.run_id} is being worked on by {run.owner}.")
        self._runs[run.run_id] = run.evolve(owner=owner, epoch=run.epoch + 1, lease_until=now + ttl)
        return Lease(run.run_id, owner, run.epoch + 1)

    async def renew(self, lease: Lease, *, ttl: float = 30.0) -> RunRecord:
        run = self._check(lease).evolve(lease_until=self._clock() + ttl)
        self._runs[lease.run_id] = run
        return run

    async def release(self, lease: Lease) -> None:
        run = self._runs.get(lease.run_id)
        if run is not None and run.epoch == lease.epoch:
            self._runs[lease.run_id] = run.evolve(owner=None, lease_until=None)

    async def update_run(self, lease: Lease, **changes: Any) -> None:
        self._runs[lease.run_id] = self._check(lease).evolve(updated_at=self._clock(), **changes)

    async def request_cancel(self, run_id: str) -> None:
        run = await self.get_run(run_id)
        self._runs[run.run_id] = run.evolve(cancel_requested=True)

    async def cancel_requested(self, run_id: str) -> bool:
        run = self._runs.get(run_id)
        return run is not None and run.cancel_requested

    async def entries(self, run_id: str) -> list[Entry]:
        return list(self._entries.get(run_id, {}).values())

    async def claim(self, lease: Lease, entry: Entry, *, blobs: Sequence[bytes] = ()) -> None:
        self._check(lease)
        self._blobs.update((sha256_hex(blob), blob) for blob in blobs)
        kept = self._entries[lease.run_id].get((entry.path, entry.attempt))
        if kept is None or kept.state is not EntryState.DONE:
            self._entries[lease.run_id][entry.path, entry.attempt] = entry

    async def settle(self, lease: Lease, entry: Entry) -> None:
        await self.claim(lease, entry)

    async def save_partial(self, lease: Lease, path: str, attempt: int, text: str) -> None:
        self._check(lease)
        entry = self._entries[lease.run_id].get((path, attempt))
        if entry is not None:
            self._entries[lease.run_id][path, attempt] = entry.evolve(partial=text)

    async def answer(self, run_id: str, entry: Entry) -> None:
        run = await self.get_run(run_id)
        if (entry.path, entry.attempt) in self._entries[run.run_id]:
            raise JournalError(f"Run {run.run_id} has its answer at {entry.path} already.")
        self._entries[run.run_id][entry.path, entry.attempt] = entry

    async def append_events(self, lease: Lease, events: Sequence[Event]) -> None:
        self._check(lease)
        self._events[lease.run_id].extend(events)

    async def events(self, run_id: str, *, since: int = 0, limit: int = 100_000) -> list[Event]:
        return [e for e in self._events.get(run_id, []) if (e.seq or 0) > since][:limit]

    async def put_blobs(self, lease: Lease, blobs: Sequence[bytes]) -> list[str]:
        self._check(lease)
        keys = [sha256_hex(blob) for blob in blobs]
        self._blobs.update(zip(keys, blobs, strict=True))
        return keys

    async def get_blob(self, sha256: str) -> bytes:
        if sha256 not in self._blobs:
            raise NotFound(f"No stored content has the hash {sha256[:12]}….")
        return self._blobs[sha256]

    async def fork(self, run_id: str, new_run: RunRecord, *, keep: Sequence[str]) -> None:
        await self.create_run(new_run)
        wanted = set(keep)
        for (path, attempt), entry in self._entries.get(run_id, {}).items():
            if path in wanted and entry.state is EntryState.DONE:
                self._entries[new_run.run_id][path, attempt] = entry.taken_over(new_run.run_id)

    async def delete_run(self, run_id: str) -> None:
        for kept in (self._runs, self._entries, self._events):
            kept.pop(run_id, None)

    async def close(self) -> None:
        return None
