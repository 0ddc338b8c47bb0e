"""Windlass: coding and writing workflows made of steps, run by language models."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from windlass.api import Going, RunResult, aresume, arun, resume, run
    from windlass.errors import InputError, WindlassError, WorkflowExecutionError
    from windlass.events import Event, WorkflowStatus

__version__ = "0.1.0"

__all__ = [
    "Event",
    "Going",
    "InputError",
    "RunResult",
    "WindlassError",
    "WorkflowExecutionError",
    "WorkflowStatus",
    "__version__",
    "aresume",
    "arun",
    "resume",
    "run",
]

#: Where each name is: imported when it is first used, so that `import windlass` costs next to nothing.
_PLACES = {
    **dict.fromkeys(("Going", "RunResult", "aresume", "arun", "resume", "run"), "windlass.api"),
    **dict.fromkeys(("InputError", "WindlassError", "WorkflowExecutionError"), "windlass.errors"),
    **dict.fromkeys(("Event", "WorkflowStatus"), "windlass.events"),
}


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _PLACES:
        raise AttributeError(f"module 'windlass' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
