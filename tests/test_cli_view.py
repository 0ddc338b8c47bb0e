"""What a run looks like: the tree, the lines, the outcome."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from windlass.cli.outcome import outcome_lines
from windlass.cli.view import LineView, Row, RunView, TreeView, make_view, tree_order
from windlass.events import Event

OUTLINE = (("a_step", "First"), ("b_step", "Second"))


def console(width: int = 100, **options: Any) -> Console:
    return Console(file=io.StringIO(), width=width, highlight=False, **options)


def shown(view: RunView) -> str:
    file = view.console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def update(path: str, **payload: Any) -> Event:
    return Event("update_workflow_step", "run1", {"step": 1, "path": path, **payload})


def call(path: str, cost: str | None) -> Event:
    payload = {"step_path": path, "input_tokens": 100, "output_tokens": 20, "cost_usd": cost}
    return Event("call", "run1", payload)


def plan(*steps: tuple[str, str]) -> Event:
    rows = [{"path": path, "module": name, "status": "pending"} for path, name in steps]
    return Event("send_workflow", "run1", {"workflow": {"steps": rows}})


def drawn(view: TreeView) -> list[str]:
    file = console(view.console.width)
    file.print(view.render())
    assert isinstance(file.file, io.StringIO)
    return [line.rstrip() for line in file.file.getvalue().splitlines()]


def test_the_tree_is_there_before_the_run() -> None:
    assert drawn(TreeView("Make it", OUTLINE, console=console()))[:3] == [
        "Make it",
        "  · First",
        "  · Second",
    ]


def test_the_tree_shows_steps_text_tokens_and_cost() -> None:
    view = TreeView("Make it", OUTLINE, console=console())
    view.on_event(plan(("a_step", "First"), ("b_step", "Second"), ("a_step[x.py]", "Write x.py")))
    view.on_event(update("a_step", status="in-progress"))
    view.on_event(update("a_step[x.py]", status="in-progress"))
    view.on_event(update("a_step[x.py]", status="streaming"))
    view.on_event(Event("text", "run1", {"path": "a_step[x.py]", "delta": "def f():\n    \x1b[31mreturn 1"}))
    lines = drawn(view)
    assert "    " in lines[2]
    assert lines[2].endswith("Write x.py  0.0s")
    assert any("│ def f():" in line for line in lines)
    assert not any("\x1b" in line for line in lines)
    view.on_event(Event("text_reset", "run1", {"path": "a_step[x.py]"}))
    assert not any("def f()" in line for line in drawn(view))
    view.on_event(call("a_step[x.py]", "0.01"))
    view.on_event(update("a_step[x.py]", status="finished"))
    view.on_event(call("b_step", None))
    lines = drawn(view)
    assert "✓ Write x.py" in lines[2]
    assert "120 tok · $0.0100" in lines[1]
    assert "120 tok · $0.0100" in lines[2]
    assert lines[-1].split(" · ", 1)[1] == "240 tokens · cost unknown"


def test_an_error_is_shown_at_its_step() -> None:
    view = TreeView("Make it", OUTLINE, console=console())
    view.on_event(update("b_step", status="in-progress"))
    view.on_event(update("b_step", status="error", error="It broke."))
    assert any("✗ Second" in line and "It broke." in line for line in drawn(view))


def test_notices_stay_few() -> None:
    view = TreeView("Make it", OUTLINE, console=console())
    for number in range(9):
        view.on_event(Event("notice", "run1", {"text": f"note {number}"}))
    assert [line for line in drawn(view) if "note" in line] == [f"  ! note {n}" for n in range(5, 9)]


def test_lines_tell_the_same_in_order() -> None:
    view = LineView("Make\nit", OUTLINE, console=console())
    view.start()
    view.on_event(Event("run_status", "run1", {"status": "Started"}))
    view.on_event(plan(("a_step", "First")))
    view.on_event(update("a_step", status="in-progress"))
    view.on_event(update("a_step", status="streaming"))
    view.on_event(call("a_step", "0.5"))
    view.on_event(
        Event("file_change", "run1", {"change": "created", "path": "x.py", "bytes": 3, "step_path": "a_step"})
    )
    view.on_event(update("a_step", status="finished"))
    view.on_event(update("b_step", status="error", error="It broke."))
    lines = shown(view).splitlines()
    assert lines[0] == "windlass: Make it"
    assert lines[1] == "run run1"
    assert lines[2] == "› First [a_step] in-progress"
    assert lines[3] == "  created x.py (3 bytes)"
    assert lines[4].startswith("✓ First [a_step] finished 0.0s 1 call 120 tokens $0.50")
    assert lines[5] == "✗ Second [b_step] error 0.0s: It broke."
    assert "\x1b" not in shown(view)


def test_sub_steps_come_after_what_they_belong_to() -> None:
    paths = ["a", "b", "a[2]", "a[10]", "b.c", "a[2].x", "ab", "a.z"]
    ordered = [row.path for row in tree_order([Row(path, path) for path in paths])]
    assert ordered == ["a", "a[2]", "a[2].x", "a[10]", "a.z", "b", "b.c", "ab"]


RESULT: dict[str, Any] = {
    "run_id": "r" * 20, "status": "Waiting", "summary": None, "error": None, "files": [], "tests": None,
    "workspace": "w", "label": None,
    "usage": {"requests": 1, "input_tokens": 1000, "output_tokens": 5, "cached_tokens": 0, "cost_usd": None},
    "waiting_for": {"text": "Please answer.", "detail": {"open_questions": ["Which \x1b[31mone?"]}},
}  # fmt: skip


def text(result: dict[str, Any]) -> str:
    return "\n".join(line.plain for line in outcome_lines(result))


def test_a_waiting_run_says_what_it_waits_for() -> None:
    said = text(RESULT)
    assert said.startswith("Waiting\nPlease answer.\n  ? Which \ufffd[31mone?\n")
    assert f"windlass resume {'r' * 20}" in said
    assert "1,000 in · 5 out · cost unknown" in said


def test_a_failed_run_says_why_and_never_its_summary() -> None:
    result = {
        **RESULT, "status": "Failure", "error": "Tests still fail.", "summary": "All is well!", "waiting_for": None,
        "tests": {"passed": 1, "failed": 2, "errors": 0, "sandbox": "bubblewrap"},
        "files": [{"path": "x.py", "change": "created", "bytes": 3}],
    }  # fmt: skip
    said = text(result)
    assert "Tests still fail." in said
    assert "All is well!" not in said
    assert "1 passed, 2 failed" in said
    assert "created   x.py (3 bytes)" in said
    assert "windlass diff" in said


def test_an_interrupted_run_is_called_so() -> None:
    assert text({**RESULT, "status": "Started", "waiting_for": None}).startswith("Interrupted\n")


@pytest.mark.parametrize(("term", "kind"), [("xterm", LineView), ("dumb", LineView)])
def test_pipes_and_dumb_terminals_get_lines(
    monkeypatch: pytest.MonkeyPatch, term: str, kind: type[RunView]
) -> None:
    monkeypatch.setenv("TERM", term)
    assert type(make_view(False, False, "t", ())) is kind


def test_json_and_quiet_get_silence() -> None:
    assert type(make_view(True, False, "t", ())) is RunView
    assert type(make_view(False, True, "t", ())) is RunView
