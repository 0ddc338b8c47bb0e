"""The report: counts that are right, texts that cannot become markup."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

from windlass.batch import report
from windlass.batch.progress import Ended, Progress
from windlass.events import WorkflowStatus


def row(
    id: str, status: str = "Success", cost: float | None = 0.25, error: str | None = None
) -> dict[str, Any]:
    usage = {"requests": 2, "input_tokens": 10, "output_tokens": 5, "cost_usd": cost}
    return {
        "id": id, "run_id": "0123456789abcdefghjk", "status": status, "summary": "done", "error": error, "workspace": "/w",
        "files": [], "tests": None, "usage": usage, "seconds": 2.0, "tags": {},
    }  # fmt: skip


def test_figures() -> None:
    rows = [row("a"), row("b", cost=None), row("c", "Failure", error="no")]
    found = dict(report.figures(rows))
    assert found["Items"] == "3"
    assert found["Outcomes"] == "2 Success, 1 Failure"
    assert found["Success"] == "66.7%"
    assert found["Cost"] == "$0.5000 and 1 item whose cost is not wholly known"
    assert found["Cost per success"] == "$0.2500"
    assert found["Requests"] == "6"
    assert dict(report.figures([row("a", cost=None)]))["Cost"] == "cost unknown"


def test_reasons_that_differ_only_in_names_count_as_one() -> None:
    rows = [row(str(n), "Failure", error=f"The file src/a{n}.py has {n} errors.") for n in range(3)]
    rows.append(row("x", "Failure", error="The budget is used up."))
    assert [number for _, number in report.reasons(rows)] == [3, 1]


EVIL = '<script>alert("1")</script> | `x` [a](b)'


def test_nothing_that_was_said_becomes_markup() -> None:
    rows = [row(EVIL, "Failure", error=EVIL), row("b")]
    page = report.html(EVIL, "batch", rows)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    # Well-formed, so that no text can have closed an element.
    ElementTree.fromstring(page.replace("<!doctype html>", "").replace('<meta charset="utf-8">', ""))
    text = report.markdown(EVIL, "batch", rows)
    assert "<script" not in text.replace("\\<script", "")
    assert all(line.count("|") - line.count("\\|") in (0, 3, 5) for line in text.splitlines())


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = report.html("t", "batch", [row(str(n), cost=n / 10) for n in range(30)])
    assert page.count("<svg") == 3
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_lines_read_back() -> None:
    rows = [row("ä"), row("b\u2028c")]
    assert [json.loads(line) for line in report.jsonl(rows).split("\n") if line] == rows


def test_time_left_and_cost_to_come_follow_the_pace() -> None:
    now = [100.0]
    progress = Progress(total=12, planned=10, clock=lambda: now[0])
    assert progress.seconds_left is None and progress.projected is None
    from decimal import Decimal

    progress.spent = Decimal("0.40")
    for n in range(4):
        progress.end(Ended(str(n), "r", WorkflowStatus.Success, None, 1.0, 1, Decimal("0.10")))
    now[0] = 108.0
    assert progress.seconds_left == 12.0
    assert progress.projected == Decimal("1.00")
    progress.end(Ended("x", "r", WorkflowStatus.Pending, "its folder is gone", 0.0, 0, Decimal(0)))
    assert progress.counts == {"Success": 4, "Failure": 1}
