"""What a running command uses that no kernel limit adds up: memory, processes and disk, over its whole tree."""

# This runs ten times a second, and pathlib triples its cost.
# ruff: noqa: PTH116, PTH208
from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from windlass.sandbox.base import Limits

_PAGE = os.sysconf("SC_PAGE_SIZE")
#: What an empty file costs a file system, so that a flood of them is seen as well. Bytes.
_ENTRY = 1024


def descendants(root: int) -> list[int]:
    """Process ids below ``root`` as they are now, without it; processes that end meanwhile are left out."""
    found: list[int] = []
    queue = [root]
    while queue:
        pid = queue.pop()
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                children = [
                    int(word) for word in Path(f"/proc/{pid}/task/{task}/children").read_text().split()
                ]
                found += children
                queue += children
        except (OSError, ValueError):
            continue
    return found


def memory(pids: Iterable[int], above: int) -> int:
    """Bytes of memory the processes hold together.

    Resident sizes count shared pages once a process; only when their sum passes ``above`` is the exact,
    slower figure taken.
    """
    pids = list(pids)
    rough = sum(map(_resident, pids))
    if rough <= above:
        return rough
    return sum(map(_proportional, pids))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def _proportional(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except PermissionError:
        return _resident(pid)
    except (OSError, ValueError):
        return 0
    return 0


def disk(folders: Iterable[Path]) -> int:
    """Bytes the folders occupy; links are not followed, holes in files cost nothing."""
    total = 0
    queue: list[str] = [str(folder) for folder in folders]
    while queue:
        try:
            with os.scandir(queue.pop()) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    total += max(status.st_blocks * 512, _ENTRY)
                    if stat.S_ISDIR(status.st_mode):
                        queue.append(entry.path)
        except OSError:
            continue  # removed, or closed off by its owner, while we looked
    return total


def unlinked(pids: Iterable[int]) -> int:
    """Bytes held by files that have no name any more but are still open."""
    sizes: dict[tuple[int, int], int] = {}
    for pid in pids:
        try:
            handles = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for handle in handles:
            try:
                status = os.stat(f"/proc/{pid}/fd/{handle}")
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                sizes[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(sizes.values())


def free(folder: Path) -> int:
    """Bytes left on the file system of ``folder``."""
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


@dataclass(frozen=True)
class Watch:
    """One command's tree and folders, against its limits."""

    root: int
    folders: tuple[Path, ...]
    limits: Limits
    free_at_start: int

    def excess(self) -> str | None:
        """The word for the limit that is passed now (``memory``, ``processes``, ``disk``), or None."""
        pids = descendants(self.root)
        # The kernel refuses the fork beyond the limit; this is for where it does not (some containers).
        if len(pids) > self.limits.processes + 32:
            return "processes"
        if memory(pids, self.limits.memory_bytes) > self.limits.memory_bytes:
            return "memory"
        if self.disk_excess(pids):
            return "disk"
        return None

    def disk_excess(self, pids: Iterable[int] = ()) -> bool:
        if disk(self.folders) + unlinked(pids) > self.limits.total_bytes:
            return True
        left = free(self.folders[0])
        # A nearly full disk that this run may have filled in a way not counted above: stop while there is room.
        return left < self.limits.total_bytes and self.free_at_start - left > self.limits.total_bytes
