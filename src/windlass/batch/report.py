"""What a batch comes to: results as JSONL, and a report for people in Markdown and HTML. Pure: rows in, texts out."""

from __future__ import annotations

import json
import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Any

from windlass.batch.charts import histogram, outcome_bar, ranked
from windlass.budget import usd

Row = Mapping[str, Any]
#: Failures listed one by one in a report; the rest are in the JSONL.
_LISTED = 200


def jsonl(rows: Sequence[Row]) -> str:
    """One line an item."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def figures(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """The numbers of a batch, each with its name, as people want them."""
    counts = Counter(row["status"] for row in rows)
    seconds = [row["seconds"] for row in rows if row["seconds"] is not None]
    usage = [row["usage"] for row in rows]
    known = sum((Decimal(str(u["cost_usd"])) for u in usage if u["cost_usd"] is not None), Decimal(0))
    unknown = sum(u["cost_usd"] is None for u in usage)
    items = "1 item" if unknown == 1 else f"{unknown:,} items"
    cost = usd(known) + (f" and {items} whose cost is not wholly known" if unknown else "")
    if unknown and not known:
        cost = usd(None)
    found = [
        ("Items", f"{len(rows):,}"),
        ("Outcomes", ", ".join(f"{number:,} {status}" for status, number in counts.most_common())),
        ("Success", f"{counts['Success'] / len(rows):.1%}" if rows else "-"),
        ("Cost", cost),
        ("Requests", f"{sum(u['requests'] for u in usage):,}"),
        (
            "Tokens",
            f"{sum(u['input_tokens'] for u in usage):,} in, {sum(u['output_tokens'] for u in usage):,} out",
        ),
    ]
    if counts["Success"] and known:
        found.insert(4, ("Cost per success", usd(known / counts["Success"])))
    if seconds:
        found.append(("Seconds an item", f"median {statistics.median(seconds):.1f}, most {max(seconds):.1f}"))
    return found


def reasons(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """Why items failed, the commonest first; sentences that differ only in names and numbers count as one."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["status"] != "Success" and row["error"]:
            key = re.sub(r"\S*[/\d._]\S*|'[^']*'|\b[0-9a-z]{20}\b", "…", _line(row["error"]))
            found.setdefault(key, []).append(_line(row["error"]))
    ordered = sorted(found.values(), key=len, reverse=True)
    return [(sentences[0], len(sentences)) for sentences in ordered]


def _line(text: str) -> str:
    return " ".join(text.split())


def markdown(title: str, batch_id: str, rows: Sequence[Row]) -> str:
    """The report as Markdown."""
    lines = [f"# {_cell(title)}", "", f"Batch `{batch_id}`", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in figures(rows)]
    if why := reasons(rows):
        lines += ["", "## Why items did not succeed", "", "| Items | Reason |", "|---:|---|"]
        lines += [f"| {number} | {_cell(sentence)} |" for sentence, number in why]
    if bad := [row for row in rows if row["status"] != "Success"]:
        lines += ["", "## Items without success", "", "| Item | Status | Run | Reason |", "|---|---|---|---|"]
        lines += [
            f"| {_cell(row['id'])} | {row['status']} | `{row['run_id']}` | {_cell(row['error'] or '')} |"
            for row in bad[:_LISTED]
        ]
        if len(bad) > _LISTED:
            lines += ["", f"… and {len(bad) - _LISTED} more, see results.jsonl."]
        lines += ["", f"Try them again with `windlass batch resume {batch_id} --only-failures`."]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return re.sub(r"([|\\`*_<\[])", r"\\\1", _line(text))


_STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .75rem .25rem 0;"
    "border-bottom:1px solid #8884;vertical-align:top}svg{max-width:100%;height:auto}code{font-size:.9em}"
    ".wide{overflow-x:auto}"
)


def html(title: str, batch_id: str, rows: Sequence[Row]) -> str:
    """The report as one HTML page that needs nothing else."""
    seconds = [row["seconds"] for row in rows if row["seconds"] is not None]
    costs = [row["usage"]["cost_usd"] for row in rows if row["usage"]["cost_usd"]]
    why = reasons(rows)
    parts = [
        f"<h1>{escape(title)}</h1><p>Batch <code>{escape(batch_id)}</code></p>",
        outcome_bar(Counter(row["status"] for row in rows)),
        _table(None, figures(rows)),
    ]
    if seconds:
        parts.append("<h2>Seconds an item</h2>" + histogram(seconds, "Seconds an item", "s"))
    if costs:
        parts.append("<h2>Cost of an item</h2>" + histogram(costs, "Cost of an item", "USD"))
    if why:
        bars = ranked(
            [(sentence, number, str(number)) for sentence, number in why[:10]], "Why items did not succeed"
        )
        parts.append(f"<h2>Why items did not succeed</h2>{bars}")
    listed = [
        (
            row["id"],
            row["status"],
            row["run_id"],
            usd(_cost(row)),
            _seconds(row),
            row["error"] or row["summary"] or "",
        )
        for row in rows
    ]
    parts.append(
        '<h2>Items</h2><div class="wide">'
        + _table(("Item", "Status", "Run", "Cost", "Seconds", "What was said"), listed)
        + "</div>"
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"/><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _cost(row: Row) -> Decimal | None:
    cost = row["usage"]["cost_usd"]
    return None if cost is None else Decimal(str(cost))


def _seconds(row: Row) -> str:
    return "" if row["seconds"] is None else f"{row['seconds']:.1f}"


def _table(head: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> str:
    top = "" if head is None else "<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{top}{body}</table>"
