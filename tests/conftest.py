"""Every test has a home of its own, and nothing of this machine's settings or keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

#: What would let a test reach a real provider, another run's database or somebody's settings.
_OURS = ("WINDLASS_", "OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_", "AZURE_", "MISTRAL_", "GROQ_", "OLLAMA_", "AWS_",
         "OPENROUTER_", "DEEPSEEK_", "XAI_", "HF_")  # fmt: skip


@pytest.fixture(autouse=True)
def windlass_home(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """An empty ``WINDLASS_HOME`` for this test alone."""
    for name in list(os.environ):
        if name.startswith(_OURS) and not name.startswith("WINDLASS_TEST_"):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("WINDLASS_HOME", str(home))
    yield home


@pytest.fixture(scope="session")
def exercises_corpus() -> Path:
    """The exercise corpus beside the checkout; tests that need it skip where it is missing."""
    corpus = Path(__file__).resolve().parents[1] / "../shared/corpus/exercises.jsonl"
    if not corpus.exists():
        pytest.skip("the exercise corpus (../shared/corpus) is not here")
    return corpus
