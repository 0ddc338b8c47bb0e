"""Language models: the seam, the registry, live models and scripted sessions."""

from windlass.llm.base import BaseLLMIntegration, CallTags, Message, Price, Reply, Usage
from windlass.llm.registry import LLMIntegrationRegistry

__all__ = [
    "BaseLLMIntegration",
    "CallTags",
    "LLMIntegrationRegistry",
    "Message",
    "Price",
    "Reply",
    "Usage",
]
