"""How a run looks at a terminal: a live tree of steps, or one line an event where output is piped."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from windlass.budget import usd
from windlass.cli.outcome import counted, counts_told, outcome_lines, tests_told
from windlass.cli.root import safe
from windlass.cli.rows import Fold, Row, fitting, tree_order, up

if TYPE_CHECKING:
    from windlass.events import Event
    from windlass.people import Answer, Question

#: The steps to draw before the run has said its plan: path and name.
Outline = Sequence[tuple[str, str]]

_ICONS = {
    "pending": ("·", "dim"),
    "in-progress": ("›", "cyan"),
    "streaming": ("›", "cyan"),
    "finished": ("✓", "green"),
    "error": ("✗", "bold red"),
    "waiting": ("?", "yellow"),
    "skipped": ("–", "dim"),
}
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_TAIL_LINES = 6
#: What must be seen where not everything fits.
_LOUD = ("in-progress", "streaming", "error", "waiting")


@dataclass
class RunView:
    """What every view knows of the run it shows; also the view that shows nothing until the end."""

    title: str
    outline: Outline = ()
    quiet: bool = False
    console: Console = field(default_factory=lambda: Console(highlight=False))
    run_id: str | None = None
    rows: dict[str, Row] = field(default_factory=dict)
    interactive: bool = False
    #: Whether streamed text is shown as it comes.
    watched: bool = False
    #: How many other runs could go on; known at the end.
    interrupted: int = 0

    def __post_init__(self) -> None:
        self.rows = {path: Row(path, name) for path, name in self.outline}
        self.started = time.monotonic()

    def start(self) -> None:
        """Begin to show."""

    def stop(self) -> None:
        """Show nothing more."""

    def note(self, sentence: str) -> None:
        """Tell the person something about the session itself."""
        print(safe(sentence), file=sys.stderr)

    async def ask_person(self, question: Question) -> Answer | None:
        """Nobody is there."""
        return None

    def leave_question(self) -> bool:
        """The person wants to leave (Ctrl-C): True when a question was open, which then has no answer."""
        return False

    def on_event(self, event: Event) -> None:
        """Take in one event of the run."""
        payload = event.payload
        if event.name == "send_workflow":
            for step in payload["workflow"]["steps"]:
                row = self.rows.setdefault(step["path"], Row(step["path"], step["module"]))
                row.name, row.status = step["module"], step["status"]
        elif event.name == "update_workflow_step":
            row = self.rows.setdefault(payload["path"], Row(payload["path"], payload["path"]))
            if "status" in payload:
                self._on_status(row, payload)
        elif event.name == "text" and payload["path"] in self.rows:
            row = self.rows[payload["path"]]
            row.text = (row.text + payload["delta"])[-4000:]
        elif event.name == "text_reset" and payload["path"] in self.rows:
            self.rows[payload["path"]].text = ""
        elif event.name == "call":
            for path in self._up(payload["step_path"]):
                row = self.rows[path]
                row.calls += 1
                row.tokens += (payload["input_tokens"] or 0) + (payload["output_tokens"] or 0)
                spent = payload["cost_usd"]
                row.cost = None if spent is None or row.cost is None else row.cost + Decimal(spent)

    def _on_status(self, row: Row, payload: Any) -> None:
        row.status = payload["status"]
        now = time.monotonic()
        if row.status == "in-progress":
            row.began, row.text, row.note = now, "", ""
        elif row.status != "streaming":
            if row.began is not None:
                row.seconds += now - row.began
                row.began = None
            row.ended = now
            row.note = payload.get("error") or payload.get("reason") or row.note
            row.text = ""

    def _up(self, path: str) -> list[str]:
        """A step's path and those of the steps it is part of, as far as they are shown."""
        return up(path, self.rows)

    def totals(self) -> tuple[int, Decimal | None]:
        """Tokens and cost over everything."""
        top = [r for r in list(self.rows.values()) if len(self._up(r.path)) == 1]
        cost: Decimal | None = Decimal(0)
        for row in top:
            cost = None if cost is None or row.cost is None else cost + row.cost
        return sum(r.tokens for r in top), cost

    def outcome(self, result: dict[str, Any]) -> None:
        """The last lines: how it ended, and where to look."""
        for line in outcome_lines(result):
            self.console.print(line, soft_wrap=True)


