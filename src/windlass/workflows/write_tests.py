"""Tests for files that exist: written, run, repaired."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from windlass.config import WorkflowTemplateStepsConfig
from windlass.errors import StepFailed
from windlass.journal import RunRecord
from windlass.plan import PlanStep
from windlass.step import StepContext
from windlass.steps.context import bullets
from windlass.steps.documents import DocumentState, FileWork
from windlass.steps.fanout import each_file
from windlass.steps.file_tests import (
    EdgeCasesStep,
    NameTestsStep,
    RepairTestsStep,
    RunTestsStep,
    TestWork,
    WriteTestsStep,
)
from windlass.steps.naming_tests import coverage_facts
from windlass.steps.summarise import SummariseStep
from windlass.steps.testing import count
from windlass.workflows.documents import DocumentWorkflow
from windlass.workflows.given import check_given
from windlass.workflows.options import checker
from windlass.workflows.plans import WRITE_TESTS, tests_steps
from windlass.workflows.targets import check_test_target
from windlass.workspace import Workspace


class SummariseTestsStep(SummariseStep):
    """Sums up what is really covered."""

    title = "Summarize Tests"


WRITE_TESTS_CONFIG: WorkflowTemplateStepsConfig = {
    "workspace_path": "",
    "steps": {
        "name_step": {"step_class": NameTestsStep},
        "tests_step": {"step_class": WriteTestsStep},
        "edges_step": {"step_class": EdgeCasesStep},
        "run_step": {"step_class": RunTestsStep},
        "repair_step": {"step_class": RepairTestsStep},
        "summary_step": {"step_class": SummariseTestsStep},
    },
}


class WriteTestsWorkflow(DocumentWorkflow):
    """Writes tests for each file given, adds edge cases, runs them in the sandbox and repairs them."""

    key = "write-tests"
    name = "write_tests_workflow"
    title = WRITE_TESTS
    config = WRITE_TESTS_CONFIG

    def planned(self) -> list[PlanStep]:
        """The plan a run begins with: that of one file. It grows by what the run does."""
        options = self.options
        return tests_steps(options.message, options.files, options.context, options.model)

    def reference_names(self) -> tuple[str, ...]:
        """Only what was given beside the files under test: no file is sent with another."""
        return self.options.references

    async def work(self, ctx: StepContext[DocumentState]) -> None:
        """Name, then each file: write, edge cases, run, repair."""
        await self._run_step(ctx, self.tree["name_step"])
        works = ctx.state.work
        self.grow(
            ctx,
            [
                PlanStep(
                    f"{self.tree[step].path}[{key}]",
                    self.tree[step].title,
                    f"{self.tree[step].description} ({work.path})",
                    {"file_name": work.path},
                )
                for key, work in works.items()
                for step in ("tests_step", "edges_step", "run_step")
            ],
        )
        # Sandboxes are processes that compute; more of them than processors only slow each other down.
        room = asyncio.Semaphore(max(2, os.cpu_count() or 2))

        async def one(ctx: StepContext[DocumentState], key: str, work: FileWork) -> None:
            assert isinstance(work, TestWork)
            await self._one(ctx, key, work, room)

        await each_file(ctx, one)

    async def _one(
        self, ctx: StepContext[DocumentState], key: str, work: TestWork, room: asyncio.Semaphore
    ) -> None:
        await ctx.run(self.tree["tests_step"], key=key)
        await ctx.run(self.tree["edges_step"], key=key)
        async with room:
            await ctx.run(self.tree["run_step"], key=key)
        seen: set[str] = set()
        while work.report is not None and not work.report.ok:
            if work.report.signature in seen or work.repairs >= self.options.max_repairs:
                why = (
                    "the same failure came twice"
                    if work.report.signature in seen
                    else count(work.repairs, "repair")
                )
                raise StepFailed(f"The tests in {work.path} still fail ({why}): {work.report.outcome}")
            seen.add(work.report.signature)
            work.repairs += 1
            async with room:
                await ctx.run(
                    self.tree["repair_step"],
                    key=f"{key}.{work.repairs}",
                    module=f"Repair Tests {work.repairs}",
                )

    def facts(self, state: DocumentState) -> str:
        """What was written and how running it went, from the records alone."""
        return bullets([fact(work) for work in state.work.values() if isinstance(work, TestWork)])


def fact(work: TestWork) -> str:
    """What became of one file's tests."""
    parts = [f"{work.source} → {work.path}"]
    if work.error:
        parts.append(f"failed: {work.error}")
        return ": ".join(parts)
    if work.report is not None:
        told = work.report.outcome
        parts.append(told if not work.repairs else f"{told}, after {count(work.repairs, 'repair')}")
    else:
        parts.append(work.not_run or "not run")
    covered = coverage_facts(work.source_text, work.text or "")
    return ": ".join(parts) + (f"; {covered}" if covered else "")


check_options = checker("write-tests")


async def check_workspace(options: Mapping[str, Any], workspace: Workspace) -> None:
    """Raises InputError where what it is given is not there, or what it is to write cannot be written."""
    await check_given(options, workspace, one_by_one=True)
    await check_test_target(options, workspace)


def build(record: RunRecord) -> WriteTestsWorkflow:
    """The workflow of a stored run."""
    return WriteTestsWorkflow.of(record)
