"""Genuine programs wrapped in every reply shape: parsed, written, and their own checks run in the sandbox.

A sample; all programs: ``python bench/replies.py --humaneval``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from bench.support.humaneval import program, walk

from windlass.sandbox import select_sandbox

CORPUS = Path(__file__).resolve().parents[2] / "../shared/corpus/humaneval.jsonl"


@pytest.mark.skipif(not CORPUS.is_file(), reason="the shared corpus is not beside the repository")
async def test_programs_come_through_every_shape_and_pass(tmp_path: Path) -> None:
    every = 1 if os.environ.get("WINDLASS_TEST_HUMANEVAL") == "all" else 14
    rows = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()][::every]
    outcome = await walk(rows, tmp_path, select_sandbox())
    assert outcome.problems == []
    assert outcome.shapes >= 12
    assert outcome.passed == outcome.replies >= 12 * len(rows)
    assert outcome.level in ("bubblewrap", "landlock")


async def test_a_program_that_is_wrong_is_found(tmp_path: Path) -> None:
    row = {
        "prompt": "def one():\n",
        "canonical_solution": "    return 2\n",
        "test": "def check(candidate):\n    assert candidate() == 1\n",
        "entry_point": "one",
    }
    assert program(row) == "def one():\n    return 2\n"
    outcome = await walk([row], tmp_path, select_sandbox())
    assert outcome.passed == 0
    assert len(outcome.problems) == outcome.replies
    assert "AssertionError" in outcome.problems[0]
