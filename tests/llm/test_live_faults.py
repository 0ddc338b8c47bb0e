"""Live models over real HTTP: every known way to fail is an error that says so, and is asked once."""

from __future__ import annotations

import traceback
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime

import pytest
from live_server import KEY, always, ask, live

from windlass.errors import ModelError, ModelRefused, ModelUnavailable, TruncatedReply
from windlass.llm import Message, ModelConfig, Timeouts
from windlass.llm.config import resolve
from windlass.llm.live import LiveModel
from windlass.testing.server import Answer, Fault

both = pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
BEFORE = Answer("This comes before the fault", chunk=8)


async def fails(reply: Answer | Fault, *, stream: bool, **config: object) -> ModelError:
    """The error that one request to a server with that reply ends in."""
    with always(reply) as server:
        with pytest.raises(ModelError) as caught:
            await ask(live(server, **config), stream=stream)
        assert server.count() == 1, "one request is one HTTP request"
    whole = "".join(traceback.format_exception(caught.value))
    assert KEY not in whole
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith((".", "?"))
    return caught.value


def fault(kind: str, **detail: object) -> Fault:
    return Fault(kind, answer=BEFORE, **detail)  # type: ignore[arg-type]


@both
@pytest.mark.parametrize("status", [500, 502, 503, 504, 529, 408])
async def test_server_faults_are_unavailable(status: int, stream: bool) -> None:
    error = await fails(fault("status", status=status), stream=stream)
    assert isinstance(error, ModelUnavailable)
    assert f"({status})" in str(error)
    assert error.maybe_paid is (status in (500, 502, 504))
    assert error.usage is None


@both
@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("1.5", 1.5), ("soon", None), (None, None)])
async def test_429_says_how_long_to_wait(header: str | None, seconds: float | None, stream: bool) -> None:
    error = await fails(fault("status", status=429, retry_after=header), stream=stream)
    assert isinstance(error, ModelUnavailable)
    assert error.retry_after == seconds
    assert error.maybe_paid is False


async def test_retry_after_may_be_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    error = await fails(fault("status", status=429, retry_after=later), stream=False)
    assert isinstance(error, ModelUnavailable)
    assert error.retry_after is not None
    assert 3000 < error.retry_after <= 3600


@both
@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (401, None, "OPENAI_API_KEY"),
        (403, None, "OPENAI_API_KEY"),
        (404, None, "'gpt-5-mini'"),
        (404, "model_not_found", "'gpt-5-mini'"),
        (400, None, "400"),
        (422, None, "422"),
        (400, "context_length_exceeded", "too long"),
        (429, "insufficient_quota", "quota"),
        (402, None, "credit"),
    ],
)
async def test_what_trying_again_cannot_help_is_refused(
    status: int, code: str, says: str, stream: bool
) -> None:
    message = f"Incorrect API key provided: {KEY}. You can find your\nAPI key at https://example.org."
    error = await fails(fault("status", status=status, code=code, message=message), stream=stream)
    assert isinstance(error, ModelRefused)
    assert says in str(error)
    assert error.maybe_paid is False


@both
async def test_a_reply_at_the_output_limit_is_truncated(stream: bool) -> None:
    error = await fails(Answer("half a fi", finish_reason="length", output_tokens=4), stream=stream)
    assert isinstance(error, TruncatedReply)
    assert error.at_limit
    assert error.partial == "half a fi"
    assert error.usage is not None
    assert error.usage.output_tokens == 4
    assert "max_output_tokens" in str(error)


@both
@pytest.mark.parametrize("kind", ["clean_end", "cut"])
async def test_a_stream_that_ends_without_its_end_is_no_reply(kind: str, stream: bool) -> None:
    error = await fails(fault(kind, after_chunks=3), stream=stream)
    assert isinstance(error, TruncatedReply if stream or kind == "clean_end" else ModelUnavailable)
    assert error.maybe_paid
    assert error.usage is None, "what was counted by then is not what will be charged"
    if stream:
        assert error.partial == BEFORE.text[:16]


@both
@pytest.mark.parametrize("kind", ["drop", "reset", "malformed", "error_event"])
async def test_a_broken_reply_is_unavailable_and_maybe_paid(kind: str, stream: bool) -> None:
    error = await fails(fault(kind, after_chunks=3), stream=stream)
    assert isinstance(error, ModelUnavailable)
    assert error.maybe_paid
    assert error.usage is None
    assert error.partial == (BEFORE.text[:16] if stream else "")


@both
@pytest.mark.parametrize("kind", ["drop", "reset", "malformed", "error_event", "clean_end", "cut"])
async def test_faults_before_the_first_word(kind: str, stream: bool) -> None:
    error = await fails(fault(kind), stream=stream)
    assert isinstance(error, ModelUnavailable | TruncatedReply)
    assert error.maybe_paid
    assert isinstance(error, ModelUnavailable) or not error.at_limit


@both
@pytest.mark.parametrize(
    "body",
    [
        "{}",
        "",
        "[]",
        "null",
        '{"choices": []}',
        '{"choices": null}',
        '{"choices": [{}]}',
        "<html>hello</html>",
        '{"id": "1", "object": "x", "created": 1, "model": "m", "choices": [{"index": 0, "message": null}]}',
    ],
)
async def test_nonsense_with_status_200_is_unavailable(body: str, stream: bool) -> None:
    error = await fails(fault("raw", body=body), stream=stream)
    assert isinstance(error, ModelUnavailable | TruncatedReply)
    assert error.maybe_paid


