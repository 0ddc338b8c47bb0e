"""A prompt's comparisons as a chart draws them: the evidence after every pair of results."""

from __future__ import annotations

from typing import Any

from windlass.store.base import Database


def comparisons(database: Database, name: str) -> list[dict[str, Any]]:
    """Every comparison of the prompt's versions, the newest first."""
    return []
