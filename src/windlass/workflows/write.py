"""Find the files that a message wants, plan each, write each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.config import WorkflowTemplateStepsConfig
from windlass.journal import RunRecord
from windlass.plan import PlanStep
from windlass.step import StepContext
from windlass.steps.documents import DocumentState, FileWork
from windlass.steps.fanout import each_file
from windlass.steps.find_files import FindFilesStep, settled_target
from windlass.steps.planning import PlanFileStep
from windlass.steps.summarise import SummariseStep
from windlass.steps.writing import WriteFileStep
from windlass.workflows.documents import DocumentWorkflow
from windlass.workflows.given import check_given
from windlass.workflows.options import checker
from windlass.workflows.plans import WRITE, write_steps
from windlass.workflows.targets import check_target
from windlass.workspace import Workspace

WRITE_CONFIG: WorkflowTemplateStepsConfig = {
    "workspace_path": "",
    "steps": {
        "find_files_step": {"step_class": FindFilesStep},
        "planning_step": {"step_class": PlanFileStep},
        "writing_step": {"step_class": WriteFileStep},
        "summary_step": {"step_class": SummariseStep},
    },
}


class WriteWorkflow(DocumentWorkflow):
    """Writes the files that a message asks for, side by side, each from a plan and its present content."""

    key = "write"
    name = "write_workflow"
    title = WRITE
    config = WRITE_CONFIG

    def planned(self) -> list[PlanStep]:
        """The plan a run begins with: that of one file. It grows by what is found."""
        options = self.options
        return write_steps(options.message, options.files, options.context, options.model)

    async def work(self, ctx: StepContext[DocumentState]) -> None:
        """Find, then plan and write each file."""
        state = ctx.state
        if self.options.to:
            state.work["1"] = FileWork(await settled_target(ctx, self.options.to))
        else:
            await self._run_step(ctx, self.tree["find_files_step"])
        planning, writing = self.tree["planning_step"], self.tree["writing_step"]
        self.grow(
            ctx,
            [
                PlanStep(
                    f"{step.path}[{key}]",
                    step.title,
                    f"{step.description} {file.path}",
                    {"file_name": file.path},
                )
                for key, file in state.work.items()
                for step in (planning, writing)
            ],
        )

        async def one(ctx: StepContext[DocumentState], key: str, file: FileWork) -> None:
            await ctx.run(planning, key=key)
            await ctx.run(writing, key=key)

        await each_file(ctx, one)


check_options = checker("write")


async def check_workspace(options: Mapping[str, Any], workspace: Workspace) -> None:
    """Raises InputError where what it is given is not there, or what it is to write cannot be written."""
    await check_given(options, workspace)
    await check_target(options, workspace)


def build(record: RunRecord) -> WriteWorkflow:
    """The workflow of a stored run."""
    return WriteWorkflow.of(record)
