"""Which steps of a run are shown where not all of them fit the screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

#: What a folded line calls its steps, in the order it counts them.
_WORDS = {
    "waiting": "asking",
    "error": "failed",
    "in-progress": "running",
    "finished": "finished",
    "skipped": "skipped",
    "pending": "waiting",
}
#: Steps in one of these need not be looked at one by one.
_QUIET = ("finished", "skipped", "pending")


@dataclass
class Row:
    """One step on the screen."""

    path: str
    name: str
    status: str = "pending"
    began: float | None = None
    seconds: float = 0.0
    tokens: int = 0
    cost: Decimal | None = Decimal(0)
    calls: int = 0
    note: str = ""
    text: str = ""
    #: When it ended last, by the same clock as ``began``.
    ended: float = 0.0


@dataclass(frozen=True)
class Fold:
    """One line for many steps: how many of each status. ``depth`` is 1 at the top.

    ``rest``: these are all that found no place, wherever they belong.
    """

    counts: tuple[tuple[str, int], ...]
    depth: int = 1
    rest: bool = False

    def told(self) -> list[tuple[str, str]]:
        """Each status and what to say of it: ``31 finished``."""
        return [(status, f"{number} {_WORDS[status]}") for status, number in self.counts]


def up(path: str, known: Collection[str]) -> list[str]:
    """The ``known`` ones among a step's path and the paths of the steps it is part of, outermost first."""
    return [path[:at] for at, char in enumerate(path) if char in "[." and path[:at] in known] + (
        [path] if path in known else []
    )


def tree_order(rows: Sequence[Row]) -> list[Row]:
    """Sub-steps and occurrences directly after what they belong to."""
    parts: dict[str, list[Row]] = {}
    known = {row.path for row in rows}
    for row in rows:
        above = up(row.path, known)[:-1]
        parts.setdefault(above[-1] if above else "", []).append(row)

    def below(path: str) -> list[Row]:
        return [one for row in parts.get(path, ()) for one in (row, *below(row.path))]

    return below("")


def fitting(rows: Sequence[Row], height: int) -> list[Row | Fold]:
    """What to show of ``rows``, which are in tree order, in ``height`` lines.

    What runs, failed or waits for a person stays; finished steps side by side become one line, and so do pending ones, the
    largest groups first and no more of them than need be. Where that is not enough, a last line counts what is left out:
    waiting steps are kept before the failed and running ones in turn, the latest failures first.
    """
    if len(rows) <= height:
        return list(rows)
    known = {row.path for row in rows}
    above = {row.path: up(row.path, known)[:-1] for row in rows}
    loud = [row for row in rows if row.status not in _QUIET]
    kept = {path for row in loud for path in (row.path, *above[row.path])}
    # Every quiet step that is part of none but kept ones, with its siblings of the same status.
    groups: dict[tuple[str, str], list[Row]] = {}
    inside: Counter[tuple[str, str]] = Counter()
    group_of: dict[str, tuple[str, str]] = {}
    for row in rows:
        if row.path in kept:
            continue
        parent = above[row.path][-1] if above[row.path] else ""
        group = group_of.get(parent)
        if group is None:
            group = (parent, row.status)
            groups.setdefault(group, []).append(row)
        group_of[row.path] = group
        inside[group] += 1
    shown, folded = len(rows), set()
    for group, size in inside.most_common():
        if shown <= height or size < 2:
            break
        folded.add(group)
        shown -= size - 1
    if shown > height:
        return _most_wanted(rows, above, height)
    # Pending steps are told of where the last of them is, others where the first is.
    place = {group: groups[group][-1 if group[1] == "pending" else 0].path for group in folded}
    picked: list[Row | Fold] = []
    for row in rows:
        group = group_of.get(row.path)
        if group is None or group not in folded:
            picked.append(row)
        elif place[group] == row.path:
            picked.append(Fold(((group[1], len(groups[group])),), len(above[row.path]) + 1))
    return picked


def _most_wanted(rows: Sequence[Row], above: dict[str, list[str]], height: int) -> list[Row | Fold]:
    """As many of the loud ones as fit, with what they are part of, and one line for all the rest."""
    inner = {path for paths in above.values() for path in paths}
    outer = {path for row in rows if row.status not in _QUIET for path in above[row.path]}
    # Quiet ones without parts, and loud ones without a loud part.
    told = [row for row in rows if row.path not in (inner if row.status in _QUIET else outer)]
    running = [row for row in told if row.status in ("in-progress", "streaming")]
    failed = sorted((row for row in told if row.status == "error"), key=lambda row: row.ended, reverse=True)
    wanted = [row for row in told if row.status == "waiting"]
    for number in range(max(len(running), len(failed))):
        wanted += [*failed[number : number + 1], *running[number : number + 1]]
    chosen: set[str] = set()
    for row in wanted:
        needed = {row.path, *above[row.path]} - chosen
        if len(chosen) + len(needed) < height:
            chosen |= needed
    left = [row.status for row in told if row.path not in chosen]
    rest = Counter("in-progress" if status == "streaming" else status for status in left)
    counts = tuple((status, rest[status]) for status in _WORDS if rest[status])
    return [*(row for row in rows if row.path in chosen), Fold(counts, rest=True)]
