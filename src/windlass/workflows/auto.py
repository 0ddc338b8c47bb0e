"""One thing done to each of many files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.config import WorkflowTemplateStepsConfig
from windlass.journal import RunRecord
from windlass.plan import PlanStep
from windlass.step import StepContext
from windlass.steps.documents import DocumentState, FileWork
from windlass.steps.fanout import each_file
from windlass.steps.process_file import ProcessFileStep
from windlass.steps.summarise import SummariseStep
from windlass.workflows.documents import DocumentWorkflow
from windlass.workflows.given import check_given
from windlass.workflows.options import checker
from windlass.workflows.plans import AUTO, auto_steps
from windlass.workspace import Workspace

AUTO_CONFIG: WorkflowTemplateStepsConfig = {
    "workspace_path": "",
    "steps": {
        "process_step": {"step_class": ProcessFileStep},
        "summary_step": {"step_class": SummariseStep},
    },
}


class AutoWorkflow(DocumentWorkflow):
    """Does what the message asks to each file by itself: n files cost n requests, each with its own file only."""

    key = "auto"
    name = "auto_workflow"
    title = AUTO
    config = AUTO_CONFIG

    def planned(self) -> list[PlanStep]:
        """The plan a run begins with: every file's step."""
        return auto_steps(self.options.files, self.options.context, self.options.model)

    def reference_names(self) -> Sequence[str]:
        """Only what was asked for beside the files themselves: no file is sent with another."""
        return self.options.references

    async def work(self, ctx: StepContext[DocumentState]) -> None:
        """Every file side by side."""
        process = self.tree["process_step"]
        ctx.state.work.update({name: FileWork(name) for name in self.options.files})

        async def one(ctx: StepContext[DocumentState], key: str, file: FileWork) -> None:
            await ctx.run(process, key=key)

        await each_file(ctx, one)


check_options = checker("auto")


async def check_workspace(options: Mapping[str, Any], workspace: Workspace) -> None:
    """Raises InputError for files that cannot be given; each is sent alone."""
    await check_given(options, workspace, one_by_one=True)


def build(record: RunRecord) -> AutoWorkflow:
    """The workflow of a stored run."""
    return AutoWorkflow.of(record)
