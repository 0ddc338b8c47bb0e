"""Where model-written code runs: bubblewrap, Landlock, or nowhere."""

from windlass.sandbox.base import ExecResult, Limits, Sandbox

__all__ = ["ExecResult", "Limits", "Sandbox"]
