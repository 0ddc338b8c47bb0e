"""Windlass: coding and writing workflows made of steps, run by language models."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from windlass.api import Going, RunResult, aresume, arun, resume, run
    from windlass.config import StepsTemplateConfig, WorkflowTemplateStepsConfig
    from windlass.errors import InputError, ReplyError, UnsafePath, WindlassError, WorkflowExecutionError
    from windlass.events import Event, WorkflowStatus
    from windlass.ids import UniqueIDGenerator
    from windlass.llm import BaseLLMIntegration, LLMIntegrationRegistry
    from windlass.prompt import PromptTemplate, PromptTemplateVariable, PromptVersioningMixin, VersionedPrompt
    from windlass.replies import parse_list, parse_reply
    from windlass.step import BaseStep, StepContext
    from windlass.steps.design import ArchitectureDesignStep
    from windlass.steps.requirement import RequirementStep
    from windlass.workflow import BaseWorkflow
    from windlass.workflows.coding import WORKFLOW_CONFIG, AutomatedCodingWorkflow
    from windlass.workspace import WorkspaceSetting, check_path

__version__ = "0.1.0"

__all__ = [
    "WORKFLOW_CONFIG",
    "ArchitectureDesignStep",
    "AutomatedCodingWorkflow",
    "BaseLLMIntegration",
    "BaseStep",
    "BaseWorkflow",
    "Event",
    "Going",
    "InputError",
    "LLMIntegrationRegistry",
    "PromptTemplate",
    "PromptTemplateVariable",
    "PromptVersioningMixin",
    "ReplyError",
    "RequirementStep",
    "RunResult",
    "StepContext",
    "StepsTemplateConfig",
    "UniqueIDGenerator",
    "UnsafePath",
    "VersionedPrompt",
    "WindlassError",
    "WorkflowExecutionError",
    "WorkflowStatus",
    "WorkflowTemplateStepsConfig",
    "WorkspaceSetting",
    "__version__",
    "aresume",
    "arun",
    "check_path",
    "parse_list",
    "parse_reply",
    "resume",
    "run",
]

#: Where each name is: imported when it is first used, so that `import windlass` costs next to nothing.
_PLACES = {
    **dict.fromkeys(("Going", "RunResult", "aresume", "arun", "resume", "run"), "windlass.api"),
    **dict.fromkeys(("StepsTemplateConfig", "WorkflowTemplateStepsConfig"), "windlass.config"),
    **dict.fromkeys(
        ("InputError", "ReplyError", "UnsafePath", "WindlassError", "WorkflowExecutionError"),
        "windlass.errors",
    ),
    **dict.fromkeys(("Event", "WorkflowStatus"), "windlass.events"),
    **dict.fromkeys(("UniqueIDGenerator",), "windlass.ids"),
    **dict.fromkeys(("BaseLLMIntegration", "LLMIntegrationRegistry"), "windlass.llm"),
    **dict.fromkeys(
        ("PromptTemplate", "PromptTemplateVariable", "PromptVersioningMixin", "VersionedPrompt"),
        "windlass.prompt",
    ),
    **dict.fromkeys(("parse_list", "parse_reply"), "windlass.replies"),
    **dict.fromkeys(("BaseStep", "StepContext"), "windlass.step"),
    **dict.fromkeys(("ArchitectureDesignStep",), "windlass.steps.design"),
    **dict.fromkeys(("RequirementStep",), "windlass.steps.requirement"),
    **dict.fromkeys(("BaseWorkflow",), "windlass.workflow"),
    **dict.fromkeys(("AutomatedCodingWorkflow", "WORKFLOW_CONFIG"), "windlass.workflows.coding"),
    **dict.fromkeys(("WorkspaceSetting", "check_path"), "windlass.workspace"),
}


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _PLACES:
        raise AttributeError(f"module 'windlass' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
