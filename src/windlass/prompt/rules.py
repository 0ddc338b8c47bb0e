"""Rules and sentences that every prompt store shares."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence

from windlass.errors import InputError, NotFound, PromptConflict, TemplateError
from windlass.prompt.records import OUTCOMES, Switch
from windlass.prompt.template import PromptTemplateVariable, VariableSource, placeholders

#: Longest prompt, in bytes of UTF-8.
MAX_BYTES = 1_000_000
#: Live versions kept for each prompt.
KEEP_VERSIONS = 4

log = logging.getLogger("windlass.prompt")


def check_text(name: str, text: str) -> None:
    """TemplateError when a text cannot be a version of a prompt."""
    if not isinstance(text, str) or not text.strip():
        raise TemplateError(f"A version of prompt {name!r} cannot be empty.")
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise TemplateError(f"This text for prompt {name!r} is not valid Unicode.") from None
    if "\0" in text:
        raise TemplateError(f"This text for prompt {name!r} holds a NUL character, which a prompt cannot.")
    if size > MAX_BYTES:
        raise TemplateError(
            f"This text for prompt {name!r} has {size:,} bytes; a prompt may have at most {MAX_BYTES:,}."
        )


def check_name(name: str) -> None:
    """InputError when a text cannot name a prompt."""
    if not isinstance(name, str) or not name.strip() or len(name) > 200 or not name.isprintable():
        raise InputError(f"{name!r} cannot name a prompt: use 1 to 200 printable characters.")


def declared_variables(default: str, variables: Iterable[PromptTemplateVariable] | None) -> dict[str, bool]:
    """Which names a version may use; True for those it must use.

    A declared variable is a must when it is what the user typed. With nothing declared, the default's
    own placeholders are all allowed and all musts.
    """
    if variables is None:
        return dict.fromkeys(placeholders(default), True)
    return {variable.name: variable.source is VariableSource.USER_INPUT for variable in variables}


def check_fits(name: str, text: str, variables: Mapping[str, bool]) -> None:
    """TemplateError when a version uses a variable its step does not give, or drops one it must use."""
    used = placeholders(text)
    if unknown := [f"'{{{{{each}}}}}'" for each in used if each not in variables]:
        allowed = ", ".join(sorted(variables)) or "none"
        raise TemplateError(
            f"Prompt {name!r} cannot use {', '.join(unknown)}: its step gives {allowed} "
            "(write '{{!name}}' for literal braces)."
        )
    if dropped := [f"'{{{{{each}}}}}'" for each, must in variables.items() if must and each not in used]:
        raise TemplateError(f"Prompt {name!r} must keep {', '.join(dropped)}: its step needs it there.")


def to_retire(live: Collection[int], keep: int, protected: Collection[int]) -> list[int]:
    """The version numbers to retire so that ``keep`` stay live, oldest first; protected ones never."""
    surplus = len(live) - keep
    idle = sorted(set(live) - set(protected) - {max(live, default=0)})
    return idle[: max(surplus, 0)]


def before(log_entries: Sequence[Switch], live: Collection[int]) -> int | None:
    """The version to roll back to: walks the moves back like a stack, skipping retired versions."""
    stack: list[int] = []
    for entry in log_entries:
        if entry.kind == "rollback" and entry.to_version_no in stack:
            while stack[-1] != entry.to_version_no:
                stack.pop()
        else:
            stack.append(entry.to_version_no)
    current = stack.pop() if stack else None
    return next((number for number in reversed(stack) if number in live and number != current), None)


def check_outcome(outcome: str) -> None:
    """InputError for a word that is no outcome."""
    if outcome not in OUTCOMES:
        raise InputError(f"{outcome!r} is no outcome of a run; use one of {', '.join(OUTCOMES)}.")


def check_revision(name: str, expected: int | None, actual: int) -> None:
    """PromptConflict when somebody changed the prompt since the caller looked."""
    if expected is not None and expected != actual:
        raise PromptConflict(
            f"Prompt {name!r} was changed by someone else (revision {actual}, you saw {expected}): "
            "look at it again before switching."
        )


def no_prompt(name: str, known: Iterable[str]) -> NotFound:
    """The error for a prompt nobody stored."""
    close = difflib.get_close_matches(name, list(known), n=3)
    hint = f"did you mean {', '.join(close)}?" if close else "'windlass prompts list' shows those that exist."
    return NotFound(f"There is no prompt {name!r}; {hint}")


def no_version(name: str, version_no: int, live: Collection[int], *, retired: bool) -> NotFound:
    """The error for a version that is not there, or no longer."""
    have = ", ".join(map(str, sorted(live))) or "none"
    if retired:
        return NotFound(
            f"Version {version_no} of prompt {name!r} is retired (live: {have}); "
            "add its text as a new version to use it again."
        )
    return NotFound(f"Prompt {name!r} has no version {version_no} (live: {have}).")


def no_earlier(name: str) -> NotFound:
    """The error for a rollback with nowhere to go."""
    return NotFound(f"Prompt {name!r} has no earlier live version to roll back to.")


def no_drift(name: str) -> InputError:
    """The error for adopting a default that never changed."""
    return InputError(f"The default of prompt {name!r} has not changed in the code; there is nothing to add.")


def unified_diff(name: str, old: tuple[int, str], new: tuple[int, str]) -> str:
    """The difference of two numbered texts as unified diff."""
    return text_diff(old[1], new[1], f"{name}@{old[0]}", f"{name}@{new[0]}")


def text_diff(old: str, new: str, old_label: str, new_label: str) -> str:
    """The difference of two texts as unified diff; empty when they are equal but for their line ends."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), old_label, new_label, lineterm="")
    return "\n".join(lines)


def drift_sentence(name: str) -> str:
    """The warning for a default that was edited after it was stored."""
    return (
        f"The default of prompt {name!r} changed in the code, but the stored version stays in effect; "
        "'windlass prompts drift' shows the difference and can add it as a candidate."
    )
