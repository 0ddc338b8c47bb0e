"""A log of runs for machines: one JSON object a line, a few lines a step, and nothing that anybody wrote.

Prompts, replies, requirements, titles, questions, answers and error texts (which may quote any of them) are in the
database and are looked at with ``windlass runs show``; the log names what happened, where, and what it cost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from windlass.errors import InputError
from windlass.events import UPDATE_WORKFLOW_STEP, Event, StepStatus

#: What is kept of each event's payload. A field that is not named here never reaches the log.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "run_status": ("status", "workflow"),
    UPDATE_WORKFLOW_STEP: ("path", "status"),
    "call": (
        "path", "model", "prompt", "attempt", "input_tokens", "output_tokens", "cached_tokens", "cost_usd", "seconds",
    ),
    "file_change": ("path", "change", "bytes"),
    "tests": ("step_path", "passed", "failed", "errors", "sandbox"),
    "gate": ("path", "kind"),
    "notice": ("path", "attempt", "failure", "retry_in", "unknown", "listener"),
}  # fmt: skip


def log_fields(event: Event) -> dict[str, Any] | None:
    """What the log says of an event; None = nothing."""
    wanted = _FIELDS.get(event.name)
    if wanted is None or event.seq is None:
        return None
    told = {key: event.payload[key] for key in wanted if event.payload.get(key) is not None}
    if event.name == UPDATE_WORKFLOW_STEP and told.get("status") in (None, StepStatus.STREAMING.value):
        return None
    if event.name == "notice" and not told.keys() & {"failure", "unknown", "listener"}:
        return None
    return told


class RunLog:
    """Appends to a file; many processes may share it, for each line is written at once.

    Raises InputError when the file cannot be opened. A file that cannot be written to later on, on a full disk
    for example, ends the log and never the run.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise InputError(f"The log file {path} cannot be opened: {error.strerror or error}.") from None
        self._broken = False

    def on_event(self, event: Event) -> None:
        """A :data:`windlass.events.Listener`."""
        fields = log_fields(event)
        if fields is None or self._broken:
            return
        at = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"at": at, "run": event.run_id, "event": event.name, **fields})
        try:
            self._file.write(line.encode() + b"\n")
        except OSError:
            self._broken = True

    def close(self) -> None:
        """Give the file back."""
        self._file.close()
