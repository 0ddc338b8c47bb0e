"""What a run looks like: the tree, the lines, the outcome."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console, ConsoleDimensions

from windlass.cli.outcome import counted, outcome_lines
from windlass.cli.view import LineView, RunView, TreeView, make_view
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
    file = console(view.console.width, height=1000)
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


def forty(height: int, width: int = 80, running: int = 4) -> TreeView:
    """A run over 40 files: the second failed, the last of those begun are running."""
    view = TreeView("Change it.", (), console=console(width, height=height))
    view.on_event(plan(*((f"f[{n}]", f"Process {n}") for n in range(40))))
    for n in range(32):
        view.on_event(update(f"f[{n}]", status="in-progress"))
        if n == 1:
            view.on_event(update("f[1]", status="error", error="It broke, " + "and how, " * 20))
        elif n < 32 - running:
            view.on_event(update(f"f[{n}]", status="finished"))
    return view


def test_a_tree_higher_than_the_screen_shows_what_runs_and_what_failed() -> None:
    view = forty(24)
    view.on_event(update("f[31]", status="streaming"))
    view.on_event(Event("text", "run1", {"path": "f[31]", "delta": "line\n" * 9}))
    lines = drawn(view)
    assert len(lines) < 24
    assert "  ✓ 27 finished" in lines
    assert [line.split()[2] for line in lines if "Process" in line and "✓" not in line][:5] == [
        "1", "28", "29", "30", "31",
    ]  # fmt: skip
    assert next(line for line in lines if "✗" in line).endswith("…")
    assert sum("│ line" in line for line in lines) == 6
    assert lines[-1].endswith("0 tokens · $0")


def test_streamed_text_takes_no_room_from_the_steps_that_run() -> None:
    view = forty(24, running=16)
    view.on_event(update("f[31]", status="streaming"))
    view.on_event(Event("text", "run1", {"path": "f[31]", "delta": "line\n" * 9}))
    lines = drawn(view)
    assert len(lines) < 24
    assert sum("Process" in line for line in lines) == 17
    assert "  ✓ 15 finished" in lines and "  · 8 waiting" in lines
    assert sum("│ line" in line for line in lines) == 1


def test_the_latest_failure_is_seen_on_the_smallest_screen() -> None:
    view = TreeView("Change it.", (), console=console(80, height=7))
    view.on_event(plan(*((f"f[{n}]", f"Process {n}") for n in range(9))))
    for number in (5, 4, 3, 0, 1, 7, 2):
        view.on_event(update(f"f[{number}]", status="in-progress"))
        view.on_event(update(f"f[{number}]", status="error", error="It broke."))
    lines = drawn(view)
    assert [line.split()[2] for line in lines if "Process" in line] == ["1", "2", "7"]
    assert "  … ✗ 4 failed  · 2 waiting" in lines


def test_the_tree_follows_the_size_of_the_screen() -> None:
    view = forty(24)
    view.console.size = ConsoleDimensions(100, 60)
    lines = drawn(view)
    assert sum("Process" in line for line in lines) == 40 and not any("27 finished" in line for line in lines)
    # There is room for the whole sentence.
    assert " ".join(lines).count("and how") >= 18 and not any("…" in line for line in lines)
    view.console.size = ConsoleDimensions(80, 10)
    lines = drawn(view)
    assert len(lines) < 10 and any("✗ Process 1 " in line for line in lines)
    assert "  ✓ 27 finished" in lines and "  · 8 waiting" in lines


def test_what_does_not_fit_in_any_way_is_counted() -> None:
    view = forty(12, running=16)
    for number in range(4):
        view.on_event(Event("notice", "run1", {"text": "A long sentence. " * 12 + str(number)}))
    lines = drawn(view)
    assert len(lines) < 12
    assert any("✗ Process 1 " in line for line in lines)
    assert "  … › 12 running  ✓ 15 finished  · 8 waiting" in lines, lines
    assert "sentence. 3" in "".join(lines)


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


def test_one_is_told_as_one() -> None:
    result = {
        **RESULT, "status": "Failure", "waiting_for": None,
        "tests": {"passed": 0, "failed": 0, "errors": 1, "sandbox": "bubblewrap"},
        "files": [{"path": "x.py", "change": "created", "bytes": 1}],
    }  # fmt: skip
    said = text(result)
    assert "tests     1 error (sandbox: bubblewrap)" in said
    assert "x.py (1 byte)" in said and "  1 request · " in said
    result["tests"]["errors"] = 2
    assert "tests     2 errors (" in text(result)
    assert [counted(number, "run") for number in (0, 1, 2, 2000)] == [
        "0 runs",
        "1 run",
        "2 runs",
        "2,000 runs",
    ]


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
