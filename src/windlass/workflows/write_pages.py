"""One file of many pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.config import WorkflowTemplateStepsConfig
from windlass.journal import RunRecord
from windlass.plan import PlanStep
from windlass.step import StepContext
from windlass.steps.documents import DocumentState, FileWork
from windlass.steps.find_files import FindFilesStep, settled_target
from windlass.steps.pages import DefinePagesStep, PageStep, the_file
from windlass.steps.summarise import SummariseStep
from windlass.workflows.documents import DocumentWorkflow
from windlass.workflows.given import check_given
from windlass.workflows.options import checker
from windlass.workflows.plans import MAX_PAGES, WRITE_PAGES, page_step, pages_steps
from windlass.workflows.targets import check_target
from windlass.workspace import Workspace


class FindFileStep(FindFilesStep):
    """Asks for the one file that is to be written."""

    title = "Find File"
    description = "Find out which file to write"
    at_most = 1


WRITE_PAGES_CONFIG: WorkflowTemplateStepsConfig = {
    "workspace_path": "",
    "steps": {
        "find_file_step": {"step_class": FindFileStep},
        "define_step": {"step_class": DefinePagesStep},
        "page_step": {"step_class": PageStep},
        "summary_step": {"step_class": SummariseStep},
    },
}


class WritePagesWorkflow(DocumentWorkflow):
    """Defines n pages, writes them in order, each knowing those before it, and saves them in one write."""

    key = "write-pages"
    name = "write_pages_workflow"
    title = WRITE_PAGES
    config = WRITE_PAGES_CONFIG

    def planned(self) -> list[PlanStep]:
        """The plan a run begins with."""
        options = self.options
        return pages_steps(options.message, options.pages, options.files, options.context, options.model)

    async def work(self, ctx: StepContext[DocumentState]) -> None:
        """Find the file, define the pages, write each."""
        options = self.options
        if options.pages_asked > options.pages:
            ctx.effects.log.notice(
                f"{options.pages_asked} pages were asked for; one run writes at most {MAX_PAGES}, so it writes {MAX_PAGES}."
            )
        if options.to:
            ctx.state.work["1"] = FileWork(await settled_target(ctx, options.to))
        else:
            await self._run_step(ctx, self.tree["find_file_step"])
        await self._run_step(ctx, self.tree["define_step"])
        for number in range(1, options.pages + 1):
            await ctx.run(self.tree["page_step"], key=str(number), module=page_step(number).module)

    def facts(self, state: DocumentState) -> str:
        """What was written, from the records alone."""
        file = the_file(state)
        words = len((file.text or "").split())
        count = len(state.page_texts)
        return f"{file.path}: {file.change}, {count} page{'' if count == 1 else 's'}, {words:,} words."


check_options = checker("write-pages")


async def check_workspace(options: Mapping[str, Any], workspace: Workspace) -> None:
    """Raises InputError where what it is given is not there, or what it is to write cannot be written."""
    await check_given(options, workspace)
    await check_target(options, workspace)


def build(record: RunRecord) -> WritePagesWorkflow:
    """The workflow of a stored run."""
    return WritePagesWorkflow.of(record)
