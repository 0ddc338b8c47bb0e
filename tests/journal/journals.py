"""Small builders for the tests of journals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from windlass.journal import Entry, EntryState, RunRecord


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def run(run_id: str = "run-0001", **fields: Any) -> RunRecord:
    return RunRecord(run_id, fields.pop("workflow", "coding"), fields.pop("title", "a title"), **fields)


def entry(path: str = "step/model[0]", **fields: Any) -> Entry:
    fields = {"run_id": "run-0001", "kind": "model", "digest": "d1", "state": EntryState.CLAIMED} | fields
    return Entry(path=path, **fields)


def full_entry(path: str = "step/model[0]") -> Entry:
    return entry(
        path,
        state=EntryState.DONE,
        request={"messages": [{"role": "user", "content": "ä" * 400 + "\0\ud800" + "🦜" * 300}]},
        result={"text": "x" * 20_000, "parts": ["y" * 600, None, 1.5, True, {"$text": "not a pointer"}]},
        partial="half a\0 rep\udfffly",
        error="it went wrong",
        model="scripted:demo",
        input_tokens=2**40,
        output_tokens=7,
        cached_tokens=0,
        cost_usd=Decimal("0.000000123"),
        reserved_usd=Decimal("1.5"),
        prompt_name="requirement",
        prompt_version=3,
        template_sha256="a" * 64,
        rendered_sha256="b" * 64,
        provenance="database",
        started_at=1_800_000_000.25,
        finished_at=1_800_000_001.5,
        copied_from="run-0000",
    )
