"""The region of a file that is closest to lines that were not found, for the model to correct itself."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORD = re.compile(r"\w+")
_SHOWN_LINES = 24
_SHOWN_WIDTH = 200


def nearest_region(lines: Sequence[str], wanted: Sequence[str]) -> str:
    """The best matching lines, numbered from 1; empty where nothing is alike. Linear in both sizes."""
    exact = {line.strip() for line in wanted if line.strip()}
    words = {word for line in wanted[:200] for word in _WORD.findall(line[:400])}
    if not exact or not lines:
        return ""
    scores: list[float] = []
    for line in lines:
        stripped = line.strip()
        if stripped in exact:
            scores.append(3.0)
            continue
        own = _WORD.findall(stripped[:400])
        shared = sum(word in words for word in own)
        scores.append(shared / len(own) if own else 0.0)
    width = max(1, min(len(wanted), len(lines)))
    window = best = sum(scores[:width])
    best_start = 0
    for start in range(1, len(lines) - width + 1):
        window += scores[start + width - 1] - scores[start - 1]
        if window > best + 1e-9:
            best, best_start = window, start
    if best < 0.3:
        return ""
    return numbered(lines, max(0, best_start - 2), min(len(lines), best_start + width + 2))


def numbered(lines: Sequence[str], start: int, stop: int) -> str:
    """Lines ``start`` to ``stop`` (from 0) with their numbers from 1, long ones and long runs cut."""
    shown = min(stop, start + _SHOWN_LINES)
    text = "\n".join(f"{number + 1:5} | {lines[number][:_SHOWN_WIDTH]}" for number in range(start, shown))
    return text + (f"\n      … {stop - shown} more lines" if stop > shown else "")


def places(lines: Sequence[str], starts: Sequence[int], count: int) -> str:
    """Every place of several, each with its line numbers and first lines."""
    blocks = [
        f"lines {start + 1}-{start + count}:\n{numbered(lines, max(0, start - 1), min(len(lines), start + min(count, 3) + 1))}"
        for start in starts[:8]
    ]
    if len(starts) > 8:
        blocks.append(f"… and {len(starts) - 8} or more further places")
    return "\n".join(blocks)
