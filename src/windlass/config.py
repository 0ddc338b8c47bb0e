"""How a workflow's steps are declared, checked and walked."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from windlass.errors import ConfigError
from windlass.step import BaseStep


class StepsTemplateConfig(TypedDict, total=False):
    """One step: its class, and its sub-steps by key."""

    step_class: type[BaseStep]
    steps: dict[str, StepsTemplateConfig]


class WorkflowTemplateStepsConfig(TypedDict, total=False):
    """A whole workflow: where it works by default, and its steps by key, in the order they run."""

    workspace_path: str
    steps: dict[str, StepsTemplateConfig]


_STEP_KEYS = frozenset({"step_class", "steps"})
_WORKFLOW_KEYS = frozenset({"workspace_path", "steps"})


def check_config(config: Any) -> None:
    """Raises ConfigError, naming the path of the first thing that is wrong."""
    if not isinstance(config, Mapping):
        raise ConfigError(f"The workflow config must be a dictionary, not {type(config).__name__}.")
    _check_keys("", config, _WORKFLOW_KEYS)
    if not isinstance(config.get("workspace_path", ""), str):
        raise ConfigError("workspace_path: must be a text.")
    if "steps" not in config:
        raise ConfigError("steps: is missing; a workflow needs at least one step.")
    _check_steps("steps", config["steps"])
    if not config["steps"]:
        raise ConfigError("steps: is empty; a workflow needs at least one step.")


def _check_keys(where: str, config: Mapping[Any, Any], known: frozenset[str]) -> None:
    unknown = sorted(str(key) for key in config if key not in known)
    if unknown:
        prefix = f"{where}: " if where else ""
        raise ConfigError(f"{prefix}unknown key {unknown[0]!r}; known keys: {', '.join(sorted(known))}.")


def _check_steps(where: str, steps: Any) -> None:
    if not isinstance(steps, Mapping):
        raise ConfigError(f"{where}: must be a dictionary of steps, not {type(steps).__name__}.")
    for key, step in steps.items():
        if not isinstance(key, str) or not key.isidentifier():
            raise ConfigError(f"{where}: the key {key!r} must be a plain name (letters, digits, underscore).")
        here = f"{where}.{key}"
        if not isinstance(step, Mapping):
            raise ConfigError(f"{here}: must be a dictionary, not {type(step).__name__}.")
        _check_keys(here, step, _STEP_KEYS)
        if "step_class" not in step:
            raise ConfigError(f"{here}: step_class is missing")
        cls = step["step_class"]
        if not (inspect.isclass(cls) and issubclass(cls, BaseStep)):
            raise ConfigError(f"{here}: step_class must be a subclass of BaseStep, not {cls!r}.")
        if inspect.isabstract(cls):
            missing = ", ".join(sorted(cls.__abstractmethods__))
            raise ConfigError(f"{here}: {cls.__name__} is abstract ({missing} not written).")
        if "steps" in step:
            _check_steps(f"{here}.steps", step["steps"])


def walk_config(
    steps: Mapping[str, StepsTemplateConfig], parent: str = ""
) -> Iterator[tuple[str, StepsTemplateConfig]]:
    """Every step's dotted path and its declaration, parents before their sub-steps."""
    for key, step in steps.items():
        path = f"{parent}.{key}" if parent else key
        yield path, step
        yield from walk_config(step.get("steps", {}), path)
