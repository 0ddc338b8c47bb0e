"""Branches that run side by side, killed and replayed: none ever gets another's reply."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: All hundred with WINDLASS_TEST_FULL=1.
KILLS = 100 if os.environ.get("WINDLASS_TEST_FULL") else 10


def test_no_branch_gets_anothers_reply(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.durability.branches", str(tmp_path), str(KILLS), "3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["problems"] == []
    assert told["kills"] == KILLS
    # The kills came while calls were under way, and every call of every run has its reply in the end.
    assert told["states"]["unknown"] >= KILLS
    assert told["states"]["done"] == told["runs"] * 60
    assert set(told["states"]) == {"done", "unknown"}
