"""Small charts as inline SVG: no script, nothing from elsewhere, readable in light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

COLOURS: Mapping[str, str] = {
    "Success": "#2e8b57",
    "Failure": "#c0392b",
    "Cancelled": "#8e6c8a",
    "Waiting": "#c98a00",
    "Started": "#3b7dd8",
    "Pending": "#8a8f98",
}
_WIDTH, _BAR = 640, 22
#: Characters of a label that fit beside each other.
_LABEL = 100


def outcome_bar(counts: Mapping[str, int]) -> str:
    """One bar, split by how the items ended."""
    total = sum(counts.values()) or 1
    at, parts = 0.0, []
    for status, colour in COLOURS.items():
        if not (number := counts.get(status, 0)):
            continue
        width = _WIDTH * number / total
        parts.append(
            f'<rect x="{at:.1f}" y="0" width="{width:.1f}" height="{_BAR}" fill="{colour}">'
            f"<title>{status}: {number}</title></rect>"
        )
        at += width
    said = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
    return _svg("".join(parts), _BAR, f"Outcomes: {said}")


def histogram(values: Sequence[float], what: str, unit: str, *, bins: int = 20) -> str:
    """How values are spread: bars of equal width from the least to the greatest."""
    if not values:
        return ""
    least, most = min(values), max(values)
    step = (most - least) / bins or 1.0
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - least) / step))] += 1
    height, top = 120, max(counts)
    head = 16  # the tallest bar says how many it stands for
    parts = []
    for number, count in enumerate(counts):
        if not count:
            continue
        tall = height * count / top
        begin = least + number * step
        parts.append(
            f'<rect x="{_WIDTH * number / bins + 1:.1f}" y="{head + height - tall:.1f}" width="{_WIDTH / bins - 2:.1f}" '
            f'height="{tall:.1f}" fill="#3b7dd8"><title>{begin:.4g} to {begin + step:.4g} {escape(unit)}: {count}'
            "</title></rect>"
        )
    tallest = counts.index(top)
    axis = (
        f'<text x="{_WIDTH * (tallest + 0.5) / bins:.1f}" y="{head - 4}" text-anchor="middle">{top}</text>'
        f'<text x="0" y="{head + height + 16}">{least:.4g} {escape(unit)}</text>'
        f'<text x="{_WIDTH}" y="{head + height + 16}" text-anchor="end">{most:.4g} {escape(unit)}</text>'
    )
    return _svg("".join(parts) + axis, head + height + 22, what)


def ranked(rows: Sequence[tuple[str, float, str]], what: str) -> str:
    """Horizontal bars, in the order given: label above, value, and the value as it is said."""
    if not rows:
        return ""
    most = max(value for _, value, _ in rows) or 1.0
    parts = []
    for number, (label, value, said) in enumerate(rows):
        y = number * (_BAR + 22)
        width = max(1.0, (_WIDTH - 60) * value / most)
        shown = label if len(label) <= _LABEL else f"{label[: _LABEL - 1]}…"
        parts.append(
            f'<text x="0" y="{y + 13}">{escape(shown)}<title>{escape(label)}</title></text>'
            f'<rect x="0" y="{y + 18}" width="{width:.1f}" height="{_BAR - 8}" fill="#3b7dd8"/>'
            f'<text x="{6 + width:.1f}" y="{y + 29}">{escape(said)}</text>'
        )
    return _svg("".join(parts), len(rows) * (_BAR + 22), what)


def _svg(body: str, height: int, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" role="img" '
        f'aria-label="{escape(label, quote=True)}" font-family="sans-serif" font-size="12" fill="currentColor">{body}</svg>'
    )
