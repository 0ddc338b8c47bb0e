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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from windlass.errors import InputError, NotFound
from windlass.events import WorkflowStatus
from windlass.ids import derived_id
from windlass.journal import EntryState, RunRecord
from windlass.prompt.cases import Case, CaseResult
from windlass.report import report
from windlass.typed import find_json

if TYPE_CHECKING:
    from windlass.app import App


@dataclass
class Trials:
    """Runs cases as ordinary journaled runs, whose ids follow from what they try: a stopped comparison
    goes on without asking again for a reply it has."""

    app: App
    prompt: str
    options: Mapping[str, Any]
    context: str

    async def run_case(self, text: str, case: Case) -> CaseResult:
        """See :data:`windlass.prompt.cases.RunCase`."""
        if "requirement" in case.data:
            workflow, options, title = "coding", self._coding(case), str(case.data["requirement"])
        else:
            workflow, options, title = "trial", dict(case.data), f"{self.prompt} on {case.id}"
        run_id = derived_id("trial", self.context, self.prompt, case.id, text)
        folder = self.app.settings.data_dir / "trials" / run_id
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        try:
            record = await self.app.journal.get_run(run_id)
        except NotFound:
            record = RunRecord(
                run_id,
                workflow,
                f"Trial of {self.prompt}: {title}"[:200],
                workspace=str(folder),
                options={
                    **options,
                    **self.options,
                    "yes": True,
                    "prompt_texts": {self.prompt: text},
                    "case_id": case.id,
                },
            )
            await self.app.journal.create_run(record)
        if record.status not in (WorkflowStatus.Success, WorkflowStatus.Failure):
            record = await self.app.execute(run_id, stream=False)
        entries = await self.app.journal.entries(run_id)
        usage = report(record, entries, [])["usage"]
        cost = None if usage["cost_usd"] is None else round(usage["cost_usd"] * 1_000_000)
        calls = [e for e in entries if e.kind == "model"]
        broken = bool(calls) and calls[-1].state is not EntryState.DONE
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        if record.status is WorkflowStatus.Success:
            return CaseResult("pass", cost)
        return CaseResult("error" if broken or not calls else "fail", cost, record.error)

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
