"""Language models: the seam, the registry, live models and scripted sessions."""

from windlass.llm.base import BaseLLMIntegration, CallTags, Message, Price, Reply, Usage
from windlass.llm.config import ModelConfig, Timeouts
from windlass.llm.policy import Asker, Attempts, RetryPolicy
from windlass.llm.registry import LLMIntegrationRegistry

__all__ = [
    "Asker",
    "Attempts",
    "BaseLLMIntegration",
    "CallTags",
    "LLMIntegrationRegistry",
    "Message",
    "ModelConfig",
    "Price",
    "Reply",
    "RetryPolicy",
    "Timeouts",
    "Usage",
]
