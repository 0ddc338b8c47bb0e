"""Models by name, built when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from windlass.errors import UnknownModel
from windlass.llm.base import BaseLLMIntegration, Factory


class LLMIntegrationRegistry:
    """Names to models. A factory given to :meth:`add` runs once, at the first :meth:`get`.

    ``on_demand`` makes a model for a name that nobody added, or raises UnknownModel.
    """

    def __init__(self, on_demand: Callable[[str], BaseLLMIntegration] | None = None) -> None:
        self._factories: dict[str, Factory] = {}
        self._built: dict[str, BaseLLMIntegration] = {}
        self._on_demand = on_demand

    def add(self, name: str, integration: BaseLLMIntegration | Factory) -> None:
        """Know a model under ``name``; a second ``add`` of the same name replaces the first."""
        if not name:
            raise UnknownModel("A model needs a name; give add() a non-empty one.")
        self._built.pop(name, None)
        self._factories.pop(name, None)
        if isinstance(integration, BaseLLMIntegration):
            self._built[name] = integration
        else:
            self._factories[name] = integration

    def get(self, name: str) -> BaseLLMIntegration:
        """The model of that name. Raises UnknownModel, which lists the known names."""
        if name not in self._built:
            self._built[name] = self._make(name)
        return self._built[name]

    def _make(self, name: str) -> BaseLLMIntegration:
        if name in self._factories:
            return self._factories[name]()
        if self._on_demand is not None:
            return self._on_demand(name)
        known = ", ".join(self) or "none yet"
        raise UnknownModel(f"No model is called {name!r}; known models: {known}.")

    def exists(self, name: str) -> bool:
        """Whether the name was added, or a model was made for it on demand."""
        return name in self._built or name in self._factories

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._built, *self._factories}))

    async def close(self) -> None:
        """Close every model that was built."""
        for integration in list(self._built.values()):
            await integration.close()
