"""What a run may cost, said before it begins: from earlier runs of its kind, else the worst case of one call."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from windlass.budget import Budget, usd, worst_case
from windlass.events import WorkflowStatus
from windlass.journal import Journal
from windlass.llm.base import Message
from windlass.llm.registry import LLMIntegrationRegistry
from windlass.report import usage_of

#: How many earlier runs are looked at, and among how many of the newest they are looked for.
RUNS_LOOKED_AT = 5
RUNS_SEARCHED = 200


async def estimate(
    journal: Journal,
    models: LLMIntegrationRegistry,
    budget: Budget,
    workflow: str,
    options: Mapping[str, Any],
) -> str | None:
    """One plain sentence; None where every call is free."""
    used = [models.get(role) for role in ("main", "fast")]
    unknown = sorted({model.model_name for model in used if worst_case(model, []) is None})
    if unknown:
        known = ", and the budget does not count its calls" if budget.capped else ""
        return f"The price of {' and '.join(unknown)} is not known, so neither is what this run will cost{known}."
    # About what a step sends: the request and the files around it.
    text = str(options.get("requirement") or options.get("message") or "") + "x" * 8000
    worst = max(worst_case(model, [Message("user", text)]) or Decimal(0) for model in used)
    if worst == 0:
        return None
    cap = f" The run stops before it passes its budget of {usd(budget.limit)}." if budget.limit else ""
    costs = await _earlier_costs(journal, workflow, options)
    if costs:
        low, high = usd(costs[0]), usd(costs[-1])
        span = low if low == high else f"{low} to {high}"
        runs = "the last run" if len(costs) == 1 else f"the last {len(costs)} runs"
        return f"Estimate: {span}, as {runs} of this workflow with this model cost.{cap}"
    return f"No earlier run to estimate from; one call costs at most about {usd(worst)}.{cap}"


async def _earlier_costs(journal: Journal, workflow: str, options: Mapping[str, Any]) -> list[Decimal]:
    runs = await journal.list_runs(limit=RUNS_SEARCHED, status=[WorkflowStatus.Success])
    # A fork took over a part of its work from another run; what it cost is no whole run's cost.
    alike = [
        r
        for r in runs
        if r.workflow == workflow and r.options.get("model") == options.get("model") and r.parent_run is None
    ]
    costs = []
    for run in alike[:RUNS_LOOKED_AT]:
        cost = usage_of(await journal.entries(run.run_id))["cost_usd"]
        if cost is not None:
            costs.append(Decimal(str(cost)))
    return sorted(costs)
