"""One answer to a message."""

from __future__ import annotations

from windlass.config import WorkflowTemplateStepsConfig
from windlass.journal import RunRecord
from windlass.plan import PlanStep
from windlass.step import StepContext
from windlass.steps.chat import ChatStep
from windlass.steps.documents import DocumentState
from windlass.workflows.documents import DocumentWorkflow
from windlass.workflows.given import check_given
from windlass.workflows.options import checker
from windlass.workflows.plans import CHAT, chat_steps

CHAT_CONFIG: WorkflowTemplateStepsConfig = {
    "workspace_path": "",
    "steps": {"chat_step": {"step_class": ChatStep}},
}


class ChatWorkflow(DocumentWorkflow):
    """Answers a message, given files and earlier exchanges."""

    key = "chat"
    name = "chat_workflow"
    title = CHAT
    config = CHAT_CONFIG

    def planned(self) -> list[PlanStep]:
        """The plan a run begins with."""
        options = self.options
        return chat_steps(options.message, options.files, options.context, options.model)

    async def work(self, ctx: StepContext[DocumentState]) -> None:
        """The answer."""
        await self._run_step(ctx, self.tree["chat_step"])

    def summary_of(self, state: DocumentState) -> str | None:
        """The answer itself."""
        return state.answer or None


check_options = checker("chat")

check_workspace = check_given


def build(record: RunRecord) -> ChatWorkflow:
    """The workflow of a stored run."""
    return ChatWorkflow.of(record)
