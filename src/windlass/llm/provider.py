"""Builds the pydantic-ai model behind a model string. Everything heavy is imported here, in functions."""

from __future__ import annotations

import gc
import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

from windlass.llm.config import PROVIDERS, Target

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models import Model

#: What the OpenAI SDK gets where a server wants no key: it insists on one.
NO_KEY = "no-key-needed"

#: What providers call their address.
_ADDRESSES = ("azure_endpoint", "api_base", "base_url")

#: pydantic-ai takes ``<think>…</think>`` out of a plain reply wherever it stands, even inside a file, but in a stream
#: only where it comes as one piece. windlass.llm.thinking does it alike for both; this pair never occurs in text.
_KEEP_TAGS: Any = {"thinking_tags": ("\x00think\x00", "\x00/think\x00")}


def build_model(target: Target, http: httpx2.AsyncClient | None = None) -> Model:
    """The pydantic-ai model, which uses ``http`` where its SDK takes it and never closes it. Raises ImportError or pydantic-ai's UserError when a package or a key is missing.

    Takes 1-2 s the first time in a process (imports): call it in a thread.
    """
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.models import infer_model
    from pydantic_ai.providers import infer_provider_class

    if target.provider in ("openai", "openai-chat") and not target.own:
        # A server that is not OpenAI's: nearly all speak chat completions, few the Responses API. The compatible
        # provider keeps what only OpenAI's own API understands out of the request.
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

        assert target.base_url is not None
        provider = OpenAICompatibleProvider(
            "openai-compatible",
            base_url=target.base_url,
            api_key=target.api_key or NO_KEY,
            http_client=http,
        )
        return OpenAIChatModel(target.name, provider=provider, profile=_KEEP_TAGS)

    def make(name: str) -> Any:
        provider_class = infer_provider_class(name)
        accepted = inspect.signature(provider_class.__init__).parameters
        given: dict[str, Any] = {}
        if target.base_url:
            address = next((word for word in _ADDRESSES if word in accepted), None)
            if address is None:
                raise UserError(
                    f"the provider {name!r} takes no base_url; use openai-chat: for a compatible server"
                )
            given[address] = target.base_url
        # Left without a key, a provider takes its own from the environment, and would send it to any address.
        key = target.api_key or (None if target.own else NO_KEY)
        if key and "api_key" in accepted:
            given["api_key"] = key
        if http is not None and "http_client" in accepted and PROVIDERS[target.provider].module == "openai":
            given["http_client"] = http
        return provider_class(**given)

    model = infer_model(f"{target.provider}:{target.name}", make)
    chat_class: Any = type(model)
    # infer_model() takes no profile, but every chat-completions class does.
    return (
        chat_class(target.name, provider=model.provider, profile=_KEEP_TAGS)
        if ends_by_itself(model)
        else model
    )


@cache
def keep_for_good() -> None:
    """Take what has been imported by now out of garbage collection, once a process.

    pydantic-ai and the SDKs bring some 300,000 objects that live as long as the process; a full collection that walks them
    stops the event loop for 0.1 s and more.
    """
    gc.freeze()


def ends_by_itself(model: Model) -> bool:
    """Whether pydantic-ai invents the finish reason ``stop`` when a stream of this model ends without one."""
    from pydantic_ai.models.openai import OpenAIChatModel

    return isinstance(model, OpenAIChatModel)


def without_retries(model: Model) -> bool:
    """Switch the SDK's retries off in the client itself; False where that has to be said with each request.

    Said with a request, it makes pydantic-ai copy the client, which costs a millisecond a call.
    """
    from openai import AsyncOpenAI

    client = getattr(model, "client", None)
    if not isinstance(client, AsyncOpenAI):
        return False
    client.max_retries = 0
    return True
