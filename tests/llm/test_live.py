"""Live models over real HTTP: what comes back from a server that behaves."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from live_server import KEY, QUESTION, always, ask, live
from pydantic_ai.usage import RequestUsage

from windlass.errors import ModelUnavailable
from windlass.llm import CallTags, Message, ModelConfig, Price, Usage, prices
from windlass.llm.config import resolve
from windlass.llm.http import Spread
from windlass.llm.live import LiveModel, tag_headers
from windlass.testing.server import Answer, OpenAIServer, Request

both = pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])


@both
async def test_a_reply_comes_whole_with_its_tokens_and_costs_one_request(stream: bool) -> None:
    answer = Answer("def f():\n    return 1\n", input_tokens=100, output_tokens=7, cached_tokens=60)
    with always(answer) as server:
        price = Price("fixed", Decimal(2), Decimal(10), Decimal(1))
        reply, pieces = await ask(live(server, price=price), stream=stream)
    assert reply.text == answer.text
    assert "".join(pieces) == (answer.text if stream else "")
    assert reply.usage == Usage(100, 7, 60)
    assert reply.cost_usd == Decimal(40 * 2 + 60 * 1 + 7 * 10) / 1_000_000
    assert reply.finish_reason == "stop"
    assert server.count() == 1
    assert server.records[0].request.stream is stream


async def test_the_conversation_and_the_output_limit_are_sent() -> None:
    messages = [*QUESTION, Message("assistant", "It."), Message("user", "Again {{x}} <b> é")]
    with always(Answer("ok")) as server:
        model = live(server, max_output_tokens=321, options={"seed": 5})
        await model.request(messages)
        await model.close()
    body = server.records[0].request.body
    assert [(m["role"], m["content"]) for m in body["messages"]] == [(m.role, m.content) for m in messages]
    assert body["max_completion_tokens"] == 321
    assert body["seed"] == 5
    assert body["model"] == "gpt-5-mini"


@pytest.mark.parametrize(
    ("told", "usage", "stream"),
    [
        ({"input_tokens": 10**30, "output_tokens": 5}, Usage(None, 5), True),
        ({"input_tokens": 10**30, "output_tokens": 5}, Usage(None, 5), False),
        # In a plain reply pydantic-ai refuses it.
        ({"input_tokens": 1.5, "output_tokens": 5}, Usage(None, 5), True),
        ({"input_tokens": 10, "output_tokens": 5, "cached_tokens": 1000}, Usage(10, 5), True),
        ({"input_tokens": 10, "output_tokens": 5, "cached_tokens": 1000}, Usage(10, 5), False),
    ],
)
@pytest.mark.filterwarnings("ignore::Warning")
async def test_a_reply_is_not_lost_to_counts_that_cannot_be(
    told: dict[str, Any], usage: Usage, stream: bool
) -> None:
    with always(Answer("text", **told)) as server:
        asked = live(server, price=Price("fixed", Decimal(1), Decimal(1), Decimal("0.1")))
        reply, _ = await ask(asked, stream=stream)
    assert (reply.text, reply.usage) == ("text", usage)
    # Unknown, or what the counts that can be come to; never less than nothing.
    assert reply.cost_usd == (None if usage.input_tokens is None else Decimal("0.000015"))


def test_the_catalogue_prices_no_counts_that_contradict_each_other() -> None:
    details = RequestUsage(input_tokens=10, output_tokens=5, cache_read_tokens=1000)
    target = resolve(ModelConfig("openai:gpt-5-mini"), {})
    assert prices.catalogue_cost(target, Usage(10, 5), details) is None


@both
async def test_a_provider_that_does_not_count_leaves_usage_and_cost_unknown(stream: bool) -> None:
    with always(Answer("text", usage=False)) as server:
        reply, _ = await ask(live(server, price=Price("fixed", Decimal(1), Decimal(1))), stream=stream)
    assert reply.usage == Usage(None, None, None)
    assert reply.cost_usd is None


@both
async def test_the_catalogue_price_does_not_follow_the_name_to_another_address(stream: bool) -> None:
    with always(Answer("text")) as server:
        model = live(server, "openai:gpt-5-mini")
        reply, _ = await ask(model, stream=stream)
    assert model.price == Price("unknown")
    assert reply.cost_usd is None


async def test_the_catalogue_price_holds_elsewhere_when_the_settings_say_so() -> None:
    with always(Answer("text", input_tokens=1_000_000, output_tokens=1_000_000)) as server:
        model = live(server, "openai:gpt-5-mini", price=Price("catalogue"))
        reply, _ = await ask(model, stream=True)
    assert model.price.policy == "catalogue"
    assert model.price.input_per_million is not None
    assert model.price.output_per_million is not None
    assert reply.cost_usd == model.price.input_per_million + model.price.output_per_million


@both
@pytest.mark.parametrize(
    "answer",
    [
        Answer("the text", reasoning="let me see"),
        Answer("<think>let me see</think>\n\nthe text"),
        Answer("<think>let me see</think>\n\nthe text", chunk=1),
        Answer("\n<thinking>let me see</thinking>the text", chunk=3),
    ],
    ids=["own field", "tags", "tags cut up", "other tags"],
)
async def test_thinking_is_not_part_of_the_text(stream: bool, answer: Answer) -> None:
    with always(answer) as server:
        reply, pieces = await ask(live(server), stream=stream)
    assert reply.text == "the text"
    assert "".join(pieces) in ("", "the text")


@both
async def test_thinking_tags_further_down_are_text(stream: bool) -> None:
    text = 'TAGS = ["<think>", "</think>"]\nSAMPLE = "<think>a</think>b"\n'
    with always(Answer(text, chunk=4)) as server:
        reply, _ = await ask(live(server), stream=stream)
    assert reply.text == text


async def test_tags_are_sent_as_headers_only_when_asked_for() -> None:
    tags = CallTags("run-1", "write_step[docs/é ü%.md].plan", "write_file@3")
    with always(Answer("ok")) as server:
        await ask(live(server, tag_requests=True, headers={"X-Team": "a"}), stream=False, tags=tags)
        await ask(live(server), stream=False, tags=tags)
    tagged, plain = (record.request for record in server.records)
    assert (tagged.run_id, tagged.step, tagged.prompt) == (tags.run_id, tags.step, tags.prompt)
    assert tagged.headers["x-team"] == "a"
    assert not [name for name in plain.headers if name.startswith("x-windlass")]


def test_tag_headers_are_legal_whatever_is_in_them() -> None:
    headers = tag_headers(CallTags("r", "a\r\nX-Evil: 1\x00\u2028", ""))
    assert headers["X-Windlass-Step"].isascii()
    assert headers["X-Windlass-Step"].isprintable()
    assert "X-Windlass-Prompt" not in headers


async def test_the_key_is_sent_and_a_server_without_keys_works_too() -> None:
    with always(Answer("ok")) as server:
        await ask(live(server), stream=False)
        await ask(live(server, api_key=None), stream=False)
    with_key, without = (record.request.headers["authorization"] for record in server.records)
    assert with_key == f"Bearer {KEY}"
    assert KEY not in without


@pytest.mark.parametrize("name", ["openai:any", "openai-chat:any"])
async def test_openai_base_url_and_key_from_the_environment(name: str) -> None:
    with always(Answer("ok")) as server:
        config = ModelConfig(name)
        env = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": KEY}
        await ask(LiveModel(config, resolve(config, env)), stream=True)
    assert server.records[0].request.path == "/v1/chat/completions"
    assert server.records[0].request.headers["authorization"] == f"Bearer {KEY}"


async def test_the_environments_key_is_not_sent_to_an_address_an_alias_names() -> None:
    with always(Answer("ok")) as server:
        config = ModelConfig("openai:any", base_url=server.base_url)
        env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
        await ask(LiveModel(config, resolve(config, env)), stream=False)
    assert KEY not in server.records[0].request.headers["authorization"]


async def test_a_providers_sdk_does_not_pick_up_a_key_for_an_aliass_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", KEY)
    with always(Answer("ok")) as server:
        config = ModelConfig("ollama:qwen3", base_url=server.base_url)
        await ask(LiveModel(config, resolve(config, {"OLLAMA_API_KEY": KEY})), stream=False)
    assert KEY not in server.records[0].request.headers["authorization"]


async def test_ollama_models_are_asked_at_their_own_address() -> None:
    with always(Answer("ok")) as server:
        config = ModelConfig("ollama:qwen3")
        model = LiveModel(config, resolve(config, {"OLLAMA_BASE_URL": server.base_url}))
        reply, _ = await ask(model, stream=True)
    assert reply.cost_usd == 0
    assert server.records[0].request.model == "qwen3"


async def test_cancelling_closes_the_connection() -> None:
    with OpenAIServer(lambda request: Answer("word " * 500, chunk=5, seconds_per_chunk=0.02)) as server:
        model, begun = live(server), asyncio.Event()
        asking = asyncio.ensure_future(model.request(QUESTION, on_text=lambda text: begun.set()))
        await begun.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await asyncio.to_thread(server.wait_for, "disconnected")
        await model.close()


async def test_cancelling_a_plain_request_closes_the_connection() -> None:
    with always(Answer("late", delay=60)) as server:
        model = live(server)
        asking = asyncio.ensure_future(model.request(QUESTION))
        assert await asyncio.to_thread(server.wait_for, "open", timeout=60)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await asyncio.to_thread(server.wait_for, "disconnected")
        await model.close()


async def test_a_listeners_own_error_is_not_taken_for_the_models() -> None:
    def listen(text: str) -> None:
        raise OSError("the terminal is gone")

    with always(Answer("text")) as server:
        model = live(server)
        with pytest.raises(OSError, match="the terminal is gone"):
            await model.request(QUESTION, on_text=listen)
        await model.close()


async def test_two_hundred_calls_at_once_get_their_own_replies() -> None:
    def echo(request: Request) -> Answer:
        return Answer(request.messages[-1]["content"] * 5, chunk=3, seconds_per_chunk=0.005)

    with OpenAIServer(echo) as server:
        model = live(server)

        async def one(number: int) -> bool:
            pieces: list[str] = []
            reply = await model.request([Message("user", f"<{number}>")], on_text=pieces.append)
            return reply.text == "".join(pieces) == f"<{number}>" * 5

        right = await asyncio.gather(*(one(number) for number in range(200)))
        await model.close()
    assert all(right)
    assert server.count(outcome="answered") == 200
    assert server.peak > 100


def test_a_model_outlives_an_event_loop() -> None:
    with always(Answer("ok")) as server:
        model = live(server)
        replies = [asyncio.run(ask(model, stream=True))[0].text for _ in range(2)]
    assert replies == ["ok", "ok"]


async def test_a_closed_model_can_be_closed_and_asked_again() -> None:
    with always(Answer("ok")) as server:
        model = live(server)
        await model.close()
        await model.request(QUESTION)
        await model.close()
        await model.close()
        assert (await model.request(QUESTION)).text == "ok"
        await model.close()


def test_making_a_model_imports_nothing_heavy() -> None:
    code = (
        "import sys; from windlass.llm.catalog import ModelConfig, build_registry;"
        "build_registry({'main': 'openai:gpt-5-mini'}, {}, env={}).get('main');"
        "print([m for m in ('pydantic', 'pydantic_ai', 'openai', 'genai_prices', 'httpx2') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


async def test_process_input_messages_takes_bare_strings() -> None:
    with always(Answer("said")) as server:
        model = live(server)
        assert await model.process_input_messages(["hello"]) == "said"
        await model.close()
    assert server.records[0].request.messages == [{"role": "user", "content": "hello"}]


async def test_no_network_is_unavailable_and_certainly_not_paid() -> None:
    with always(Answer("never")) as server:
        pass
    with pytest.raises(ModelUnavailable, match="cannot be reached") as caught:
        await ask(live(server), stream=True)
    assert caught.value.maybe_paid is False
    assert server.base_url in str(caught.value)


async def test_calls_spread_over_small_pools_and_their_connections_are_used_again() -> None:
    everyone_is_here, waiting = asyncio.Event(), 0

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal waiting
        handlers.append(asyncio.current_task())
        connections.add(writer.get_extra_info("peername"))
        with suppress(asyncio.IncompleteReadError):  # the client left
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                waiting += 1
                if waiting == 40:
                    everyone_is_here.set()
                await asyncio.wait_for(everyone_is_here.wait(), 60)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()
        await writer.wait_closed()

    handlers: list[asyncio.Task[None] | None] = []
    connections: set[tuple[str, int]] = set()
    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with httpx2.AsyncClient(transport=Spread(), timeout=60) as client:
        for _ in range(3):
            answers = await asyncio.gather(
                *(client.post(f"http://127.0.0.1:{port}/", content=b"x") for _ in range(40))
            )
            assert {answer.text for answer in answers} == {"ok"}
    server.close()
    await asyncio.gather(*(handler for handler in handlers if handler is not None))
    assert len(connections) == 40
