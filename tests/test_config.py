"""How steps are declared and walked; what is wrong in a declaration is tested as SPEC A4 in test_spec_a.py."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from windlass.config import check_config, walk_config
from windlass.steps.requirement import RefineStep, RequirementStep
from windlass.workflows.coding import WORKFLOW_CONFIG


def test_walk_gives_parents_before_their_sub_steps() -> None:
    config: Any = {
        "b": {
            "step_class": RequirementStep,
            "steps": {"x": {"step_class": RefineStep}, "y": {"step_class": RefineStep}},
        },
        "a": {"step_class": RequirementStep},
    }
    assert [path for path, _ in walk_config(config)] == ["b", "b.x", "b.y", "a"]
    assert dict(walk_config(config))["b.x"]["step_class"] is RefineStep


def test_the_coding_workflows_config_is_right() -> None:
    check_config(WORKFLOW_CONFIG)
    paths = [path for path, _ in walk_config(WORKFLOW_CONFIG["steps"])]
    assert len(paths) == len(set(paths)) == 8


def test_any_mapping_will_do() -> None:
    steps = MappingProxyType({"a": MappingProxyType({"step_class": RefineStep})})
    check_config(MappingProxyType({"steps": steps, "workspace_path": "x"}))
    assert [path for path, _ in walk_config(steps)] == ["a"]
