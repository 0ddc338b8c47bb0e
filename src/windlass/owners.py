"""Who owns a run, and whether that process still lives: a killed one need not be waited for."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from windlass.errors import RunOwnedElsewhere
from windlass.events import WorkflowStatus
from windlass.ids import generate_id, sha256_hex
from windlass.journal import Journal, Lease, RunRecord


def owner_name() -> str:
    """A name for this process as an owner: ``host:pid:machine:start:random``.

    ``machine`` identifies this boot of this machine (and the container, as far as process ids are its own),
    ``start`` this process among all that ever had its id; both are ``-`` where the system does not tell.
    """
    pid = os.getpid()
    return f"{platform.node() or 'host'}:{pid}:{_machine()}:{_started(pid) or '-'}:{generate_id()[-4:]}"


def is_dead(owner: str | None) -> bool:
    """Whether the owner was a process of this machine that certainly lives no more. In doubt: False."""
    if owner is None:
        return False
    parts = owner.rsplit(":", 4)
    if len(parts) != 5 or not parts[1].isdigit() or parts[2] == "-" or parts[2] != _machine():
        return False
    started = _started(int(parts[1]))
    return started is None or started != parts[3]


def is_owned(record: RunRecord, now: float | None = None) -> bool:
    """Whether a living process works on the run (as far as can be told)."""
    return is_held(record.owner, record.lease_until, time.time() if now is None else now)


def is_held(owner: str | None, lease_until: float | None, now: float) -> bool:
    """The same of a lease as it is kept."""
    return owner is not None and (lease_until or 0) > now and not is_dead(owner)


def is_interrupted(record: RunRecord) -> bool:
    """Whether the run was begun and nobody works on it."""
    return record.status in (WorkflowStatus.Started, WorkflowStatus.Pending) and not is_owned(record)


async def take(journal: Journal, run_id: str, owner: str, *, ttl: float = 30.0) -> Lease:
    """Own the run, at once where its owner was killed on this machine.

    Raises RunOwnedElsewhere while another process, here or elsewhere, works on it.
    """
    try:
        return await journal.acquire(run_id, owner, ttl=ttl)
    except RunOwnedElsewhere:
        holder = (await journal.get_run(run_id)).owner
        if holder is None or not is_dead(holder):
            raise _worked_on(run_id, holder) from None
    # In the dead owner's name, with a lease that is over as it begins. From then on the run is free, and of
    # several processes that come here one gets it: the name no longer fits once the first of them owns it.
    try:
        await journal.acquire(run_id, holder, ttl=0.0)
        return await journal.acquire(run_id, owner, ttl=ttl)
    except RunOwnedElsewhere:
        raise _worked_on(run_id, (await journal.get_run(run_id)).owner) from None


def _worked_on(run_id: str, holder: str | None) -> RunOwnedElsewhere:
    who = "another process"
    if holder is not None:
        parts = holder.rsplit(":", 4)
        who = f"process {parts[1]} on {parts[0]}" if len(parts) == 5 else holder
    return RunOwnedElsewhere(
        f"Run {run_id} is being worked on by {who}; look at it with windlass runs show {run_id}, or end it with "
        f"windlass cancel {run_id}"
    )


@dataclass(frozen=True)
class _Process:
    state: str
    started: str


@cache
def _machine() -> str:
    """This boot and process-id namespace; ``-`` where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return sha256_hex(f"{boot} {Path('/proc/self/ns/pid').readlink()}")[:8]
    except OSError:
        return "-"


def _started(pid: int) -> str | None:
    """When a living process began (proc(5): clock ticks since boot); None when there is none."""
    process = _process(pid)
    return None if process is None or process.state in "ZX" else process.started


def _process(pid: int) -> _Process | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may itself hold spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    return _Process(fields[0], fields[19])
