"""Searches for a better text with GEPA (extra ``optimise``); what it finds must earn its promotion.

GEPA (arXiv:2507.19457) lets a model reflect on failed cases and rewrite the prompt, keeping those rewrites
that win on some case. Candidates become versions that are not in effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from windlass.errors import BudgetExceeded, InputError, TemplateError, WindlassError
from windlass.extras import missing_extra
from windlass.prompt.cases import Case, CaseResult, RunCase
from windlass.prompt.records import PromptStore

#: The one component of a GEPA candidate.
_PART = "prompt"
_T = TypeVar("_T")


@dataclass(frozen=True)
class Reflected:
    """A model's answer to a reflection request, and what it cost: millionths of a USD, None with no known price."""

    text: str
    cost_micro: int | None = None


#: Answers a reflection request; calls a model, real or scripted.
Reflect = Callable[[str], Awaitable[Reflected]]


@dataclass(frozen=True)
class Candidate:
    """A text the search kept: its version, the one it was made from, and its mean score on the cases."""

    version_no: int
    parent_version_no: int
    score: float


@dataclass(frozen=True)
class Optimised:
    """What a search came to. ``base_score`` is the starting version's; costs in millionths of a USD."""

    base_version_no: int
    base_score: float
    candidates: Sequence[Candidate]
    texts_tried: int
    case_runs: int
    spent_micro: int


async def optimise(
    store: PromptStore,
    name: str,
    cases: Sequence[Case],
    run_case: RunCase,
    reflect: Reflect,
    *,
    max_case_runs: int = 200,
    budget_micro: int | None = None,
    keep: int = 2,
    seed: int = 0,
    author: str | None = None,
) -> Optimised:
    """Search from the version in effect and add the best ``keep`` texts that beat it on ``cases``.

    Hold other cases back to compare them on. ``max_case_runs`` bounds the runs of ``run_case``, with at
    most one round over the cases more. The search ends early when ``budget_micro`` is spent, on cases and reflections
    together, or BudgetExceeded is raised. A text that a live version has already is not added again. ConfigError when the extra is not installed, InputError without
    enough cases.
    """
    try:
        from gepa.api import optimize
    except ImportError:
        raise missing_extra("Searching for prompts", "optimise") from None
    if len(cases) < 2:
        raise InputError("At least two cases are needed to learn from.")
    base = await asyncio.to_thread(store.effective, name)
    if base.version_no is None:
        raise InputError(f"Prompt {name!r} has no version to start from.")
    search = _Search(store, name, run_case, reflect, asyncio.get_running_loop(), budget_micro)
    half = len(cases) // 2
    gepa: Any = optimize
    result = await asyncio.to_thread(
        gepa,
        seed_candidate={_PART: base.content},
        trainset=list(cases[:half]),
        valset=list(cases[half:]),
        adapter=search,
        reflection_lm=search.reflection,
        max_metric_calls=max_case_runs,
        stop_callbacks=[search.is_over],
        logger=_Silent(),
        display_progress_bar=False,
        seed=seed,
    )
    if search.failure is not None:
        raise search.failure
    scores = list(result.val_aggregate_scores)
    texts = [candidate[_PART] for candidate in result.candidates]
    better = [
        index
        for index, text in enumerate(texts)
        # A model may come up with the same text twice: the first has the shorter line of ancestors.
        if texts.index(text) == index and scores[index] > scores[0] and search.fits(text)
    ]
    best = sorted(sorted(better, key=lambda index: (-scores[index], index))[:keep])
    have = {v.content: v for v in reversed(await asyncio.to_thread(store.versions, name))}
    numbers: dict[int, int] = {0: base.version_no}
    found = []
    for index in best:  # parents come before their children
        parent = _nearest(result.parents, index, numbers)
        known = have.get(texts[index])
        if known is not None:
            numbers[index], parent = known.version_no, known.parent_version_no or parent
        else:
            numbers[index] = await asyncio.to_thread(
                store.add,
                name,
                texts[index],
                note=f"GEPA: {scores[index]:.2f} against {scores[0]:.2f} on {len(cases) - half} cases",
                author=author,
                origin="optimiser",
                parent=parent,
            )
        found.append(Candidate(numbers[index], parent, scores[index]))
    return Optimised(
        base.version_no, scores[0], found, len(result.candidates), search.case_runs, search.spent
    )


