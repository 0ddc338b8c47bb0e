"""Prompts: templates with strict variables, numbered versions, and the protocol of what stores them."""

from windlass.prompt.memory import MemoryPromptStore
from windlass.prompt.mixin import PromptVersioningMixin, default_store, set_default_store
from windlass.prompt.records import (
    Drift,
    Origin,
    Outcome,
    PromptStore,
    PromptUsage,
    Resolved,
    Source,
    Switch,
    SwitchKind,
    VersionedPrompt,
    VersionInfo,
    VersionStats,
)
from windlass.prompt.template import PromptTemplate, PromptTemplateVariable, VariableSource, placeholders

__all__ = [
    "Drift",
    "MemoryPromptStore",
    "Origin",
    "Outcome",
    "PromptStore",
    "PromptTemplate",
    "PromptTemplateVariable",
    "PromptUsage",
    "PromptVersioningMixin",
    "Resolved",
    "Source",
    "Switch",
    "SwitchKind",
    "VariableSource",
    "VersionInfo",
    "VersionStats",
    "VersionedPrompt",
    "default_store",
    "placeholders",
    "set_default_store",
]
