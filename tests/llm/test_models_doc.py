"""docs/reference/models.md says what the code does."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from windlass.llm import ModelConfig, RetryPolicy, Timeouts
from windlass.llm.config import OLLAMA_URL, PROVIDERS
from windlass.llm.scripted import ScriptedModel

PAGE = (Path(__file__).parents[2] / "docs/reference/models.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(ModelConfig)])
def test_every_field_of_an_alias_is_named(field: str) -> None:
    assert f"`{field}`" in PAGE


def test_the_defaults_are_the_ones_stated() -> None:
    policy, timeouts = RetryPolicy(), Timeouts()
    assert f"At most {policy.attempts} attempts" in PAGE
    assert f"at most {policy.longest:g} s" in PAGE
    assert f"honoured up to {policy.retry_after_cap:g} s" in PAGE
    assert f"`first_token` {timeouts.first_token:g} and `between_tokens` {timeouts.between_tokens:g}" in PAGE
    assert f"`total` {timeouts.total:g}" in PAGE
    assert f"`max_output_tokens` ({ModelConfig('x').max_output_tokens:,})" in PAGE
    assert OLLAMA_URL in PAGE


def test_the_providers_named_exist() -> None:
    named = set(re.findall(r"`([a-z-]+):[^/`]*`", PAGE)) - {"scripted"}
    assert len(named) > 5
    assert named <= set(PROVIDERS)


def test_the_session_shown_can_be_played(tmp_path: Path) -> None:
    shown = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    path = tmp_path / "session.json"
    path.write_text(shown[1], encoding="utf-8")
    assert len(ScriptedModel.load(str(path)).session.replies) == len(json.loads(shown[1])["replies"])
