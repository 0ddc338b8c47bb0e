"""What settings and a run's options mean: models, caps and workspaces made from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from windlass.budget import Budget, Scopes, SharedBudget
from windlass.errors import InputError
from windlass.journal import RunRecord
from windlass.llm.base import BaseLLMIntegration, Price
from windlass.llm.config import ModelConfig, Timeouts
from windlass.llm.registry import LLMIntegrationRegistry
from windlass.settings import ModelSettings, PriceSettings, Settings
from windlass.workspace import Workspace, WorkspaceSetting, open_workspace

NO_MODEL = (
    "No model is set. Set one with --model or WINDLASS_MODEL (such as openai:gpt-5-mini, with OPENAI_API_KEY), or try "
    "`windlass demo`, which needs none."
)

_MODELS = ("model", "fast_model", "judge_model")


def registry(
    settings: Settings, options: Mapping[str, Any], integrations: Mapping[str, BaseLLMIntegration]
) -> LLMIntegrationRegistry:
    """The models of a run, by role and by alias; ``integrations`` (by role) win. Raises InputError when none is set or one is
    unknown."""
    from windlass.llm.catalog import build_registry

    given = integrations.get("main")
    main = options.get("model") or settings.model or (None if given is None else given.model_name)
    if not main:
        raise InputError(NO_MODEL)
    fast = options.get("fast_model") or settings.fast_model
    found = build_registry(
        roles(main, fast, options.get("judge_model") or settings.judge_model),
        model_configs(settings),
        env=settings.environment,
        defaults=ModelConfig(model=main, tag_requests=settings.tag_requests),
    )
    for role, integration in integrations.items():
        found.add(role, integration)
    return found


def pinned(settings: Settings, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a run that begins now keeps of the settings, by name: those that decide what it asks and what its tests are.

    No model where none has a name; then objects serve.
    """
    kept: dict[str, Any] = {"test_command": settings.test_command}
    if options.get("model") or settings.model:
        kept |= {name: options.get(name) or getattr(settings, name) for name in _MODELS}
    return kept


def as_begun(settings: Settings, record: RunRecord) -> Settings:
    """The settings, in what decides the run's requests as they were when it began."""
    return settings.model_copy(update=record.pins.get("settings") or {})


def budget(
    settings: Settings,
    options: Mapping[str, Any],
    spent: Decimal,
    scopes: Callable[[], Scopes],
    *,
    run_id: str = "",
    say: Callable[[str, str], None] | None = None,
) -> Budget:
    """The caps of a run: its own (the option, else the setting), and those it shares: the day's, and in ``options`` under
    ``shared_budgets`` any others by name, such as ``{"batch:ID": "2.50"}``. ``scopes`` is asked only where some are shared,
    and ``say`` is told when the run waits for money of a shared one."""
    given = options.get("budget")
    limit = Decimal(str(given)) if given is not None else settings.budget
    allow = bool(options.get("allow_unknown_price")) or settings.allow_unknown_price
    caps = {name: Decimal(str(cap)) for name, cap in (options.get("shared_budgets") or {}).items()}
    shared = None
    if caps or settings.budget_per_day is not None:
        shared = SharedBudget(scopes(), f"run:{run_id}", caps, settings.budget_per_day, say=say)
    return Budget(limit, allow_unknown_price=allow, spent=spent, ledger=shared)


async def stored_names(settings: Settings, address: str) -> Sequence[str]:
    """The names in a workspace that is no folder; none for a folder, which everyone can look into."""
    if "://" not in address:
        return ()
    return await (await _place(settings, address, create=False, write=False)).list(limit=100_000)


async def workspace(settings: Settings, record: RunRecord, *, write: bool = True) -> Workspace:
    """The files of a run; made when the run wants a new folder. Raises WorkspaceError when they cannot be worked on."""
    new = write and bool(record.options.get("new_folder"))
    return await _place(settings, record.workspace, create=new, write=write)


async def _place(settings: Settings, address: str, *, create: bool, write: bool) -> Workspace:
    s3 = {
        key: value
        for key, value in (("endpoint", settings.s3.endpoint), ("region", settings.s3.region))
        if value
    }
    return await open_workspace(
        WorkspaceSetting(address),
        create=create,
        write=write,
        options=s3,
        environ=settings.environment,
    )


def roles(main: str | None, fast: str | None, judge: str | None) -> dict[str, str]:
    """The models of the roles that are set."""
    return {role: name for role, name in (("main", main), ("fast", fast), ("judge", judge)) if name}


def model_configs(settings: Settings) -> dict[str, ModelConfig]:
    """The aliases of the settings as the models room wants them."""
    return {name: _model_config(alias, settings) for name, alias in settings.models.items()}


def _model_config(alias: ModelSettings, settings: Settings) -> ModelConfig:
    price: Price | None = None
    if isinstance(alias.price, PriceSettings):
        price = Price("fixed", alias.price.input, alias.price.output, alias.price.cached)
    elif alias.price is not None:
        price = Price(alias.price)
    key = settings.environment.get(alias.api_key_env) if alias.api_key_env else None
    return ModelConfig(
        model=alias.model,
        base_url=alias.base_url,
        api_key=key,
        price=price,
        max_output_tokens=alias.max_output_tokens,
        concurrency=alias.concurrency,
        requests_per_minute=alias.requests_per_minute,
        tokens_per_minute=alias.tokens_per_minute,
        fallbacks=alias.fallbacks,
        timeouts=Timeouts(alias.first_token_seconds, alias.between_tokens_seconds, alias.total_seconds),
        tag_requests=settings.tag_requests,
        options=alias.options,
    )
