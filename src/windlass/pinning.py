"""The prompt versions that a run has used already: it goes on with exactly these texts, whatever was switched since."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from windlass.journal import Entry, EntryState, Journal
from windlass.prompt import Resolved, Source


async def used_prompts(journal: Journal, entries: Iterable[Entry]) -> dict[str, Resolved]:
    """By prompt name, what the finished calls among ``entries`` used (a fork's too, whose run id is new)."""
    used: dict[str, Resolved] = {}
    for entry in entries:
        name = entry.prompt_name
        if (
            entry.kind != "model"
            or entry.state is not EntryState.DONE
            or not name
            or not entry.template_sha256
        ):
            continue
        if name not in used:
            text = (await journal.get_blob(entry.template_sha256)).decode()
            source = cast("Source", entry.provenance or "db")
            used[name] = Resolved(name, entry.prompt_version, text, source, entry.template_sha256, 0)
    return used
