"""Runs two versions of a prompt on the same cases and says which is better, and how sure that is.

What a case is and how an answer is judged is the caller's: ``run_case(text, case)`` makes the calls and
says pass, fail or error. Every result is kept as soon as it is there, so a comparison that was stopped
goes on where it was; only errors are tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from windlass.errors import BudgetExceeded, InputError, WindlassError
from windlass.evidence import ALPHA, MIN_DISCORDANT, Comparison, Tally
from windlass.prompt.cases import Case, CaseResult, RunCase
from windlass.prompt.records import VersionedPrompt


class ResultBook(Protocol):
    """Where the results of one comparison are kept."""

    def results(self) -> Mapping[tuple[str, int], CaseResult]:
        """What is known so far, by case id and version number."""

    def record(self, case_id: str, version_no: int, result: CaseResult) -> None:
        """Keep a result; in place of an earlier one."""

    def conclude(self, comparison: Comparison) -> None:
        """Keep what the comparison says now."""


class MemoryBook:
    """A :class:`ResultBook` that is forgotten with the process."""

    def __init__(self) -> None:
        self._results: dict[tuple[str, int], CaseResult] = {}
        self.comparison: Comparison | None = None

    def results(self) -> Mapping[tuple[str, int], CaseResult]:
        """See :class:`ResultBook`."""
        return dict(self._results)

    def record(self, case_id: str, version_no: int, result: CaseResult) -> None:
        """See :class:`ResultBook`."""
        self._results[case_id, version_no] = result

    def conclude(self, comparison: Comparison) -> None:
        """See :class:`ResultBook`."""
        self.comparison = comparison


@dataclass(frozen=True)
class Compared:
    """What came of :func:`compare`: why it ended, and what this call (not an earlier one) spent.

    ``problem`` is what the last case that ended in an error said; such cases are tried again next time.
    """

    comparison: Comparison
    ended: Literal["decided", "all cases", "budget"]
    ran: int
    spent_micro: int
    problem: str | None = None


async def compare(
    old: VersionedPrompt,
    new: VersionedPrompt,
    cases: Sequence[Case],
    run_case: RunCase,
    book: ResultBook,
    *,
    alpha: float = ALPHA,
    min_discordant: int = MIN_DISCORDANT,
    cost_cap: float | None = None,
    budget_micro: int | None = None,
    side_by_side: int = 4,
    until_decided: bool = True,
    on_progress: Callable[[Comparison], None] | None = None,
) -> Compared:
    """Run both versions on the cases, in order, until it is decided, the cases end or the budget does.

    ``side_by_side`` cases run at once, both versions of each together. A case is not started when the
    dearest call so far, for all that run, could pass ``budget_micro``. A WindlassError of ``run_case``
    counts as the result ``error``; BudgetExceeded ends the comparison. Compare k new versions with
    ``alpha`` / k each.
    """
    if len({case.id for case in cases}) < len(cases):
        raise InputError("Two cases have the same id; a result could not be told from the other's.")
    if old.version_no == new.version_no:
        raise InputError(f"Version {old.version_no} cannot be compared with itself.")
    work = _Work(old, new, cases, run_case, book, budget_micro, await asyncio.to_thread(book.results))

    def now() -> Comparison:
        return work.comparison(alpha, min_discordant, cost_cap)

    running: set[asyncio.Task[None]] = set()
    waiting = iter([case for case in cases if work.missing(case)])
    ended: Literal["decided", "all cases", "budget"] = "all cases"
    exhausted = False
    try:
        while True:
            # What is running when it is decided is waited for, because it is paid for, and may undo the
            # decision. So it always rests on the cases in their order: were quick answers counted alone,
            # slow failures would come too late to matter.
            settled = until_decided and now().decision != "not enough"
            while not settled and not exhausted and len(running) < side_by_side:
                if not work.affordable(len(running) + 1):
                    ended, exhausted = "budget", True
                    break
                case = next(waiting, None)
                if case is None:
                    exhausted = True
                    break
                running.add(asyncio.create_task(work.run(case)))
            if not running:
                ended = "decided" if settled else ended
                break
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                try:
                    task.result()
                except BudgetExceeded:
                    ended, exhausted = "budget", True
            if on_progress is not None:
                on_progress(now())
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    comparison = now()
    await asyncio.to_thread(book.conclude, comparison)
    return Compared(comparison, ended, work.ran, work.spent, work.problem)


class _Work:
    def __init__(
        self,
        old: VersionedPrompt,
        new: VersionedPrompt,
        cases: Sequence[Case],
        run_case: RunCase,
        book: ResultBook,
        budget: int | None,
        results: Mapping[tuple[str, int], CaseResult],
    ) -> None:
        self.versions = (old, new)
        self.cases = cases
        self.run_case = run_case
        self.book = book
        self.budget = budget
        self.results = dict(results)
        self.spent = self.ran = 0
        self.problem: str | None = None

    def missing(self, case: Case) -> list[VersionedPrompt]:
        return [version for version in self.versions if self._answer(case, version) is None]

    def affordable(self, pairs: int) -> bool:
        if self.budget is None:
            return True
        dearest = max((result.cost_micro or 0 for result in self.results.values()), default=0)
        return self.spent + 2 * pairs * dearest <= self.budget and self.spent < self.budget

    async def run(self, case: Case) -> None:
        outcomes = await asyncio.gather(
            *(self._run(case, version) for version in self.missing(case)), return_exceptions=True
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _run(self, case: Case, version: VersionedPrompt) -> None:
        try:
            result = await self.run_case(version.prompt_content, case)
        except BudgetExceeded:
            raise
        except WindlassError as error:
            result = CaseResult("error", None, str(error))
        self.ran += 1
        self.spent += result.cost_micro or 0
        if result.outcome == "error":
            self.problem = (
                f"case {case.id}, version {version.version_no}: {result.detail or 'it did not end'}"
            )
        self.results[case.id, version.version_no] = result
        await asyncio.to_thread(self.book.record, case.id, version.version_no, result)

    def _answer(self, case: Case, version: VersionedPrompt) -> bool | None:
        result = self.results.get((case.id, version.version_no))
        return None if result is None or result.outcome == "error" else result.outcome == "pass"

    def comparison(self, alpha: float, min_discordant: int, cost_cap: float | None) -> Comparison:
        old, new = self.versions
        pairs: list[tuple[bool, bool]] = []
        for case in self.cases:
            before, after = self._answer(case, old), self._answer(case, new)
            if before is not None and after is not None:
                pairs.append((before, after))
        return Comparison(
            old=self._tally(old),
            new=self._tally(new),
            both=pairs.count((True, True)),
            only_new=pairs.count((False, True)),
            only_old=pairs.count((True, False)),
            neither=pairs.count((False, False)),
            alpha=alpha,
            min_discordant=min_discordant,
            cost_cap=cost_cap,
        )

    def _tally(self, version: VersionedPrompt) -> Tally:
        mine = [self.results.get((case.id, version.version_no)) for case in self.cases]
        known = [result for result in mine if result is not None]
        outcomes = [result.outcome for result in known]
        return Tally(
            version_no=version.version_no,
            passes=outcomes.count("pass"),
            fails=outcomes.count("fail"),
            errors=outcomes.count("error"),
            cost_micro=sum(result.cost_micro or 0 for result in known),
            unpriced=sum(result.cost_micro is None for result in known if result.outcome != "error"),
        )
