"""The only reader of the environment and of ``windlass.toml``.

``windlass.toml`` is read from the user's configuration folder (or ``WINDLASS_HOME``), never from a project: a file
that comes with somebody's code must not be able to send keys elsewhere or switch the sandbox off.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import platformdirs
import pydantic
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from windlass.errors import ConfigError


class PriceSettings(pydantic.BaseModel):
    """A fixed price: USD per million tokens. ``{input = 0, output = 0}`` is free."""

    model_config = pydantic.ConfigDict(extra="forbid")

    input: Decimal = pydantic.Field(ge=0)
    output: Decimal = pydantic.Field(ge=0)
    cached: Decimal | None = pydantic.Field(default=None, ge=0)


class ModelSettings(pydantic.BaseModel):
    """One alias in ``[models.NAME]``. ``api_key_env`` names the variable that holds the key; keys are never kept here."""

    model_config = pydantic.ConfigDict(extra="forbid")

    model: str
    base_url: str | None = None
    api_key_env: str | None = None
    price: PriceSettings | Literal["free", "catalogue", "unknown"] | None = None
    max_output_tokens: int = pydantic.Field(default=16_384, ge=1)
    concurrency: int | None = pydantic.Field(default=None, ge=1)
    requests_per_minute: int | None = pydantic.Field(default=None, ge=1)
    tokens_per_minute: int | None = pydantic.Field(default=None, ge=1)
    fallbacks: tuple[str, ...] = ()
    first_token_seconds: float = pydantic.Field(default=120.0, gt=0)
    between_tokens_seconds: float = pydantic.Field(default=60.0, gt=0)
    total_seconds: float = pydantic.Field(default=600.0, gt=0)
    options: dict[str, Any] = pydantic.Field(default_factory=dict)


class S3Settings(pydantic.BaseModel):
    """Where ``s3://`` workspaces are, beyond what the AWS variables say."""

    model_config = pydantic.ConfigDict(extra="forbid")

    endpoint: str | None = None
    region: str | None = None


class ServerSettings(pydantic.BaseModel):
    """How ``windlass serve`` is run; its options win over these."""

    model_config = pydantic.ConfigDict(extra="forbid")

    host: str = "127.0.0.1"
    port: int = pydantic.Field(default=8765, ge=1, le=65535)
    #: A token of one's own, at least 16 characters, instead of a new one at each start.
    token: str | None = None
    #: Names besides localhost that the server may be called by.
    allowed_hosts: tuple[str, ...] = ()
    #: Runs that it works on at a time.
    runs: int = pydantic.Field(default=4, ge=1, le=1000)


class Settings(BaseSettings):
    """Everything that can be set. Environment variables (``WINDLASS_…``) win over ``windlass.toml``."""

    model_config = SettingsConfigDict(env_prefix="WINDLASS_", env_nested_delimiter="__", extra="ignore")

    #: Folder for the database and ``windlass.toml``; default: the user's data and configuration folders.
    home: Path | None = None
    database_url: str | None = None
    model: str | None = None
    fast_model: str | None = None
    judge_model: str | None = None
    models: dict[str, ModelSettings] = pydantic.Field(default_factory=dict)
    tag_requests: bool = False
    sandbox: Literal["auto", "bubblewrap", "landlock", "off"] = "auto"
    #: Cap for one run and for one day (UTC), in USD.
    budget: Decimal | None = pydantic.Field(default=None, gt=0)
    budget_per_day: Decimal | None = pydantic.Field(default=None, gt=0)
    allow_unknown_price: bool = False
    on_unknown: Literal["retry", "ask"] = "retry"
    test_command: tuple[str, ...] | None = None
    keep_versions: int = pydantic.Field(default=4, ge=2)
    lock_timeout: float = pydantic.Field(default=30.0, gt=0)
    #: How long a reply in hand waits for a database that is locked, away or out of space (seconds).
    keep_reply_timeout: float = pydantic.Field(default=300.0, ge=0)
    max_attempts: int = pydantic.Field(default=7, ge=1)
    max_retry_after: float = pydantic.Field(default=60.0, gt=0)
    #: The wait after the first failed attempt is up to this long (seconds); it doubles with each further one.
    retry_wait: float = pydantic.Field(default=1.0, ge=0)
    #: A file that gets a JSON line for each thing that happens in a run: no prompt, no reply, no key.
    log: Path | None = None
    s3: S3Settings = S3Settings()
    server: ServerSettings = ServerSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file())

    @cached_property
    def data_dir(self) -> Path:
        """Where the database is by default."""
        return self.home or Path(platformdirs.user_data_dir("windlass", appauthor=False))

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'windlass.db'}"

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """The environment as it was when it was first asked for: keys and base URLs of the providers."""
        return dict(os.environ)


def config_file() -> Path:
    """Where ``windlass.toml`` is looked for."""
    home = os.environ.get("WINDLASS_HOME")
    folder = Path(home) if home else Path(platformdirs.user_config_dir("windlass", appauthor=False))
    return folder / "windlass.toml"


def load_settings(**overrides: Any) -> Settings:
    """The settings in force. Raises ConfigError: one sentence with the place of what is wrong."""
    try:
        return Settings(**overrides)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        variable = "WINDLASS_" + where.upper().replace(".", "__")
        raise ConfigError(
            f"Setting {where!r} (in {config_file().name} or {variable}) is wrong: {first['msg']}."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{config_file()} is not valid TOML: {error}.") from None
    except OSError as error:
        raise ConfigError(f"{config_file()} cannot be read: {error.strerror}.") from None
