"""Puts a version in effect that a comparison proved better, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from windlass.errors import InputError, PromptConflict
from windlass.evidence import Comparison
from windlass.prompt.records import PromptStore, Resolved


def promote(store: PromptStore, name: str, comparison: Comparison, *, actor: str | None = None) -> Resolved:
    """Put the new version in effect if, and only if, the comparison proves it; its evidence goes in the log.

    InputError with the verdict when it does not; PromptConflict when the old version is not in effect any
    more, so that it was compared with the wrong one.
    """
    if comparison.decision != "promote":
        raise InputError(f"Prompt {name!r} stays as it is. {comparison.verdict}")
    now = store.effective(name)
    if now.version_no != comparison.old.version_no:
        raise PromptConflict(
            f"Prompt {name!r} stays as it is: version {now.version_no} is in effect, but version "
            f"{comparison.new.version_no} was compared with version {comparison.old.version_no}."
        )
    return store.use(
        name,
        comparison.new.version_no,
        reason=comparison.verdict,
        actor=actor,
        evidence=comparison.to_json(),
        expected_revision=now.revision,
    )


def earned(comparisons: Iterable[Comparison], effective: int) -> Comparison | None:
    """The comparison to go by when version ``effective`` is in effect: the last one that proves another better.

    ``comparisons`` are in the order in which they were concluded. Of two on the same versions the later one counts, so
    that trying until one comes out well does not pay. None proves one: the last; None: none was made with ``effective``.
    """
    latest: dict[int, Comparison] = {}
    for each in comparisons:
        if each.old.version_no == effective:
            latest.pop(each.new.version_no, None)
            latest[each.new.version_no] = each
    proving = [each for each in latest.values() if each.decision == "promote"]
    told = proving or list(latest.values())
    return told[-1] if told else None
