"""The record under every effect: what a journal keeps and what its writer promises.

A *journal* holds runs, their entries (one row an attempt at an effect), their events and the blobs that
rows point to. Whatever a method that writes returns from has been committed to stable storage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from windlass.errors import NotFound
from windlass.events import Event, WorkflowStatus


class EntryState(StrEnum):
    """How an attempt stands."""

    #: Committed before the effect begins; still so with a living owner: under way.
    CLAIMED = "claimed"
    #: The effect happened and its whole result is here.
    DONE = "done"
    #: The attempt failed in a way we saw; it may still have cost something.
    FAILED = "failed"
    #: Its owner died, or it was cut off: it may have happened and may have been paid.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Entry:
    """One attempt at one effect of a run.

    ``path`` names the effect (``testing_step.repair[2]/model[0]``), ``attempt`` counts from 1, ``digest``
    identifies the request. ``request`` and ``result`` are JSON values. Costs are USD; ``cost_usd`` None =
    not known; ``reserved_usd`` is the worst case that was set aside. Times are seconds since 1970. ``copied_from`` is
    the run that did it, where this one is a fork that took it over: then it cost this run nothing.
    """

    run_id: str
    path: str
    kind: str  # "model" | "read" | "write" | "tests" | "answer" | "value"
    digest: str
    state: EntryState
    attempt: int = 1
    request: Any = None
    result: Any = None
    partial: str | None = None
    error: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: Decimal | None = None
    reserved_usd: Decimal | None = None
    prompt_name: str | None = None
    prompt_version: int | None = None
    template_sha256: str | None = None
    rendered_sha256: str | None = None
    provenance: str | None = None
    started_at: float = 0.0
    finished_at: float | None = None
    copied_from: str | None = None

    def evolve(self, **changes: Any) -> Entry:
        """A copy with these fields changed."""
        return replace(self, **changes)

    def taken_over(self, run_id: str) -> Entry:
        """The same effect in a fork: known as another run's, and not paid for again."""
        cost = Decimal(0) if self.kind == "model" else None
        return self.evolve(
            run_id=run_id, copied_from=self.copied_from or self.run_id, cost_usd=cost, reserved_usd=None
        )


@dataclass(frozen=True)
class RunRecord:
    """One run as the journal knows it.

    ``options`` is what it was started with, ``pins`` what must not change under it (definition hash,
    prompt versions, models). ``owner`` holds the run until ``lease_until`` (seconds since 1970).
    """

    run_id: str
    workflow: str
    title: str
    status: WorkflowStatus = WorkflowStatus.Pending
    workspace: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    pins: Mapping[str, Any] = field(default_factory=dict)
    summary: str | None = None
    error: str | None = None
    parent_run: str | None = None
    owner: str | None = None
    epoch: int = 0
    lease_until: float | None = None
    cancel_requested: bool = False
    created_at: float = 0.0
    updated_at: float = 0.0
    finished_at: float | None = None

    def evolve(self, **changes: Any) -> RunRecord:
        """A copy with these fields changed."""
        return replace(self, **changes)


def the_only(part: str, found: Sequence[RunRecord]) -> RunRecord:
    """The one run that was ``found``, newest first, for a beginning or end of an id. Raises NotFound for none or several."""
    if len(found) == 1:
        return found[0]
    if not found and part == "last":
        raise NotFound("There is no run yet; start one with: windlass run")
    if not found:
        raise NotFound(f"No run is called {part!r}.")
    ids = [run.run_id for run in found]
    begin, end = all(id_.startswith(part) for id_ in ids), all(id_.endswith(part) for id_ in ids)
    how = "begins" if begin else "ends" if end else "begins or ends"
    raise NotFound(
        f"More than one run's id {how} with {part!r}{', such as' if len(ids) > 3 else ':'} "
        f"{', '.join(ids[:3][:-1])} and {ids[:3][-1]}; type one of these ids, or its {'beginning' if end else 'end'}."
    )


