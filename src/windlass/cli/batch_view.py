"""How a batch looks: a live table at a terminal, a line an item where output is piped."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from windlass.cli.outcome import cost_told, counted
from windlass.cli.root import safe

if TYPE_CHECKING:
    from windlass.batch.progress import Progress
    from windlass.batch.work import ItemResult

_MARKS = {"Success": ("✓", "green"), "Failure": ("✗", "bold red"), "Waiting": ("?", "yellow")}
_SHOWN_RUNNING, _SHOWN_FAILURES = 8, 5


@dataclass
class BatchView:
    """Lines for a pipe; ``quiet`` says nothing until the end."""

    quiet: bool = False
    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    progress: Progress | None = None
    #: Items that ended in this session and were heard of here.
    heard: int = 0

    def start(self) -> None:
        """Begin to show."""

    def stop(self) -> None:
        """Show nothing more."""

    def on_change(self, progress: Progress) -> None:
        """Something moved."""
        self.progress = progress

    def on_result(self, result: ItemResult) -> None:
        """An item ended."""
        self.heard += 1
        if not self.quiet:
            self._tell(result)

    def _tell(self, result: ItemResult) -> None:
        mark, style = _MARKS.get(result.status.value, ("·", "yellow"))
        done = f"[{self.heard}/{self.progress.planned}]" if self.progress else ""
        usage = result.report["usage"]
        said = result.error if result.failed else ""
        self.console.print(
            Text.assemble(
                (f"{done} ", "dim"),
                (mark, style),
                f" {safe(result.item_id)}  {result.status.value}",
                f"  {_clock(result.seconds)}  {counted(usage['requests'], 'request')}  {cost_told(usage)}",
                (f"  {safe(' '.join((said or '').split()))}" if said else "", "red"),
            )
        )

    def note(self, sentence: str) -> None:
        """Tell the person something about the session itself."""
        print(safe(sentence), file=sys.stderr)


@dataclass
class LiveBatchView(BatchView):
    """A table that is drawn again as things move."""

    _live: Live | None = None
    _drawn: float = 0.0

    def start(self) -> None:
        """Begin to show."""
        self._live = Live(self, console=self.console, refresh_per_second=4, transient=True)
        self._live.start()

    def stop(self) -> None:
        """Leave the last picture's facts to the summary."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def on_result(self, result: ItemResult) -> None:
        """Failures stay on the screen, above the table."""
        self.heard += 1
        if result.failed:
            self._tell(result)

    def note(self, sentence: str) -> None:
        """A line above the table."""
        self.console.print(Text(safe(sentence), "yellow"))

    def __rich__(self) -> RenderableType:
        if self.progress is None:
            return Text("Reading items …", "dim")
        return picture(self.progress)


def picture(progress: Progress) -> RenderableType:
    """The whole table."""
    counts = progress.counts
    head = Table.grid(padding=(0, 2))
    finished = sum(counts.values())
    head.add_row(
        ProgressBar(total=max(1, progress.total), completed=finished, width=32),
        f"{finished}/{progress.total}",
        Text(f"{counts['Success']} ✓", "green"),
        Text(f"{counts['Failure']} ✗", "bold red" if counts["Failure"] else "dim"),
        f"{_clock(progress.elapsed)} so far",
        f"{_clock(progress.seconds_left)} left" if progress.seconds_left is not None else "",
    )
    of = "" if progress.budget is None else f" of ${progress.budget}"
    projected = "" if progress.projected is None else f", about {_usd(progress.projected)} at the end"
    money = Text(f"{_usd(progress.cost)}{of} so far{projected}", "dim")
    if progress.unknown and not progress.cost:
        money = Text("cost unknown", "dim")
    rows = Table.grid(padding=(0, 2))
    for item in list(progress.running.values())[:_SHOWN_RUNNING]:
        rows.add_row(
            Text("›", "cyan"),
            Text(safe(item.item_id)[:40]),
            Text(item.step[:48], "dim"),
            Text(counted(item.calls, "call"), "dim"),
            Text(_clock(time.monotonic() - item.since), "dim"),
        )
    more = len(progress.running) - _SHOWN_RUNNING
    if more > 0:
        rows.add_row("", Text(f"and {more} more", "dim"))
    ending = (
        [Text("Stopping: replies under way are waited for and kept.", "yellow")] if progress.stopping else []
    )
    return Group(head, money, rows, *ending)


def make_view(quiet: bool, *, as_json: bool) -> BatchView:
    """The view that fits where output goes."""
    console = Console(highlight=False, soft_wrap=True)
    if console.is_terminal and not quiet and not as_json:
        return LiveBatchView(console=Console(highlight=False))
    return BatchView(quiet=quiet or as_json, console=console)


def _usd(amount: Decimal | float | None) -> str:
    from windlass.budget import usd

    return usd(None if amount is None else Decimal(str(amount)))


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
