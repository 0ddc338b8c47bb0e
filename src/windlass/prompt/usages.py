"""What uses of prompts add up to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from windlass.evidence import pass_interval
from windlass.prompt.records import PromptUsage, VersionStats


def completed(known: PromptUsage, news: PromptUsage) -> PromptUsage:
    """What is known of a call after a second record of it: new figures where there are any."""
    figures = ("model", "tokens_in", "tokens_out", "cost_micro", "latency_ms")
    changes = {name: value for name in figures if (value := getattr(news, name)) is not None}
    return replace(known, **changes)


def version_stats(usages: Iterable[PromptUsage]) -> list[VersionStats]:
    """Statistics by version; a run counts once however many calls it made."""
    grouped: dict[int, list[PromptUsage]] = {}
    for usage in usages:
        if usage.version_no is not None and usage.case_id is None:
            grouped.setdefault(usage.version_no, []).append(usage)
    result = []
    for number, calls in sorted(grouped.items()):
        # A call recorded after its run was decided is still pending itself.
        by_run = {usage.run_id: usage.outcome for usage in calls}
        by_run |= {usage.run_id: usage.outcome for usage in calls if usage.outcome != "pending"}
        outcomes = list(by_run.values())
        passes, fails = outcomes.count("pass"), outcomes.count("fail")
        result.append(
            VersionStats(
                version_no=number,
                calls=len(calls),
                passes=passes,
                fails=fails,
                errors=outcomes.count("error"),
                cancelled=outcomes.count("cancelled"),
                pending=outcomes.count("pending"),
                cost_micro=sum(usage.cost_micro or 0 for usage in calls),
                interval=pass_interval(passes, fails),
                unpriced=sum(usage.cost_micro is None for usage in calls),
            )
        )
    return result
