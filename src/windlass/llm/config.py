"""What is known about a model before it is asked: its string, where it is, what it costs, how it is limited."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from windlass.errors import UnknownModel
from windlass.llm.base import Price


@dataclass(frozen=True)
class Timeouts:
    """Seconds. ``first_token`` and ``between_tokens`` apply to streamed calls, ``total`` to every call."""

    first_token: float = 120.0
    between_tokens: float = 60.0
    total: float = 600.0


@dataclass(frozen=True)
class ModelConfig:
    """One model as the settings describe it.

    ``model`` is a pydantic-ai model string, such as ``openai:gpt-5-mini``. ``price`` None means: the catalogue's
    price at the provider's own address, free for ``ollama:`` on this machine, else unknown. ``fallbacks`` are names of other
    models. ``options`` are further pydantic-ai model settings, such as ``{"temperature": 0}``.
    """

    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    price: Price | None = None
    max_output_tokens: int = 16_384
    concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    fallbacks: Sequence[str] = ()
    timeouts: Timeouts = Timeouts()
    tag_requests: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Provider:
    """What can be said about a provider of pydantic-ai without importing it.

    ``module`` is what must be importable, ``extra`` what to install for it, ``keys`` the variables that may hold the
    key (empty: needs none, or signs in another way), ``base_url`` the variable with the address, ``host`` the address of
    the provider itself, ``elsewhere`` that it has none and the user must say where it is.
    """

    module: str = "openai"
    extra: str = ""
    keys: tuple[str, ...] = ()
    base_url: str | None = None
    host: str | None = None
    elsewhere: bool = False


def _openai_like(name: str, host: str | None = None, base_url: str | None = None) -> Provider:
    return Provider(keys=(f"{name}_API_KEY",), base_url=base_url, host=host)


_AZURE = Provider(keys=("AZURE_OPENAI_API_KEY",), base_url="AZURE_OPENAI_ENDPOINT", elsewhere=True)
_OPENAI = _openai_like("OPENAI", "api.openai.com", "OPENAI_BASE_URL")

#: From pydantic-ai 2.68, ``providers/``.
PROVIDERS: Mapping[str, Provider] = {
    "openai": _OPENAI,
    "openai-chat": _OPENAI,
    "openai-responses": _OPENAI,
    "ollama": Provider(keys=("OLLAMA_API_KEY",), base_url="OLLAMA_BASE_URL"),
    "anthropic": Provider(
        "anthropic", "anthropic", ("ANTHROPIC_API_KEY",), "ANTHROPIC_BASE_URL", "api.anthropic.com"
    ),
    "google": Provider(
        "google.genai",
        "google",
        ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        host="generativelanguage.googleapis.com",
    ),
    "google-cloud": Provider("google.genai", "google"),
    "alibaba": Provider(keys=("ALIBABA_API_KEY", "DASHSCOPE_API_KEY")),
    "azure": _AZURE,
    "azure-responses": _AZURE,
    "bedrock": Provider("boto3", "pydantic-ai-slim[bedrock]"),
    "cerebras": Provider("cerebras", "pydantic-ai-slim[cerebras]", ("CEREBRAS_API_KEY",)),
    "cohere": Provider(
        "cohere", "pydantic-ai-slim[cohere]", ("CO_API_KEY",), "CO_BASE_URL", "api.cohere.com"
    ),
    "crusoe": _openai_like("CRUSOE"),
    "deepseek": _openai_like("DEEPSEEK", "api.deepseek.com"),
    "fireworks": _openai_like("FIREWORKS"),
    "github": _openai_like("GITHUB"),
    "groq": Provider("groq", "pydantic-ai-slim[groq]", ("GROQ_API_KEY",), "GROQ_BASE_URL", "api.groq.com"),
    "heroku": Provider(keys=("HEROKU_INFERENCE_KEY",), base_url="HEROKU_INFERENCE_URL"),
    "huggingface": Provider("huggingface_hub", "pydantic-ai-slim[huggingface]", ("HF_TOKEN",)),
    "litellm": Provider(),
    "meta": _openai_like("META"),
    "mistral": Provider(
        "mistralai", "pydantic-ai-slim[mistral]", ("MISTRAL_API_KEY",), None, "api.mistral.ai"
    ),
    "moonshotai": _openai_like("MOONSHOTAI", "api.moonshot.ai", "MOONSHOTAI_BASE_URL"),
    "nebius": _openai_like("NEBIUS"),
    "openrouter": _openai_like("OPENROUTER", "openrouter.ai"),
    "ovhcloud": _openai_like("OVHCLOUD"),
    "sambanova": _openai_like("SAMBANOVA", None, "SAMBANOVA_BASE_URL"),
    "together": _openai_like("TOGETHER", "api.together.xyz"),
    "vercel": Provider(keys=("VERCEL_AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN")),
    "vllm": Provider(keys=("VLLM_API_KEY",), base_url="VLLM_BASE_URL", elsewhere=True),
    "xai": Provider("xai_sdk", "pydantic-ai-slim[xai]", ("XAI_API_KEY",), None, "api.x.ai"),
    "zai": _openai_like("ZAI", "api.z.ai"),
}

#: Where Ollama listens when nothing else is said.
OLLAMA_URL = "http://127.0.0.1:11434/v1"


@dataclass(frozen=True)
class Target:
    """Where the requests of one model go. ``own`` is True at the provider's own address.

    ``base_url`` is None where pydantic-ai's provider knows it best.
    """

    provider: str
    name: str
    base_url: str | None
    own: bool
    api_key: str | None = field(default=None, repr=False)

    @property
    def shown_url(self) -> str | None:
        """The address without user name, password and query, for people to read."""
        if self.base_url is None:
            return None
        parts = urlsplit(self.base_url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    @property
    def local(self) -> bool:
        """Whether the requests stay on this machine."""
        host = urlsplit(self.base_url or "").hostname or ""
        return host in ("localhost", "::1") or host.startswith("127.")


def split_model(model: str) -> tuple[str, str]:
    """``provider:name`` in two. Raises UnknownModel with the nearest provider."""
    provider, colon, name = model.partition(":")
    if colon and name and provider in PROVIDERS:
        return provider, name
    if not colon:
        raise UnknownModel(f"{model!r} is not a model; write provider:name, for example openai:gpt-5-mini.")
    if not name:
        raise UnknownModel(f"{model!r} names no model after the colon; write for example openai:gpt-5-mini.")
    raise UnknownModel(
        f"{provider!r} in {model!r} is not a model provider{did_you_mean(provider, PROVIDERS)}"
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of an error's sentence: ``; did you mean 'x'?``, or what is known when nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(known))}."


def resolve(config: ModelConfig, env: Mapping[str, str]) -> Target:
    """Where a model is and which key it gets. Raises UnknownModel.

    A key from the environment is sent only to the address that the same environment names, or to the provider itself:
    an alias with an address of its own brings its own key.
    """
    provider, name = split_model(config.model)
    known = PROVIDERS[provider]
    from_env = env.get(known.base_url) if known.base_url else None
    base_url = config.base_url or from_env or (OLLAMA_URL if provider == "ollama" else None)
    host = _host_of(base_url) if base_url else known.host
    own = base_url is None or (known.host is not None and _is_host(host or "", known.host))
    key = config.api_key
    if key is None and (own or base_url == from_env):
        key = next((env[variable] for variable in known.keys if env.get(variable)), None)
    return Target(provider, name, base_url, own, key)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError as error:
        raise UnknownModel(
            f"The address {url!r} of the model cannot be read ({error}); correct its base URL."
        ) from None


def missing_settings(target: Target) -> list[str]:
    """What must be set before the model can be asked, one sentence each."""
    known = PROVIDERS[target.provider]
    if known.elsewhere and target.base_url is None:
        return [f"No address: set {known.base_url}."]
    if known.keys and target.own and not target.api_key:
        return [f"No key: set {known.keys[0]}."]
    return []


def _is_host(host: str, own: str) -> bool:
    return host == own or host.endswith("." + own)
