"""The record under every effect of a run, and the rule for replaying it."""

from windlass.journal.base import Entry, EntryState, Journal, Lease, RunRecord
from windlass.journal.memory import MemoryJournal
from windlass.journal.replay import RunJournal, digest_of, step_of

__all__ = [
    "Entry",
    "EntryState",
    "Journal",
    "Lease",
    "MemoryJournal",
    "RunJournal",
    "RunRecord",
    "digest_of",
    "step_of",
]
