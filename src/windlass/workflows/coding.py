"""From a requirement to tested code."""

from __future__ import annotations

from windlass.config import WorkflowTemplateStepsConfig
from windlass.effects import Effects
from windlass.journal import RunRecord
from windlass.llm.base import BaseLLMIntegration
from windlass.llm.registry import LLMIntegrationRegistry
from windlass.step import StepContext
from windlass.steps.context import CodingOptions, CodingState
from windlass.steps.design import ArchitectureDesignStep
from windlass.steps.implementation import ImplementationStep
from windlass.steps.requirement import RefineStep, RequirementStep
from windlass.steps.summary import SummaryStep, facts
from windlass.steps.testing import RepairStep, TestingStep
from windlass.steps.tests import TestGenerationStep
from windlass.workflow import StepWorkflow
from windlass.workflows.given import check_given_code
from windlass.workflows.options import check_coding
from windlass.workflows.standalone import standalone_effects
from windlass.workspace import WorkspaceSetting

#: The steps of the coding workflow, in the order they run.
WORKFLOW_CONFIG: WorkflowTemplateStepsConfig = {
    "workspace_path": "",
    "steps": {
        "requirement_step": {
            "step_class": RequirementStep,
            "steps": {"refine": {"step_class": RefineStep}},
        },
        "design_step": {"step_class": ArchitectureDesignStep},
        "test_generation_step": {"step_class": TestGenerationStep},
        "implementation_step": {"step_class": ImplementationStep},
        "testing_step": {"step_class": TestingStep, "steps": {"repair": {"step_class": RepairStep}}},
        "summary_step": {"step_class": SummaryStep},
    },
}


class AutomatedCodingWorkflow(StepWorkflow[CodingState]):
    """Requirement → design → tests → implementation → testing with repair → summary.

    ``workspace_setting`` says where the files are; ``requirement`` or ``options`` what is wanted. A model comes as
    ``llm_integration`` (for every role) or as a registry with the names ``main`` and ``fast``.
    """

    name = "automated_coding_workflow"
    title = "Coding Workflow"
    config = WORKFLOW_CONFIG

    def __init__(
        self,
        workspace_setting: WorkspaceSetting,
        *,
        requirement: str = "",
        options: CodingOptions | None = None,
        llm_integration: BaseLLMIntegration | None = None,
        llm_integration_registry: LLMIntegrationRegistry | None = None,
        run_id: str | None = None,
    ) -> None:
        super().__init__(run_id=run_id, llm_integration=llm_integration)
        self.workspace_setting = workspace_setting
        self.llm_integration_registry = llm_integration_registry or LLMIntegrationRegistry()
        if llm_integration is not None:
            for role in ("main", "fast", "judge"):
                self.llm_integration_registry.add(role, llm_integration)
        self.options = options or CodingOptions(requirement=requirement, assume_yes=True)

    def new_state(self) -> CodingState:
        """A fresh state around the options."""
        return CodingState(self.options, self.options.requirement)

    async def default_effects(self) -> Effects:
        """A journal and prompts in memory; real files and a real sandbox."""
        return await standalone_effects(
            self.id, self.title, self.workspace_setting, self.llm_integration_registry
        )

    async def prepare(self, ctx: StepContext[CodingState]) -> None:
        """Bring in the files that were named from outside the workspace."""
        if self.options.imports:
            inputs = ctx.at("inputs")
            await inputs.write(dict(self.options.imports))

    def summary_of(self, state: CodingState) -> str | None:
        """The summary step's text; else what was really run, and why it ended."""
        if state.summary and self.error is None:
            return state.summary
        if self.error is not None:
            return f"{facts(state)} {self.error}"
        return None


check_options = check_coding

check_workspace = check_given_code


def build(record: RunRecord) -> AutomatedCodingWorkflow:
    """The workflow of a stored run."""
    options = record.options
    return AutomatedCodingWorkflow(
        WorkspaceSetting(record.workspace),
        options=CodingOptions(
            requirement=options["requirement"],
            files=tuple(options.get("files", ())),
            tests=tuple(options.get("tests", ())),
            max_repairs=int(options.get("max_repairs", 3)),
            assume_yes=bool(options.get("yes")),
            imports=dict(options.get("imports", {})),
        ),
        run_id=record.run_id,
    )
