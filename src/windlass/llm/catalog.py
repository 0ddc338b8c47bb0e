"""Names to models: the settings' roles and aliases, model strings, and scripted sessions."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from windlass.errors import ConfigError, UnknownModel
from windlass.llm import prices
from windlass.llm.base import BaseLLMIntegration, Price
from windlass.llm.config import (
    PROVIDERS,
    ModelConfig,
    Target,
    Timeouts,
    did_you_mean,
    missing_settings,
    resolve,
    split_model,
)
from windlass.llm.faults import install_hint
from windlass.llm.live import LiveModel
from windlass.llm.registry import LLMIntegrationRegistry
from windlass.llm.scripted import ScriptedModel

__all__ = ["ModelConfig", "ModelInfo", "Timeouts", "build_registry", "describe"]

#: Names a scripted session: a bundled one by name, else a file.
SCRIPTED = "scripted:"

#: Roles that use the main model where nothing is set for them.
_AS_MAIN = ("fast", "judge")

NO_MODEL = (
    "No model is set: set WINDLASS_MODEL or pass --model, for example openai:gpt-5-mini (with OPENAI_API_KEY) or "
    "ollama:qwen3; windlass demo needs none."
)


@dataclass(frozen=True)
class ModelInfo:
    """One line of ``windlass models``.

    ``missing`` says what must be done before the model can be asked, one sentence each; empty when it is ready as far
    as can be told without asking it.
    """

    name: str
    model: str
    roles: Sequence[str] = ()
    base_url: str | None = None
    price: Price = prices.UNKNOWN
    fallbacks: Sequence[str] = ()
    missing: Sequence[str] = ()


def build_registry(
    roles: Mapping[str, str],
    aliases: Mapping[str, ModelConfig],
    *,
    env: Mapping[str, str],
    defaults: ModelConfig | None = None,
) -> LLMIntegrationRegistry:
    """A registry that knows the roles and aliases, and makes a model for any model string when asked.

    ``roles`` names for each role an alias or a model string; ``fast`` and ``judge`` are the main model where they are
    not set. ``env`` holds the providers' variables. ``defaults`` is what a bare model string gets (its own ``model``
    is ignored). Building does no I/O. Raises ConfigError when fallbacks go round in a circle.
    """
    makers = _Makers(roles, aliases, env, defaults)
    for alias in aliases:
        makers.check_fallbacks(alias, ())
    registry = makers.registry
    for alias in aliases:
        registry.add(alias, lambda alias=alias: makers.live(aliases[alias]))  # type: ignore[misc]
    for role in {*roles, "main", *_AS_MAIN}:
        registry.add(role, lambda role=role: makers.of_role(role))  # type: ignore[misc]
    return registry


class _Makers:
    """Makes models; each name once, so that names for the same model share its limits."""

    def __init__(
        self,
        roles: Mapping[str, str],
        aliases: Mapping[str, ModelConfig],
        env: Mapping[str, str],
        defaults: ModelConfig | None,
    ) -> None:
        self._roles = roles
        self._aliases = aliases
        self._env = env
        self._defaults = defaults
        self.registry = LLMIntegrationRegistry(self.on_demand)

    def of_role(self, role: str) -> BaseLLMIntegration:
        name = _model_of(role, self._roles)
        if name is None:
            raise UnknownModel(NO_MODEL)
        if name in self._roles and name not in self._aliases:
            raise UnknownModel(f"The role {role!r} is set to {name!r}, which is a role too; give it a model.")
        return self.registry.get(name)

    def on_demand(self, name: str) -> BaseLLMIntegration:
        if name.startswith(SCRIPTED):
            return ScriptedModel.load(name.removeprefix(SCRIPTED))
        try:
            split_model(name)
        except UnknownModel as error:
            raise self._unknown(name, error) from None
        return self.live(replace(self._defaults or ModelConfig(name), model=name))

    def live(self, config: ModelConfig) -> BaseLLMIntegration:
        if config.model.startswith(SCRIPTED):
            return self.on_demand(config.model)
        model = LiveModel(config, resolve(config, self._env))
        model.fallbacks = tuple(self.registry.get(name) for name in config.fallbacks)
        return model

    def check_fallbacks(self, alias: str, above: tuple[str, ...]) -> None:
        if alias in above:
            raise ConfigError(
                f"The fallbacks of {alias!r} go round in a circle: {' → '.join((*above, alias))}."
            )
        config = self._aliases.get(alias)
        for name in config.fallbacks if config is not None else ():
            self.check_fallbacks(name, (*above, alias))

    def _unknown(self, name: str, error: UnknownModel) -> UnknownModel:
        if ":" in name:
            return error
        known = sorted({*self._aliases, *self._roles})
        ending = did_you_mean(name, known) if known else "; no aliases are set."
        return UnknownModel(
            f"No model is called {name!r}{ending} Any provider:name works too, for example openai:gpt-5-mini."
        )


def describe(
    roles: Mapping[str, str],
    aliases: Mapping[str, ModelConfig],
    *,
    env: Mapping[str, str],
    defaults: ModelConfig | None = None,
    numbers: bool = True,
) -> list[ModelInfo]:
    """Every alias, and every model string that a role names. No network, no import of a provider's package.

    ``numbers`` fills in the catalogue's prices, which loads the catalogue (about 0.5 s).
    """
    used: dict[str, list[str]] = {alias: [] for alias in aliases}
    for role in sorted({*roles, *(_AS_MAIN if "main" in roles else ())}):
        name = _model_of(role, roles)
        if name is not None:
            used.setdefault(name, []).append(role)
    infos = []
    for name, its_roles in used.items():
        config = aliases.get(name) or replace(defaults or ModelConfig(name), model=name)
        infos.append(_info(name, config, its_roles, env, numbers))
    return infos


def _info(
    name: str, config: ModelConfig, roles: Sequence[str], env: Mapping[str, str], numbers: bool
) -> ModelInfo:
    if config.model.startswith(SCRIPTED):
        return ModelInfo(name, config.model, tuple(roles), price=prices.FREE)
    try:
        target = resolve(config, env)
    except UnknownModel as error:
        return ModelInfo(name, config.model, tuple(roles), missing=(str(error),))
    price = prices.policy(config, target)
    return ModelInfo(
        name=name,
        model=config.model,
        roles=tuple(roles),
        base_url=target.shown_url,
        price=prices.look_up(price, target) if numbers else price,
        fallbacks=tuple(config.fallbacks),
        missing=tuple(_missing(target)),
    )


def _missing(target: Target) -> list[str]:
    provider = PROVIDERS[target.provider]
    missing = []
    if not _installed("pydantic_ai") or not _installed(provider.module):
        missing.append(f"{provider.module} is not installed: {install_hint(provider.extra)}")
    return missing + missing_settings(target)


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the parent of a dotted name is not there
        return False


def _model_of(role: str, roles: Mapping[str, str]) -> str | None:
    name = roles.get(role)
    follows_main = name == "main" or (name is None and role in _AS_MAIN)
    return roles.get("main") if follows_main and role != "main" else name
