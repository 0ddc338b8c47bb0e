"""The error tree. An error owns its sentence: what happened, where, what to do.

::

    WindlassError                     shown to a person as one sentence; exit code 1
    ├── InputError                    what the person gave cannot be used; exit code 2
    │   ├── ConfigError               settings, windlass.toml or a workflow's step config
    │   ├── ArgumentError             an empty text, a number out of range (also a ValueError)
    │   ├── UnknownModel              no such alias, provider or session
    │   ├── TemplateError             a prompt's values do not fit its variables
    │   ├── UnsafePath                a file name that could leave the workspace (also a ValueError)
    │   ├── NotFound                  no run, prompt, version or step by that name
    │   └── PromptConflict            a prompt changed since it was looked at; nothing was switched
    ├── ModelError                    a model call did not give a usable reply
    │   ├── ModelUnavailable          network, timeout, 429, 5xx: trying again may help
    │   ├── ModelRefused              wrong key, bad request, unknown model at the provider
    │   └── TruncatedReply            the reply ended before its end
    ├── BudgetExceeded                the next call could cost more than what is left
    ├── ReplyError                    a reply that cannot be turned into files (also a ValueError)
    ├── StepFailed                    a step could not do its work; names what was tried
    ├── WorkflowExecutionError        a run failed: run, step path and cause
    ├── WorkspaceError                a file cannot be read or written
    │   └── WorkspaceConflict         a file changed underneath us
    ├── SandboxError                  no sandbox here, or it could not start
    ├── StoreError                    the database
    │   ├── StoreBusy                 locked by another process for too long
    │   └── StoreTooNew               written by a newer Windlass
    └── JournalError                  the record of a run
        ├── JournalMismatch           the run asks for something else than it recorded: fork it
        ├── RunOwnedElsewhere         another process owns the run
        └── LeaseLost                 another process took the run over; nothing was written
"""

from __future__ import annotations

from typing import Any


class WindlassError(Exception):
    """Base of every error Windlass raises on purpose; ``str()`` is a sentence for a person."""

    exit_code = 1


class InputError(WindlassError):
    """What the person gave cannot be used."""

    exit_code = 2


class ConfigError(InputError):
    """Settings, ``windlass.toml`` or a workflow's step configuration is wrong."""


class ArgumentError(InputError, ValueError):
    """A text that is empty, a number that is out of range, a list without entries; says which."""


class UnknownModel(InputError, ValueError):
    """No such model alias, provider or session."""


class TemplateError(InputError, ValueError):
    """A prompt's values do not fit its variables."""


class UnsafePath(InputError, ValueError):
    """A file name that is refused because it could reach outside the workspace or mislead a reader."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name!r} is not a usable file name: {reason}.")
        self.name = name
        self.reason = reason


class NotFound(InputError, LookupError):
    """No run, prompt, version or step by that name."""


class PromptConflict(InputError):
    """A prompt changed since it was looked at; nothing was switched."""


class ModelError(WindlassError):
    """A model call did not give a usable reply.

    ``maybe_paid`` is True when the provider may charge for the call. ``partial`` is the text that had come.
    ``usage`` is the :class:`windlass.llm.Usage` that the provider counted, None when it said nothing: unknown, not
    zero.
    """

    def __init__(
        self,
        message: str,
        *,
        partial: str = "",
        maybe_paid: bool = True,
        usage: Any = None,
    ) -> None:
        super().__init__(message)
        self.partial = partial
        self.maybe_paid = maybe_paid
        self.usage = usage


class ModelUnavailable(ModelError):
    """Network, timeout, rate limit or server fault: trying again may help.

    ``retry_after`` is the wait the provider asked for, in seconds, when it named one.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        maybe_paid: bool = True,
        partial: str = "",
        usage: Any = None,
    ) -> None:
        super().__init__(message, partial=partial, maybe_paid=maybe_paid, usage=usage)
        self.retry_after = retry_after


class ModelRefused(ModelError):
    """The provider refuses the request itself (key, model name, arguments): trying again cannot help."""

    def __init__(
        self,
        message: str,
        *,
        partial: str = "",
        maybe_paid: bool = False,
        usage: Any = None,
    ) -> None:
        super().__init__(message, partial=partial, maybe_paid=maybe_paid, usage=usage)


class TruncatedReply(ModelError):
    """The reply stopped before its end; ``partial`` holds what had come.

    ``at_limit`` is True when the model ran into its output limit: asking the same again ends the same way.
    """

    def __init__(
        self,
        message: str,
        *,
        partial: str = "",
        at_limit: bool = False,
        usage: Any = None,
    ) -> None:
        super().__init__(message, partial=partial, usage=usage)
        self.at_limit = at_limit


class BudgetExceeded(WindlassError):
    """The next call could cost more than the budget has left; it was not made."""


class ReplyError(WindlassError, ValueError):
    """A reply that cannot be turned into files; nothing was written.

    ``kind`` is one of the words in :data:`windlass.replies.KINDS`; ``correction`` is the text to send
    back to the model (nearest region, line numbers, what was expected).
    """

    def __init__(
        self, kind: str, message: str, *, correction: str | None = None, path: str | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.path = path
        self.correction = correction if correction is not None else message


class StepFailed(WindlassError):
    """A step could not do its work; the sentence says what was tried."""


class WorkflowExecutionError(WindlassError):
    """A run failed. Names the run, the step's path and the cause."""

    def __init__(self, run_id: str, step_path: str, cause: BaseException | str) -> None:
        super().__init__(f"Run {run_id} failed in {step_path or 'the workflow'}: {cause}")
        self.run_id = run_id
        self.step_path = step_path
        self.cause = cause


class WorkspaceError(WindlassError):
    """A file or folder of the workspace cannot be read or written."""


class WorkspaceConflict(WorkspaceError):
    """A file is not what it was when it was read; nothing was written. The message ends with the ``way_out``: what a person
    can do. ``what`` is the message without it."""

    def __init__(self, message: str, way_out: str = "") -> None:
        super().__init__(f"{message} {way_out}".rstrip())
        self.what = message


class SandboxError(WindlassError):
    """No sandbox is usable here, or it could not start the command."""


class StoreError(WindlassError):
    """The database cannot be used. ``may_pass``: perhaps it can in a while, for it is locked, its server is away
    or its disk is full."""

    may_pass = False


class StoreBusy(StoreError):
    """The database stayed locked by another process for too long."""

    may_pass = True


class StoreTooNew(StoreError):
    """The database was written by a newer Windlass."""


class JournalError(WindlassError):
    """The record of a run cannot be used as asked."""


class JournalMismatch(JournalError):
    """The run now asks for something else than what it recorded at this place."""


class RunOwnedElsewhere(JournalError):
    """Another process owns the run right now."""


class LeaseLost(JournalError):
    """Another process took the run over; this process has written nothing since."""
