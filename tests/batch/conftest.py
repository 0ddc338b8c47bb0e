"""A local model server, settings that know it at a price, and the installed command."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cli import Cli
from windlass.settings import ModelSettings, PriceSettings, Settings
from windlass.testing.server import Answer, Fault, OpenAIServer, Request


def chat(seconds: float = 0.0) -> Any:
    """A model that answers every message with its last word; ``fail`` in the message is refused."""

    def answer(request: Request) -> Answer | Fault:
        if "fail" in request.text:
            return Fault("status", status=400, message="I will not")
        return Answer("An answer.", delay=seconds, input_tokens=100, output_tokens=10)

    return answer


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(chat()) as running:
        yield running


@pytest.fixture
def settings(server: OpenAIServer, tmp_path: Path) -> Settings:
    price = PriceSettings(input=Decimal(1), output=Decimal(2))
    alias = ModelSettings(
        model="openai-chat:test-model",
        base_url=server.base_url,
        api_key_env="KEY",
        price=price,
        max_output_tokens=1000,
    )
    made = Settings(
        database_url=f"sqlite:///{tmp_path / 'w.db'}", model="local", models={"local": alias}, max_attempts=1
    )
    made.__dict__["environment"] = {"KEY": "sk-test"}
    return made


@pytest.fixture
def cli(windlass_home: Path, tmp_path: Path, server: OpenAIServer) -> Cli:
    return Cli(windlass_home, tmp_path, server.base_url)
