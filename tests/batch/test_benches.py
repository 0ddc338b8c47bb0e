"""The benches that the documentation quotes still run, and would notice what they look for."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from bench.batch import CORPUS
from bench.batch import measure as measure_batch
from bench.peers import Killed, desk
from bench.support.peers import PEERS
from bench.support.shop import FILES

WINDLASS = PEERS[0]


def test_the_small_task_through_windlass_killed_in_the_middle(tmp_path: Path) -> None:
    assert WINDLASS.name == "windlass"
    with desk(WINDLASS, tmp_path, 0.0) as one:
        killed = one.killed(7)
        assert killed.passed, one.log.read_text()
    assert (killed.answered, killed.asked_after, killed.paid_again) == (3, 4, 0)
    assert killed.left == {"money.py": "whole", "cart.py": "missing", "receipt.py": "missing"}


def test_what_counts_as_paid_again() -> None:
    assert Killed(3, dict.fromkeys(FILES, "missing"), 7, 4, 1.0, True).paid_again == 3
    assert Killed(3, dict.fromkeys(FILES, "missing"), 4, 4, 1.0, True).paid_again == 0


def test_a_batch_of_the_corpus_killed_at_half(tmp_path: Path) -> None:
    if not CORPUS.exists():
        pytest.skip(f"there is no corpus in {CORPUS}")
    options = argparse.Namespace(corpus=CORPUS, limit=2, delay=0.0, concurrency=1, no_kill=False)
    found = measure_batch(tmp_path, options)
    assert found["statuses"] == {"Success": 2}
    assert (found["in_order"], found["paid_twice"], found["asked_again_of_ended"]) == (True, [], 0)
    assert found["ended_before_kill"] == 1
    assert found["answered_twice"] <= 1