def _nearest(parents: Sequence[Sequence[int | None]], index: int, numbers: Mapping[int, int]) -> int:
    """The number of the closest ancestor that became a version."""
    while index not in numbers:
        index = next((parent for parent in parents[index] if parent is not None), 0)
    return numbers[index]


class _Silent:
    def log(self, message: str) -> None:
        """GEPA would print."""


class _Search:
    """GEPA's adapter. It runs in a thread of its own and hands every call to the event loop."""

    #: GEPA then writes its own reflection prompts.
    propose_new_texts = None

    def __init__(
        self,
        store: PromptStore,
        name: str,
        run_case: RunCase,
        reflect: Reflect,
        loop: asyncio.AbstractEventLoop,
        budget: int | None,
    ) -> None:
        self._store, self._name = store, name
        self._run_case, self._reflect, self._loop = run_case, reflect, loop
        self._budget = budget
        self._over = False
        self.failure: Exception | None = None
        self.spent = self.case_runs = 0

    def is_over(self, state: object) -> bool:
        """Tells GEPA to stop."""
        return self._over or (self._budget is not None and self.spent >= self._budget)

    def fits(self, text: str) -> bool:
        """Whether the store would take this text as a version."""
        return self._misfit(text) is None

    def _misfit(self, text: str) -> str | None:
        try:
            self._store.check(self._name, text)
        except TemplateError as error:
            return str(error)
        return None

    def evaluate(self, batch: list[Case], candidate: dict[str, str], capture_traces: bool = False) -> Any:
        """Run a candidate on cases; one that cannot be a version fails them all without a call."""
        from gepa.core.adapter import EvaluationBatch

        text = candidate[_PART]
        misfit = self._misfit(text)
        if misfit is not None:
            results = [CaseResult("fail", 0, misfit)] * len(batch)
        else:
            results = self._in_loop(self._run_all(text, batch))
        return EvaluationBatch(
            outputs=results,
            scores=[float(result.outcome == "pass") for result in results],
            trajectories=list(zip(batch, results, strict=True)) if capture_traces else None,
        )

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> dict[str, list[dict[str, Any]]]:
        """What the reflecting model is shown: the case, and what was said about the answer."""
        records = [
            {
                "Inputs": {key: str(value) for key, value in case.data.items()},
                "Generated Outputs": result.detail or "",
                "Feedback": f"The answer counted as: {result.outcome}.",
            }
            for case, result in eval_batch.trajectories
        ]
        return dict.fromkeys(components_to_update, records)

    def reflection(self, prompt: str) -> str:
        """Answer a reflection request of GEPA's."""
        if self._over:
            return ""
        return self._in_loop(self._reflected(prompt))

    async def _reflected(self, prompt: str) -> str:
        try:
            found = await self._reflect(prompt)
            self.spent += found.cost_micro or 0
            return found.text
        except BudgetExceeded:
            self._over = True
            return ""
        except WindlassError as error:
            # Without a reflecting model there is no search; GEPA would go on for ever.
            self._over, self.failure = True, error
            return ""

    async def _run_all(self, text: str, batch: Sequence[Case]) -> list[CaseResult]:
        return list(await asyncio.gather(*(self._run(text, case) for case in batch)))

    async def _run(self, text: str, case: Case) -> CaseResult:
        if self._over:
            return CaseResult("error", 0, "not run: the budget is spent")
        try:
            result = await self._run_case(text, case)
        except BudgetExceeded as error:
            self._over = True
            return CaseResult("error", 0, str(error))
        except WindlassError as error:
            result = CaseResult("error", None, str(error))
        self.case_runs += 1
        self.spent += result.cost_micro or 0
        return result

    def _in_loop(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
