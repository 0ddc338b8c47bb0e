"""What the tests of live models share: a model aimed at the local server, and one question."""

from __future__ import annotations

from typing import Any

from windlass.llm import CallTags, Message, ModelConfig, Reply, Timeouts
from windlass.llm.config import resolve
from windlass.llm.live import LiveModel
from windlass.testing.server import Answer, Fault, OpenAIServer

KEY = "sk-test-0123456789-secret"
QUESTION = [Message("system", "Be brief."), Message("user", "Say it.")]
#: Long enough for a busy machine wherever the test expects an answer.
PATIENT = Timeouts(first_token=60, between_tokens=60, total=60)


def always(reply: Answer | Fault) -> OpenAIServer:
    """A server that answers every request alike."""
    return OpenAIServer(lambda request: reply)


def live(server: OpenAIServer, model: str = "openai:gpt-5-mini", **config: Any) -> LiveModel:
    """A live model that asks ``server`` and has a key."""
    settings = {"base_url": server.base_url, "api_key": KEY, "timeouts": PATIENT, **config}
    whole = ModelConfig(model, **settings)
    return LiveModel(whole, resolve(whole, {}))


async def ask(model: LiveModel, *, stream: bool, tags: CallTags | None = None) -> tuple[Reply, list[str]]:
    """The reply and the pieces that were streamed. The model is closed afterwards."""
    pieces: list[str] = []
    try:
        reply = await model.request(QUESTION, tags=tags, on_text=pieces.append if stream else None)
    finally:
        await model.close()
    return reply, pieces
