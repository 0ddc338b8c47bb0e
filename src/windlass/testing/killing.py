"""The ``windlass`` command with a journal that kills its own process (SIGKILL) at a chosen moment.

::

    WINDLASS_TEST_KILL_AT=17 python -m windlass.testing.killing run coding "…" --yes

A journal boundary is the moment after a write was committed, and the moment before a result is: there an effect has
happened and nobody knows of it yet. They are counted from 1. ``WINDLASS_TEST_KILL_BEFORE`` names an entry's path: the kill comes when its effect has
happened and its result is about to be committed. ``WINDLASS_TEST_BOUNDARIES`` names a file that gets how many
there were, once the command closes its journal. Replies are streamed whoever watches, unless ``WINDLASS_TEST_STREAM`` is 0. Only this
entry point looks at these variables.
"""

from __future__ import annotations

import os
import signal
from functools import cached_property
from pathlib import Path
from typing import Any

from windlass import app
from windlass.journal import EntryState, Journal, RunRecord

#: Everything a journal writes.
_WRITES = frozenset(
    {
        "create_run", "acquire", "release", "update_run", "request_cancel", "claim", "settle", "save_partial", "answer",
        "append_events", "put_blobs", "fork",
    }
)  # fmt: skip


class KillingJournal:
    """Passes everything on to another journal and kills the process at boundary number ``kill_at`` (0 = never)."""

    def __init__(
        self, journal: Journal, kill_at: int, told: Path | None = None, kill_before: str | None = None
    ) -> None:
        self._journal = journal
        self._kill_at = kill_at
        self._kill_before = kill_before
        self._told = told
        self.boundaries = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._journal, name)
        if name not in _WRITES:
            return method

        async def counted(*args: Any, **kwargs: Any) -> Any:
            if name == "settle" and args[1].state is EntryState.DONE:
                self._boundary(args[1].path)
            result = await method(*args, **kwargs)
            self._boundary()
            return result

        return counted

    def _boundary(self, before: str = "") -> None:
        self.boundaries += 1
        if self.boundaries == self._kill_at or (before and before == self._kill_before):
            os.kill(os.getpid(), signal.SIGKILL)

    async def close(self) -> None:
        """Close the other journal, and write down the count."""
        await self._journal.close()
        if self._told is not None:
            self._told.write_text(str(self.boundaries))


class KillingApp(app.App):
    """The process's parts, with that journal."""

    @cached_property
    def journal(self) -> Journal:
        """The journal of the settings, inside a :class:`KillingJournal`."""
        told = os.environ.get("WINDLASS_TEST_BOUNDARIES")
        kill_at = int(os.environ.get("WINDLASS_TEST_KILL_AT", "0"))
        before = os.environ.get("WINDLASS_TEST_KILL_BEFORE")
        return KillingJournal(super().journal, kill_at, Path(told) if told else None, before)

    async def execute(self, run_id: str, **how: Any) -> RunRecord:
        """As always, but every reply is streamed, as if somebody watched."""
        if os.environ.get("WINDLASS_TEST_STREAM") != "0":
            how["stream"] = True
        return await super().execute(run_id, **how)


def main() -> None:
    """Run the command line; the arguments are those of ``windlass``."""
    app.App = KillingApp  # type: ignore[misc]
    from windlass.cli.root import run

    run()


if __name__ == "__main__":
    main()
