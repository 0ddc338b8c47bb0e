"""How a prompt version does on a case: what ``prompts compare`` and ``prompts optimise`` run.

Two kinds of case, told apart by their keys:

``{"id", "requirement", "files"?: {path: text}, "tests": {path: text}, "targets"?: [path]}``
    a whole coding run with this version of the prompt; it passes when the given tests pass.
``{"id", "values": {variable: text}, "expect": {"contains"?: […], "excludes"?: […], "matches"?: regex, "json"?: true}}``
    one reply to the filled-in prompt; it passes when the reply is as expected.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.errors import InputError, ModelUnavailable, NotFound
from windlass.events import WorkflowStatus
from windlass.ids import derived_id
from windlass.journal import EntryState, RunRecord
from windlass.prompt.cases import Case, CaseResult, Verdict
from windlass.prompt.optimise import Reflected
from windlass.report import report
from windlass.typed import find_json

if TYPE_CHECKING:
    from windlass.app import App

#: So much of a reply (characters) is kept with a case that failed.
_SHOWN = 2000


@dataclass
class Trials:
    """Runs cases as ordinary journaled runs, whose ids follow from what they try: a stopped comparison
    goes on without asking again for a reply it has."""

    app: App
    prompt: str
    options: Mapping[str, Any]
    context: str
    #: One at a time for each run: the same case may be asked for twice at once.
    _at_work: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def run_case(self, text: str, case: Case) -> CaseResult:
        """See :data:`windlass.prompt.cases.RunCase`."""
        if "requirement" in case.data:
            workflow, options, title = "coding", self._coding(case), str(case.data["requirement"])
        else:
            workflow, options, title = "trial", dict(case.data), f"{self.prompt} on {case.id}"
        run_id = derived_id("trial", self.context, self.prompt, case.id, text)
        trial = {"prompt_texts": {self.prompt: text}, "case_id": case.id}
        title = f"Trial of {self.prompt}: {title}"
        async with self._at_work[run_id]:
            return await self._tried(run_id, workflow, title, {**options, **self.options, **trial})

    async def _tried(self, run_id: str, workflow: str, title: str, options: Mapping[str, Any]) -> CaseResult:
        record = await self._run(run_id, workflow, title, options)
        if await self._outcome(record) == "error":
            record = await self.app.execute(run_id, stream=False)
        outcome = await self._outcome(record)
        if outcome != "error":
            # A run that is tried again finds the files that it wrote.
            await asyncio.to_thread(shutil.rmtree, self._folder(run_id), ignore_errors=True)
        replies, cost = await self._spent(record)
        detail = None if outcome == "pass" else record.error
        if outcome == "fail" and replies:
            detail = f"{record.error}\nThe last reply:\n{replies[-1][:_SHOWN]}"
        return CaseResult(outcome, cost, detail)

    async def reflect(self, model: str | None, request: str) -> Reflected:
        """See :data:`windlass.prompt.optimise.Reflect`; a run like any other, so that its reply is kept and its cost told."""
        run_id = derived_id("reflection", self.context, self.prompt, model or "", request)
        given = {
            "values": {"request": request},
            "expect": {"matches": ""},
            "prompt_texts": {"reflection": "{{request}}"},
        }
        title = f"Reflection on {self.prompt}"
        record = await self._run(
            run_id, "trial", title, {**given, "model": model, "fast_model": None, "case_id": "reflection"}
        )
        if record.status is not WorkflowStatus.Success:
            record = await self.app.execute(run_id, stream=False)
        replies, cost = await self._spent(record)
        if record.status is not WorkflowStatus.Success or not replies:
            raise ModelUnavailable(f"The reflecting model gave no answer: {record.error}")
        await asyncio.to_thread(shutil.rmtree, self._folder(run_id), ignore_errors=True)
        return Reflected(replies[-1], cost)

    async def _run(self, run_id: str, workflow: str, title: str, options: Mapping[str, Any]) -> RunRecord:
        """The run of that id, made when there is none yet."""
        folder = self._folder(run_id)
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        try:
            return await self.app.journal.get_run(run_id)
        except NotFound:
            record = RunRecord(
                run_id, workflow, title[:200], workspace=str(folder), options={**options, "yes": True}
            )
            await self.app.journal.create_run(record)
            return record

    def _folder(self, run_id: str) -> Path:
        return self.app.settings.data_dir / "trials" / run_id

    async def _spent(self, record: RunRecord) -> tuple[list[str], int | None]:
        """The replies that came, and what they cost: millionths of a USD."""
        entries = await self.app.journal.entries(record.run_id)
        cost = report(record, entries, [])["usage"]["cost_usd"]
        replies = [str(e.result["text"]) for e in entries if e.kind == "model" and e.state is EntryState.DONE]
        return replies, None if cost is None else round(cost * 1_000_000)

    async def _outcome(self, record: RunRecord) -> Verdict:
        """What the run says of the prompt; ``error`` also while it has not ended."""
        if record.status is WorkflowStatus.Success:
            return "pass"
        if record.status is not WorkflowStatus.Failure:
            return "error"
        usages = await asyncio.to_thread(self.app.prompts.usages, record.run_id)
        return "fail" if any(usage.outcome == "fail" for usage in usages) else "error"

    def _coding(self, case: Case) -> dict[str, Any]:
        data = case.data
        files, tests = data.get("files") or {}, data.get("tests") or {}
        if not tests:
            raise InputError(f'Case {case.id}: a coding case needs "tests": {{path: text}} to be judged by.')
        return {
            "requirement": str(data["requirement"]),
            "imports": {**files, **tests},
            "files": list(data.get("targets") or files),
            "tests": list(tests),
            "max_repairs": int(data.get("max_repairs", 0)),
        }


def check_cases(cases: Iterable[Case]) -> None:
    """Raises InputError for the first case that is of neither kind, before anything is spent."""
    for case in cases:
        if "requirement" in case.data and isinstance(case.data.get("tests"), Mapping):
            continue
        if isinstance(case.data.get("values"), Mapping) and isinstance(case.data.get("expect"), Mapping):
            judge("", case.data["expect"])
            continue
        raise InputError(
            f"Case {case.id} needs either requirement and tests, or values and expect; see docs/reference/prompts.md."
        )


def judge(reply: str, expect: Mapping[str, Any]) -> str | None:
    """Why the reply is not as expected; None when it is. Raises InputError for an expectation nobody knows."""
    unknown = set(expect) - {"contains", "excludes", "matches", "json"}
    if unknown or not expect:
        raise InputError(
            f"expect takes contains, excludes, matches and json, not {', '.join(sorted(unknown)) or 'nothing'}."
        )
    for text in expect.get("contains", ()):
        if text not in reply:
            return f"the reply does not contain {text!r}"
    for text in expect.get("excludes", ()):
        if text in reply:
            return f"the reply contains {text!r}"
    if "matches" in expect:
        try:
            if not re.search(expect["matches"], reply):
                return f"the reply does not match {expect['matches']!r}"
        except re.error as error:
            raise InputError(f"expect.matches is no regular expression: {error}.") from None
    if expect.get("json"):
        try:
            find_json(reply)
        except ValueError as error:
            return str(error)
    return None
