"""Names to models: roles, aliases, model strings, and what `windlass models` shows."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from decimal import Decimal

import pytest

from windlass.errors import ConfigError, InputError, UnknownModel
from windlass.llm import ModelConfig, Price
from windlass.llm.catalog import build_registry, describe
from windlass.llm.config import PROVIDERS, resolve
from windlass.llm.live import LiveModel
from windlass.testing.llm import ScriptedLLM

LOCAL = ModelConfig("openai:qwen3", base_url="http://127.0.0.1:8080/v1", max_output_tokens=100, concurrency=2)


def test_a_role_an_alias_and_a_model_string_lead_to_models() -> None:
    registry = build_registry({"main": "box", "judge": "openai:gpt-5-mini"}, {"box": LOCAL}, env={})
    box = registry.get("box")
    assert isinstance(box, LiveModel)
    assert (box.model_name, box.max_output_tokens, box.concurrency) == ("openai:qwen3", 100, 2)
    assert registry.get("main") is box, "names of one model share its limits"
    assert registry.get("judge") is registry.get("openai:gpt-5-mini")


def test_fast_and_judge_follow_main_where_they_are_not_set() -> None:
    registry = build_registry({"main": "openai:a", "judge": "main"}, {}, env={})
    assert registry.get("fast") is registry.get("judge") is registry.get("main")


@pytest.mark.parametrize("role", ["main", "fast", "judge"])
def test_there_is_no_silent_default_model(role: str) -> None:
    with pytest.raises(UnknownModel, match=r"set WINDLASS_MODEL .* windlass demo needs none"):
        build_registry({}, {"box": LOCAL}, env={}).get(role)


def test_bare_model_strings_get_the_defaults() -> None:
    defaults = ModelConfig("unused", max_output_tokens=77, tag_requests=True)
    model = build_registry({}, {}, env={}, defaults=defaults).get("openai:a")
    assert isinstance(model, LiveModel)
    assert (model.config.model, model.config.max_output_tokens, model.config.tag_requests) == (
        "openai:a",
        77,
        True,
    )


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("bxo", "did you mean 'box'?"),
        ("gpt-5", "for example openai:gpt-5-mini"),
        ("opnai:gpt-5", "did you mean 'openai'?"),
        ("xqzw:x", "known are"),
        ("openai:", "names no model after the colon"),
        ("", "for example openai:gpt-5-mini"),
    ],
)
def test_an_unknown_model_is_an_error_that_helps(name: str, says: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        build_registry({}, {"box": LOCAL}, env={}).get(name)
    assert says in str(caught.value)
    assert isinstance(caught.value, InputError)


def test_an_address_that_is_none() -> None:
    registry = build_registry({"main": "openai-chat:m"}, {}, env={"OPENAI_BASE_URL": "http://[::1/v1"})
    with pytest.raises(UnknownModel, match=r"'http://\[::1/v1' of the model cannot be read"):
        registry.get("main")


def test_a_bad_alias_and_a_bad_role_are_told_when_they_are_used() -> None:
    registry = build_registry(
        {"main": "nope", "fast": "judge", "judge": "fast"}, {"bad": ModelConfig("gpt")}, env={}
    )
    for name in ("bad", "main", "fast"):
        with pytest.raises(UnknownModel):
            registry.get(name)


def test_fallbacks_are_models_too() -> None:
    registry = build_registry(
        {}, {"a": ModelConfig("openai:a", fallbacks=("box", "openai:b")), "box": LOCAL}, env={}
    )
    model = registry.get("a")
    assert list(model.fallbacks) == [registry.get("box"), registry.get("openai:b")]


def test_fallbacks_in_a_circle_are_refused() -> None:
    aliases = {"a": ModelConfig("openai:a", fallbacks=("b",)), "b": ModelConfig("openai:b", fallbacks=("a",))}
    with pytest.raises(ConfigError, match="a → b → a"):
        build_registry({}, aliases, env={})


def test_what_was_added_by_hand_wins() -> None:
    registry = build_registry({"main": "openai:a"}, {}, env={})
    mine = ScriptedLLM(["x"])
    registry.add("main", mine)
    assert registry.get("main") is mine


def test_a_missing_scripted_session_is_an_unknown_model() -> None:
    with pytest.raises(UnknownModel, match="no scripted session 'nowhere'"):
        build_registry({"main": "scripted:nowhere"}, {}, env={}).get("main")


def test_a_key_never_shows() -> None:
    config = ModelConfig("openai:a", api_key="sk-secret", headers={"Authorization": "sk-secret"})
    assert "sk-secret" not in repr(config)
    assert "sk-secret" not in repr(resolve(config, {}))
    assert "sk-secret" not in repr(describe({}, {"a": config}, env={"OPENAI_API_KEY": "sk-secret"}))


OWN = [
    ("openai:a", "https://api.openai.com/v1"),
    ("openai:a", "https://eu.api.openai.com/v1"),
    ("anthropic:a", None),
]
FOREIGN = [("openai:a", "http://localhost:1/v1"), ("openai:a", "https://api.openai.com.evil.test/v1")]


@pytest.mark.parametrize(("model", "base_url"), OWN)
def test_the_providers_own_address_gets_the_environments_key(model: str, base_url: str | None) -> None:
    env = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}
    target = resolve(ModelConfig(model, base_url=base_url), env)
    assert (target.own, target.api_key) == (True, "k")


@pytest.mark.parametrize(("model", "base_url"), FOREIGN)
def test_another_address_does_not(model: str, base_url: str) -> None:
    target = resolve(ModelConfig(model, base_url=base_url), {"OPENAI_API_KEY": "k"})
    assert (target.own, target.api_key) == (False, None)


def test_describe_says_price_and_what_is_missing() -> None:
    aliases = {
        "box": LOCAL,
        "paid": ModelConfig("openai:x", base_url="http://h/v1", price=Price("fixed", Decimal(1), Decimal(2))),
        "home": ModelConfig("ollama:qwen3"),
        "cloud": ModelConfig("ollama:gpt-oss-cloud"),
        "far": ModelConfig("ollama:qwen3", base_url="http://example.test/v1"),
        "other": ModelConfig("groq:llama"),
        "bad": ModelConfig("opnai:x"),
    }
    infos = {i.name: i for i in describe({"main": "openai:gpt-5-mini", "judge": "box"}, aliases, env={})}
    assert infos["openai:gpt-5-mini"].roles == ("fast", "main")
    assert infos["openai:gpt-5-mini"].price.policy == "catalogue"
    assert infos["openai:gpt-5-mini"].price.output_per_million is not None
    assert infos["openai:gpt-5-mini"].missing == ("No key: set OPENAI_API_KEY.",)
    assert infos["box"].roles == ("judge",)
    assert (infos["box"].price.policy, infos["box"].missing) == ("unknown", ())
    assert infos["paid"].price.input_per_million == 1
    assert (infos["home"].price.policy, infos["home"].base_url) == ("free", "http://127.0.0.1:11434/v1")
    assert infos["cloud"].price.policy == "unknown", "Ollama runs -cloud models on its own servers"
    assert infos["far"].price.policy == "unknown"
    assert any(line.endswith("'pydantic-ai-slim[groq]'") for line in infos["other"].missing)
    assert "did you mean 'openai'" in infos["bad"].missing[0]


def test_describe_with_a_key_misses_nothing() -> None:
    info = describe({"main": "openai:gpt-5-mini"}, {}, env={"OPENAI_API_KEY": "k"})[0]
    assert info.missing == ()


def test_a_model_the_catalogue_lacks_has_no_price() -> None:
    info = describe({"main": "openai:no-such-model-9"}, {}, env={})[0]
    assert info.price == Price("unknown")


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_provider_we_list_is_one_of_pydantic_ais(provider: str) -> None:
    from pydantic_ai.providers import infer_provider_class

    with contextlib.suppress(ImportError):  # its package is not installed here, but its name is known
        assert infer_provider_class(provider).__name__.endswith("Provider")


def test_a_provider_without_an_address_of_its_own_needs_one() -> None:
    assert describe({"main": "vllm:x"}, {}, env={})[0].missing == ("No address: set VLLM_BASE_URL.",)
    assert (
        describe({"main": "vllm:x"}, {}, env={"VLLM_BASE_URL": "http://localhost:8000/v1"})[0].missing == ()
    )


def test_describe_without_numbers_imports_nothing_heavy() -> None:
    code = (
        "import sys; from windlass.llm.catalog import describe;"
        "describe({'main': 'openai:gpt-5-mini', 'fast': 'anthropic:x'}, {}, env={}, numbers=False);"
        "print([m for m in ('pydantic_ai', 'openai', 'anthropic', 'genai_prices') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
