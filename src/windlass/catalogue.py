"""Every prompt that comes with Windlass, so that it can be looked at and edited before its first use."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

from windlass import steps, workflows
from windlass.prompt import PromptStore
from windlass.step import BaseStep


def shipped_steps() -> list[type[BaseStep]]:
    """The step classes of Windlass itself that have a prompt of their own."""
    for package in (steps, workflows):
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
    found: dict[str, type[BaseStep]] = {}

    def walk(cls: type) -> None:
        subclasses: Sequence[type[BaseStep]] = cls.__subclasses__()
        for sub in subclasses:
            if sub.__module__.startswith("windlass.") and not getattr(sub, "__abstractmethods__", None):
                found[f"{sub.__module__}.{sub.__qualname__}"] = sub
            walk(sub)

    walk(BaseStep)
    return list(found.values())


def introduce(store: PromptStore) -> None:
    """Store the default of every shipped prompt that has no version yet as its version 1; note those that drifted."""
    for cls in shipped_steps():
        step = cls.__new__(cls)
        if step.prompt_name not in ("", "trial") and step.default_prompt.strip():
            store.ensure(step.prompt_name, step.default_prompt, variables=step.prompt_variables)
