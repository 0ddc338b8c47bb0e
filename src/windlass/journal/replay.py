"""The replay rule: what a run may do at a path, given what its journal already holds there."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable, Sequence
from typing import Any

from windlass.errors import JournalMismatch
from windlass.ids import sha256_hex
from windlass.journal.base import Entry, EntryState, Journal, Lease


def digest_of(request: Any) -> str:
    """SHA-256 of a JSON value in one canonical spelling."""
    return sha256_hex(json.dumps(request, sort_keys=True, ensure_ascii=False, separators=(",", ":")))


_EFFECT = re.compile(r"/(?:read:.*|[a-z]+)\[\d+\](?:\.approve|\.again\[\d+\])?$")


def step_of(path: str) -> str:
    """The step that an effect's path belongs to; step paths may hold slashes themselves."""
    return _EFFECT.sub("", path)


class RunJournal:
    """One run's journal, in the hands of the process that owns the run.

    For each effect: ask :meth:`recorded` first; when it answers None, :meth:`claim`, do the effect, then
    :meth:`finish` or :meth:`fail`.
    """

    def __init__(
        self, journal: Journal, lease: Lease, entries: list[Entry], clock: Callable[[], float] = time.time
    ) -> None:
        self.journal = journal
        self.lease = lease
        self._clock = clock
        self._last: dict[str, Entry] = {}
        self._done: dict[str, Entry] = {}
        self.all: dict[tuple[str, int], Entry] = {}
        for entry in entries:
            self._keep(entry)

    @classmethod
    async def open(cls, journal: Journal, lease: Lease, clock: Callable[[], float] = time.time) -> RunJournal:
        """Load what the run has done; every attempt a dead owner left behind becomes ``unknown``."""
        opened = cls(journal, lease, await journal.entries(lease.run_id), clock)
        for entry in [e for e in opened.all.values() if e.state is EntryState.CLAIMED]:
            await opened._settle(
                entry.evolve(
                    state=EntryState.UNKNOWN,
                    error="its process ended while it was under way; it may have been done, and paid",
                )
            )
        return opened

    def _keep(self, entry: Entry) -> None:
        self.all[entry.path, entry.attempt] = entry
        last = self._last.get(entry.path)
        if last is None or entry.attempt >= last.attempt:
            self._last[entry.path] = entry
        if entry.state is EntryState.DONE:
            self._done[entry.path] = entry

    def recorded(self, path: str, digest: str) -> Entry | None:
        """The finished effect at ``path``, or None when it is still to be done.

        Raises JournalMismatch when the run once did something else here: the recorded reply would
        be the wrong one.
        """
        entry = self._done.get(path)
        if entry is not None and entry.digest != digest:
            raise JournalMismatch(
                f"At {path} the run recorded another {entry.kind} request than it makes now (its code, prompt or "
                f"input changed); start again from there with: windlass fork {self.lease.run_id} --from {shlex.quote(step_of(path))}"
            )
        return entry

    def last(self, path: str) -> Entry | None:
        """The newest attempt at ``path`` in any state."""
        return self._last.get(path)

    async def claim(
        self,
        path: str,
        kind: str,
        digest: str,
        request: Any = None,
        *,
        blobs: Sequence[bytes] = (),
        **fields: Any,
    ) -> Entry:
        """A new attempt at ``path``, committed before this returns, together with the ``blobs`` it points to."""
        last = self._last.get(path)
        entry = Entry(
            run_id=self.lease.run_id,
            path=path,
            kind=kind,
            digest=digest,
            state=EntryState.CLAIMED,
            attempt=1 if last is None else last.attempt + 1,
            request=request,
            started_at=self._clock(),
            **fields,
        )
        self._keep(entry)
        await self.journal.claim(self.lease, entry, blobs=blobs)
        return entry

    async def finish(self, entry: Entry, result: Any, **fields: Any) -> Entry:
        """The effect is done: keep its whole result."""
        return await self._settle(
            entry.evolve(state=EntryState.DONE, result=result, finished_at=self._clock(), **fields)
        )

    async def fail(
        self, entry: Entry, error: str, *, state: EntryState = EntryState.FAILED, **fields: Any
    ) -> Entry:
        """The attempt failed (or, with ``state``, nobody knows): keep what is known of it."""
        return await self._settle(entry.evolve(state=state, error=error, finished_at=self._clock(), **fields))

    async def _settle(self, entry: Entry) -> Entry:
        await self.journal.settle(self.lease, entry)
        self._keep(entry)
        return entry

    async def record(
        self, path: str, kind: str, digest: str, request: Any, result: Any, *, blobs: Sequence[bytes] = ()
    ) -> Entry:
        """Keep an effect that costs nothing to repeat (a read), in one commit with the ``blobs`` it points to."""
        entry = Entry(
            run_id=self.lease.run_id,
            path=path,
            kind=kind,
            digest=digest,
            state=EntryState.DONE,
            request=request,
            result=result,
            started_at=self._clock(),
            finished_at=self._clock(),
        )
        await self.journal.claim(self.lease, entry, blobs=blobs)
        self._keep(entry)
        return entry