class LineView(RunView):
    """One line for each thing that happens: for pipes, logs and dumb terminals."""

    def start(self) -> None:
        self._line(f"windlass: {_short(self.title, 100)}")

    def _line(self, text: str) -> None:
        self.console.print(Text(safe(text)), soft_wrap=True)

    def on_event(self, event: Event) -> None:
        super().on_event(event)
        payload = event.payload
        if event.name == "run_status" and payload["status"] == "Started":
            self._line(f"run {event.run_id}")
        elif event.name == "update_workflow_step" and "status" in payload:
            row = self.rows[payload["path"]]
            if row.status == "streaming":
                return
            icon = _ICONS[row.status][0]
            detail = "" if row.status == "in-progress" else _figures(row)
            note = f": {row.note}" if row.note else ""
            self._line(f"{icon} {row.name} [{row.path}] {row.status}{detail}{note}")
        elif event.name == "file_change":
            self._line(f"  {payload['change']} {payload['path']} ({counted(payload['bytes'], 'byte')})")
        elif event.name == "tests":
            self._line(f"  tests: {tests_told(payload)}")
        elif event.name == "notice":
            self._line(f"  note: {payload['text']}")
        elif event.name == "gate" and "kind" in payload:
            self._line(f"  question: {payload['text']}")


class TreeView(RunView):
    """A live tree of steps, the text of the running one under it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.interactive = sys.stdin.isatty()
        self.watched = True
        self.notes: list[str] = []
        self._order: list[Row] = []
        self._leave: asyncio.Event | None = None
        self.live = Live(
            get_renderable=self.render, console=self.console, refresh_per_second=12, transient=False
        )

    def start(self) -> None:
        self.live.start(refresh=True)

    def stop(self) -> None:
        self.live.stop()

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def on_event(self, event: Event) -> None:
        super().on_event(event)
        payload = event.payload
        if event.name == "notice":
            self.notes.append(payload["text"])
        elif event.name == "file_change":
            for path in self._up(payload["step_path"])[-1:]:
                self.rows[path].note = f"{payload['change']} {payload['path']}"
        elif event.name == "tests":
            for path in self._up(payload["step_path"])[-1:]:
                row = self.rows[path]
                row.note = f"{row.note} → {counts_told(payload)}" if row.note else counts_told(payload)

    async def ask_person(self, question: Question) -> Answer | None:
        """Stop drawing, ask, go on drawing."""
        from windlass.cli.ask import ask_at_terminal

        self.live.stop()
        self._leave = asyncio.Event()
        try:
            return await ask_at_terminal(self.console, question, self._leave)
        finally:
            self._leave = None
            self.live.start(refresh=True)

    def leave_question(self) -> bool:
        if self._leave is None:
            return False
        self._leave.set()
        return True

    def render(self) -> RenderableType:
        """The whole picture as it is now, no higher than the screen."""
        now = time.monotonic()
        tokens, cost = self.totals()
        foot = f"{_clock(now - self.started)} · {counted(tokens, 'token')} · {usd(cost)}"
        frame = [
            Text(_short(safe(self.title), 100), style="bold"),
            Text(foot + (f" · run {self.run_id}" if self.run_id else ""), style="dim"),
        ]
        notes = [Text("  ! " + safe(note), style="yellow") for note in self.notes[-4:]]
        # One line stays free for what the person types.
        room = self.console.height - 1 - self._height(frame)
        while len(notes) > 1 and self._height(notes) > room // 3:
            del notes[0]
        room = max(3, room - self._height(notes))
        rows = self._ordered()
        loud = sum(row.status in _LOUD for row in rows)
        # Text as it streams has what is left beside the steps that must be seen, and the lines they are folded into.
        tail = self._tail(rows, min(_TAIL_LINES, room - loud - 3))
        room -= len(tail)
        lines = [self._row(row, now) for row in rows] if len(rows) <= room else []
        if not lines or self._height(lines) > room:
            lines = [
                self._fold(row) if isinstance(row, Fold) else self._row(row, now)
                for row in fitting(rows, room)
            ]
            for line in lines:
                line.no_wrap, line.overflow = True, "ellipsis"
        return Group(frame[0], *lines, *tail, *notes, frame[1])

    def _ordered(self) -> list[Row]:
        if len(self._order) != len(self.rows):
            self._order = tree_order(list(self.rows.values()))
        return self._order

    def _height(self, lines: Sequence[Text]) -> int:
        """Lines of the screen that these take."""
        width = self.console.width
        return sum(1 if line.cell_len <= width else len(line.wrap(self.console, width)) for line in lines)

    def _tail(self, rows: Sequence[Row], height: int) -> list[Text]:
        """The last lines of the text that the last of the steps is saying."""
        told = [row for row in rows if row.text and row.status == "streaming"]
        if not told or height < 1:
            return []
        width = max(20, self.console.width - 6)
        lines = safe(told[-1].text).rstrip().splitlines()[-height:]
        return [
            Text("    │ " + _short(line, width), style="dim", no_wrap=True, overflow="crop") for line in lines
        ]

    def _fold(self, fold: Fold) -> Text:
        text = Text("  " * fold.depth + ("… " if fold.rest else ""))
        for number, (status, told) in enumerate(fold.told()):
            icon, style = _ICONS[status]
            text.append(f"{'  ' if number else ''}{icon} ", style=style)
            text.append(told, style="red" if status == "error" else "dim")
        return text

    def _row(self, row: Row, now: float) -> Text:
        icon, style = _ICONS[row.status]
        if row.status in ("in-progress", "streaming"):
            icon = _SPINNER[int(now * 10) % len(_SPINNER)]
        depth = len(self._up(row.path))
        text = Text("  " * depth)
        text.append(f"{icon} ", style=style)
        text.append(safe(row.name), style="dim" if row.status in ("pending", "skipped") else "")
        running = row.began is not None
        seconds = row.seconds + (now - row.began if row.began is not None else 0)
        if running or row.seconds:
            text.append(f"  {_clock(seconds)}", style="dim")
        if row.calls:
            text.append(f" · {row.tokens:,} tok · {usd(row.cost)}", style="dim")
        if row.note:
            style = "red" if row.status == "error" else "dim"
            text.append(f"  {safe(row.note)}", style=style)
        return text


def make_view(as_json: bool, quiet: bool, title: str, outline: Outline) -> RunView:
    """The view that fits the output: nothing for JSON and quiet, a tree on a terminal, else lines."""
    if as_json:
        return RunView(title, outline, quiet=True, console=Console(stderr=True, highlight=False))
    if quiet:
        return RunView(title, outline, quiet=True)
    console = Console(highlight=False)
    if console.is_terminal and os.environ.get("TERM", "") not in ("dumb", ""):
        return TreeView(title, outline, console=console)
    return LineView(title, outline, console=console)


def _figures(row: Row) -> str:
    told = f" {row.seconds:.1f}s"
    return told + (
        f" {counted(row.calls, 'call')} {counted(row.tokens, 'token')} {usd(row.cost)}" if row.calls else ""
    )


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}s"
    return f"{int(seconds) // 60}m{int(seconds) % 60:02d}s"


def _short(text: str, width: int) -> str:
    flat = " ".join(text.split("\n"))
    return flat if len(flat) <= width else flat[: width - 1] + "…"