@both
async def test_a_reply_without_text_is_unavailable(stream: bool) -> None:
    error = await fails(Answer(" \n"), stream=stream)
    assert isinstance(error, ModelUnavailable)
    assert error.maybe_paid
    assert error.usage is not None


@both
async def test_a_reply_that_only_thinks_is_unavailable(stream: bool) -> None:
    error = await fails(Answer("<think>and so on, for ever"), stream=stream)
    assert isinstance(error, ModelUnavailable)


@both
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer("", refusal="I cannot help with that"), "I cannot help with that"),
        (Answer("half", finish_reason="content_filter"), "refused to answer"),
        (
            Answer(
                "",
                finish_reason="tool_calls",
                tool_calls=[{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            ),
            "called a tool",
        ),
    ],
    ids=["refusal", "filter", "tool"],
)
async def test_refusals_are_paid_and_final(answer: Answer, says: str, stream: bool) -> None:
    error = await fails(answer, stream=stream)
    assert isinstance(error, ModelRefused)
    assert says in str(error)
    assert error.maybe_paid
    assert error.usage is not None


SHORT = 0.2


@pytest.mark.parametrize(
    ("after", "timeouts", "says", "partial"),
    [
        (0, Timeouts(first_token=SHORT, between_tokens=60, total=60), "did not begin to answer", ""),
        (2, Timeouts(first_token=60, between_tokens=SHORT, total=60), "did not go on", BEFORE.text[:8]),
        (2, Timeouts(first_token=60, between_tokens=60, total=1), "did not finish", BEFORE.text[:8]),
    ],
    ids=["first token", "between tokens", "whole call"],
)
async def test_a_stalled_stream_is_given_up(after: int, timeouts: Timeouts, says: str, partial: str) -> None:
    warm = live_warm = always(Answer("ok"))
    with warm:
        await ask(live(live_warm), stream=True)  # imports, so that only the stall takes time below
    error = await fails(fault("stall", after_chunks=after), stream=True, timeouts=timeouts)
    assert isinstance(error, ModelUnavailable)
    assert says in str(error)
    assert error.partial == partial
    assert error.maybe_paid


async def test_a_stalled_plain_request_is_given_up_and_hung_up() -> None:
    with always(fault("stall")) as server:
        with pytest.raises(ModelUnavailable, match="did not finish its reply within"):
            await ask(live(server, timeouts=Timeouts(total=SHORT)), stream=False)
        assert server.wait_for("disconnected")


async def test_a_missing_key_says_which_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    config = ModelConfig("openai:gpt-5-mini")
    with pytest.raises(ModelRefused, match="set OPENAI_API_KEY"):
        await ask(LiveModel(config, resolve(config, {})), stream=False)


async def test_an_address_that_a_provider_cannot_take_is_refused_not_ignored() -> None:
    config = ModelConfig("deepseek:chat", base_url="http://127.0.0.1:9/v1", api_key="x")
    with pytest.raises(ModelRefused, match="takes no base_url"):
        await ask(LiveModel(config, resolve(config, {})), stream=False)


@both
@pytest.mark.parametrize(
    ("text", "config", "says"),
    [
        ("caf\udce9", {}, "not valid Unicode"),
        ("x", {"api_key": "cl\u00e9-secr\u00e8te"}, "API key or a header"),
        (
            "x",
            {"options": {"extra_body": {"since": date(2026, 1, 1)}}},
            "JSON cannot express",
        ),
        ("x", {"base_url": "htp://127.0.0.1/v1"}, "check the base URL"),
        ("x", {"base_url": "http://127.0.0.1:99999/v1"}, "check the base URL"),
    ],
    ids=["text", "key", "options", "scheme", "port"],
)
async def test_a_request_that_cannot_be_built_was_never_sent(
    text: str, config: dict[str, object], says: str, stream: bool
) -> None:
    with always(Answer("never given")) as server:
        model = live(server, **config)
        with pytest.raises(ModelRefused, match=says) as caught:
            await model.request([Message("user", text)], on_text=(lambda piece: None) if stream else None)
        await model.close()
        assert server.count() == 0
    assert caught.value.maybe_paid is False
    assert "was not asked" in str(caught.value)
    assert "secr" not in "".join(traceback.format_exception(caught.value))


async def test_a_password_in_the_address_does_not_show() -> None:
    config = ModelConfig("openai:x", base_url="http://me:hunter2@127.0.0.1:9/v1?k=hunter2")
    with pytest.raises(ModelUnavailable, match=r"at http://127\.0\.0\.1:9/v1 cannot be reached") as caught:
        await ask(LiveModel(config, resolve(config, {})), stream=False)
    assert "hunter2" not in str(caught.value)


async def test_a_missing_package_says_what_to_install() -> None:
    config = ModelConfig("groq:llama", api_key="x")
    with pytest.raises(ModelRefused, match=r"pip install .*'pydantic-ai-slim\[groq\]'$"):
        await ask(LiveModel(config, resolve(config, {})), stream=False)
