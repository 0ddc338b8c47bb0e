"""Questions to the person at the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click
from rich.console import Console
from rich.text import Text

from windlass.cli.files import coloured
from windlass.cli.root import safe

if TYPE_CHECKING:
    from windlass.effects import Answer, Question


def ask_at_terminal(console: Console, question: Question) -> Answer | None:
    """The person's answer; None when they leave with Ctrl-C or Ctrl-D: the run then waits."""
    from windlass.effects import Answer

    show_question(console, question)
    questions = list(question.detail.get("open_questions", ()))
    choices = {"a": "approve", "r": "reject"}
    if question.kind == "requirement":
        choices |= {"e": "edit"} | ({"q": "answer the questions"} if questions else {})
    menu = "  ".join(f"[{key}] {word}" for key, word in choices.items())
    try:
        key = click.prompt(
            menu, type=click.Choice(list(choices)), show_choices=False, default="q" if questions else "a"
        )
        if key == "e":
            text = click.edit(question.detail.get("requirement", ""), extension=".md")
            return ask_at_terminal(console, question) if text is None else Answer("edit", text)
        if key == "q":
            answers = [f"{q}\n{click.prompt(q)}" for q in questions]
            return Answer("answer", "\n\n".join(answers))
        return Answer(choices[key])
    except (click.Abort, EOFError):
        return None


def show_question(console: Console, question: Question) -> None:
    """Everything the person needs to decide."""
    console.print()
    detail = question.detail
    if detail.get("acceptance_criteria"):
        console.print(Text("Acceptance criteria", style="bold"))
        for line in detail["acceptance_criteria"]:
            console.print(Text(f"  - {safe(line)}"))
    if detail.get("open_questions"):
        console.print(Text("Open questions", style="bold yellow"))
        for line in detail["open_questions"]:
            console.print(Text(f"  ? {safe(line)}"))
    if detail.get("diff"):
        console.print(coloured(detail["diff"]), soft_wrap=True)
    console.print(Text(question.text, style="bold"))