@dataclass(frozen=True)
class Lease:
    """The right to write to one run. A newer epoch makes it void."""

    run_id: str
    owner: str
    epoch: int


class Journal(Protocol):
    """Keeps runs. Writes that carry a lease raise LeaseLost, having written nothing, when a newer
    epoch exists. Every method may raise StoreError and its children."""

    async def create_run(self, run: RunRecord) -> None:
        """Keep a new run. ``created_at`` and ``updated_at`` are set here when 0."""

    async def get_run(self, run_id: str, *, whole: bool = False) -> RunRecord:
        """The run. An unambiguous beginning or end of an id (4 characters or more) will do, and
        ``last`` is the newest run; with ``whole`` only the whole id will. Raises NotFound, also when several
        runs fit."""

    async def list_runs(
        self,
        *,
        limit: int = 50,
        status: Sequence[WorkflowStatus] | None = None,
        search: str | None = None,
        workflow: str | None = None,
        from_id: str | None = None,
    ) -> list[RunRecord]:
        """Runs, newest first. ``search`` looks into id, title and workflow; ``from_id`` leaves out ids that sort before it,
        so all runs that are older."""

    async def acquire(self, run_id: str, owner: str, *, ttl: float = 30.0) -> Lease:
        """Own the run for ``ttl`` seconds. Raises RunOwnedElsewhere while another's lease lives."""

    async def renew(self, lease: Lease, *, ttl: float = 30.0) -> RunRecord:
        """Extend the lease; the record as it is now (see ``cancel_requested``)."""

    async def release(self, lease: Lease) -> None:
        """Give the run back; harmless when the lease is lost already."""

    async def update_run(self, lease: Lease, **changes: Any) -> None:
        """Change ``status``, ``summary``, ``error``, ``pins``, ``options``, ``workspace``, ``title`` or
        ``finished_at`` of the run, together in one commit."""

    async def request_cancel(self, run_id: str) -> None:
        """Ask the owner, whoever it is, to end the run; seen by its next :meth:`cancel_requested`."""

    async def cancel_requested(self, run_id: str) -> bool:
        """Whether somebody asked the run, given by its whole id, to end. Made to be asked every second by every run;
        the answer may take a quarter of one."""

    async def entries(self, run_id: str) -> list[Entry]:
        """All attempts of a run in the order they were claimed."""

    async def claim(self, lease: Lease, entry: Entry, *, blobs: Sequence[bytes] = ()) -> None:
        """Keep a new attempt (state as given) before its effect begins, and with it, in the same commit, the byte
        strings it points to."""

    async def settle(self, lease: Lease, entry: Entry) -> None:
        """Replace the attempt's row (same path and attempt) by ``entry``; one that is done stays as it is."""

    async def save_partial(self, lease: Lease, path: str, attempt: int, text: str) -> None:
        """Keep what a running stream has brought so far."""

    async def answer(self, run_id: str, entry: Entry) -> None:
        """Keep a person's answer to a waiting run; needs no lease. Raises JournalError when one exists already."""

    async def append_events(self, lease: Lease, events: Sequence[Event]) -> None:
        """Keep events; their ``seq`` is set by the caller and must be new for the run."""

    async def events(self, run_id: str, *, since: int = 0, limit: int = 100_000) -> list[Event]:
        """A run's stored events with ``seq`` greater than ``since``, in order."""

    async def put_blobs(self, lease: Lease, blobs: Sequence[bytes]) -> list[str]:
        """Keep byte strings once each; their SHA-256 in hex, in order."""

    async def get_blob(self, sha256: str) -> bytes:
        """The bytes. Raises NotFound."""

    async def fork(self, run_id: str, new_run: RunRecord, *, keep: Sequence[str]) -> None:
        """Create ``new_run`` with the done entries of ``run_id`` whose paths are in ``keep``, :meth:`Entry.taken_over`."""

    async def delete_run(self, run_id: str) -> None:
        """Forget a run, its entries and events. Blobs nobody points to go with the next clean-up."""

    async def close(self) -> None:
        """Finish what is queued and give back the database."""
