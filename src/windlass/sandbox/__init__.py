"""Where model-written code runs: bubblewrap, Landlock, or nowhere."""

from typing import TYPE_CHECKING, Any

from windlass.sandbox.base import ExecResult, Limits, Sandbox

if TYPE_CHECKING:
    from windlass.sandbox.select import ProbeResult, probe, select_sandbox

__all__ = ["ExecResult", "Limits", "ProbeResult", "Sandbox", "probe", "select_sandbox"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the command line imports this package before it needs a sandbox.
    if name in ("ProbeResult", "probe", "select_sandbox"):
        from windlass.sandbox import select

        return getattr(select, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
