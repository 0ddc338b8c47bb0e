"""Questions to the person at the terminal."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.console import Console
from rich.text import Text

from windlass.cli.files import coloured
from windlass.cli.root import safe

if TYPE_CHECKING:
    from windlass.people import Answer, Question


async def ask_at_terminal(console: Console, question: Question, leave: asyncio.Event) -> Answer | None:
    """The person's answer; None when they leave with Ctrl-D or ``leave`` is set (Ctrl-C): the run then waits."""
    from windlass.people import Answer

    show_question(console, question)
    questions = list(question.detail.get("open_questions", ()))
    choices = {"a": "approve", "r": "reject"}
    if question.kind == "requirement":
        choices |= {"e": "edit"} | ({"q": "answer the questions"} if questions else {})
    menu = "  ".join(f"[{key}] {word}" for key, word in choices.items())
    default = "q" if questions else "a"
    try:
        while True:
            key = (await _line(f"{menu} [{default}]", leave)).strip().lower() or default
            if key == "e" and "e" in choices:
                text = await asyncio.to_thread(_edit, str(question.detail.get("requirement", "")))
                # Ctrl-C in the editor was meant for the editor.
                leave.clear()
                if text is not None and text.strip():
                    return Answer("edit", text)
                console.print("Nothing was changed.")
            elif key == "q" and "q" in choices:
                answers = [f"{q}\n{await _line(safe(q), leave)}" for q in questions]
                return Answer("answer", "\n\n".join(answers))
            elif key in choices:
                return Answer(choices[key])
            else:
                console.print(f"Please type one of {', '.join(choices)}.")
    except EOFError:
        console.print()
        return None


def _edit(text: str) -> str | None:
    return click.edit(text, extension=".md")


async def _line(prompt: str, leave: asyncio.Event) -> str:
    """A line from the terminal. EOFError when the person leaves.

    Read by the event loop and not in a thread: a thread that waits for a key could not be told to stop.
    """
    sys.stdout.write(f"{prompt}: ")
    sys.stdout.flush()
    loop = asyncio.get_running_loop()
    keyboard = sys.stdin.fileno()
    typed: asyncio.Future[bytes] = loop.create_future()

    # A terminal hands over one whole line at a time.
    def ready() -> None:
        if not typed.done():
            typed.set_result(os.read(keyboard, 4096))

    loop.add_reader(keyboard, ready)
    left = asyncio.ensure_future(leave.wait())
    waiting: set[asyncio.Future[Any]] = {typed, left}
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_reader(keyboard)
        left.cancel()
    if not typed.done() or not typed.result():
        raise EOFError
    return typed.result().decode(errors="replace").rstrip("\r\n")


def show_question(console: Console, question: Question) -> None:
    """Everything the person needs to decide."""
    console.print()
    show_detail(console, question.detail)
    if question.detail.get("open_questions"):
        console.print(Text("Open questions", style="bold yellow"))
        for line in question.detail["open_questions"]:
            console.print(Text(f"  ? {safe(line)}"))
    console.print(Text(question.text, style="bold"))


def show_detail(console: Console, detail: Mapping[str, Any]) -> None:
    """What a question is about: what was understood, or what would be written."""
    if detail.get("acceptance_criteria"):
        console.print(Text("Acceptance criteria", style="bold"))
        for line in detail["acceptance_criteria"]:
            console.print(Text(f"  - {safe(line)}"))
    if detail.get("diff"):
        console.print(coloured(detail["diff"]), soft_wrap=True)
