"""Which step an effect belongs to, also where paths hold slashes."""

from __future__ import annotations

import pytest

from windlass.journal import step_of


@pytest.mark.parametrize(
    ("effect", "step"),
    [
        ("design_step/model[0]", "design_step"),
        ("testing_step.repair[2]/model[1]", "testing_step.repair[2]"),
        ("process_step[sub/a.py]/model[0]", "process_step[sub/a.py]"),
        ("process_step[sub/a.py]/read:sub/a.py[0]", "process_step[sub/a.py]"),
        ("implementation_step[a.py]/read:x/y/z.py[3]", "implementation_step[a.py]"),
        ("implementation_step[a.py]/write[0].approve", "implementation_step[a.py]"),
        ("process_step[sub/a.py]/model[0].again[2]", "process_step[sub/a.py]"),
        ("inputs/write[0]", "inputs"),
    ],
)
def test_the_step_of_an_effect(effect: str, step: str) -> None:
    assert step_of(effect) == step
