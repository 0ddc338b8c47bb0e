"""One run as one JSON value: everything that is needed to look at it elsewhere."""

from __future__ import annotations

import base64
from dataclasses import asdict
from decimal import Decimal
from enum import Enum
from typing import Any

from windlass.journal import Entry, Journal

#: Grows when the shape of an export changes in a way that readers must know of.
EXPORT_VERSION = 1


async def export_run(journal: Journal, run_id: str) -> dict[str, Any]:
    """The run's record, its entries with requests and results, its events, and the contents they point to.

    ``blobs`` maps SHA-256 to ``{"text": …}``, or ``{"base64": …}`` for what is not UTF-8. Amounts are decimal
    strings in USD, times seconds since 1970. Raises NotFound.
    """
    record = await journal.get_run(run_id)
    entries = await journal.entries(record.run_id)
    events = await journal.events(record.run_id)
    blobs = {sha: content(await journal.get_blob(sha)) for sha in sorted(referenced(entries))}
    return {
        "windlass_export": EXPORT_VERSION,
        "run": plain(asdict(record)),
        "entries": [plain(asdict(entry)) for entry in entries],
        "events": [
            plain({"name": e.name, "seq": e.seq, "at": e.at, "payload": dict(e.payload)}) for e in events
        ],
        "blobs": blobs,
    }


def referenced(entries: list[Entry]) -> set[str]:
    """The hashes of the contents that entries point to: files read and written, prompt templates."""
    found: set[str] = set()
    for entry in entries:
        if entry.template_sha256 is not None and entry.finished_at is not None:
            found.add(entry.template_sha256)
        if entry.kind == "read" and isinstance(entry.result, str):
            found.add(entry.result)
        if entry.kind in ("write", "undo", "redo"):
            # The request too: a write that was cut off has no result.
            for row in entry.result or entry.request or ():
                found.update(sha for sha in (row["before"], row["after"]) if sha is not None)
    return found


def content(data: bytes) -> dict[str, str]:
    """Bytes as JSON."""
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def plain(value: Any) -> Any:
    """The value with nothing in it but JSON."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Decimal) else value
