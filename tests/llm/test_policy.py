"""Retries, limits and fallbacks, with a clock that is told what time it is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from live_server import live

from windlass.errors import BudgetExceeded, ModelError, ModelRefused, ModelUnavailable, TruncatedReply
from windlass.llm import Asker, Message, Reply, RetryPolicy, Timeouts, Usage
from windlass.llm.base import BaseLLMIntegration
from windlass.llm.limits import Gates
from windlass.testing.faults import sometimes
from windlass.testing.llm import ScriptedLLM
from windlass.testing.server import Answer, Fault, OpenAIServer, Request

QUESTION = [Message("user", "a question of 25 letters.")]
DOWN = ModelUnavailable("The model is down.", maybe_paid=False)


@dataclass
class Diary:
    """Remembers what it was told, in order."""

    lines: list[str] = field(default_factory=list)
    errors: list[ModelError] = field(default_factory=list)
    refuse: int = 0

    async def started(self, model: BaseLLMIntegration, number: int) -> None:
        if number == self.refuse:
            raise BudgetExceeded("no money left.")
        self.lines.append(f"start {number} {model.model_name}")

    async def succeeded(self, model: BaseLLMIntegration, number: int, reply: Reply) -> None:
        self.lines.append(f"done {number} {model.model_name}")

    async def failed(
        self, model: BaseLLMIntegration, number: int, error: ModelError, retry_in: float | None
    ) -> None:
        self.errors.append(error)
        self.lines.append(f"fail {number} {model.model_name} {retry_in}")

    def restarted(self) -> None:
        self.lines.append("restart")


@dataclass
class FakeTime:
    """A clock that only sleeping moves."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def asker(time: FakeTime, *, drawn: float = 1.0, **policy: float) -> Asker:
    return Asker(RetryPolicy(**policy), Gates(time, time.sleep), time.sleep, lambda: drawn)  # type: ignore[arg-type]


def model(*responses: str | Exception, name: str = "a", fallbacks: Sequence[ScriptedLLM] = ()) -> ScriptedLLM:
    return ScriptedLLM(responses, model_name=name, fallbacks=fallbacks)


async def test_a_first_success_is_reported_before_and_after() -> None:
    diary = Diary()
    reply = await asker(FakeTime()).ask(model("yes"), QUESTION, diary)
    assert reply.text == "yes"
    assert diary.lines == ["start 1 a", "done 1 a"]


async def test_waits_double_up_to_the_longest_and_then_it_gives_up() -> None:
    time, diary = FakeTime(), Diary()
    down = model(*[DOWN] * 7)
    with pytest.raises(ModelUnavailable, match=r"The model is down\. Tried 7 times\."):
        await asker(time, attempts=7, base=2.0, longest=20.0).ask(down, QUESTION, diary)
    assert time.slept == [2, 4, 8, 16, 20, 20]
    assert diary.lines[-2:] == ["start 7 a", "fail 7 a None"]
    assert len(down.requests) == 7


async def test_jitter_draws_from_the_whole_wait() -> None:
    time = FakeTime()
    await asker(time, drawn=0.25, base=8.0).ask(model(DOWN, DOWN, "yes"), QUESTION, Diary())
    assert time.slept == [2, 4]


async def test_retry_after_is_the_least_wait_and_is_capped() -> None:
    time = FakeTime()
    asks = [ModelUnavailable("later.", retry_after=seconds) for seconds in (7.0, 3600.0, 0.5)]
    await asker(time, drawn=0.5, base=2.0).ask(model(*asks, "yes"), QUESTION, Diary())
    assert time.slept == [7, 60, 4]


@pytest.mark.parametrize(
    "error", [ModelRefused("wrong key."), TruncatedReply("at the limit.", partial="x", at_limit=True)]
)
async def test_what_cannot_pass_is_asked_once_and_no_fallback_hides_it(error: ModelError) -> None:
    diary, spare = Diary(), model("yes", name="b")
    with pytest.raises(type(error)) as caught:
        await asker(FakeTime()).ask(model(error, "yes", fallbacks=[spare]), QUESTION, diary)
    assert caught.value is error
    assert diary.lines == ["start 1 a", "fail 1 a None"]
    assert spare.requests == []


async def test_a_reply_that_broke_off_is_asked_for_again() -> None:
    diary = Diary()
    reply = await asker(FakeTime()).ask(model(TruncatedReply("cut.", partial="ye"), "yes"), QUESTION, diary)
    assert reply.text == "yes"
    assert diary.errors[0].partial == "ye"


async def test_the_fallbacks_come_in_order_once_a_model_stays_away() -> None:
    diary = Diary()
    spare = [model(*[DOWN] * 2, name="b"), model("yes", name="c")]
    reply = await asker(FakeTime(), attempts=2).ask(model(DOWN, DOWN, fallbacks=spare), QUESTION, diary)
    assert reply.model == "c"
    assert [line for line in diary.lines if line.startswith("start")] == [
        "start 1 a",
        "start 2 a",
        "start 3 b",
        "start 4 b",
        "start 5 c",
    ]


async def test_when_every_model_stays_away_the_last_error_counts_all_attempts() -> None:
    with pytest.raises(ModelUnavailable, match="Tried 4 times"):
        await asker(FakeTime(), attempts=2).ask(
            model(DOWN, DOWN, fallbacks=[model(*[ModelUnavailable("b is down.")] * 2, name="b")]),
            QUESTION,
            Diary(),
        )


async def test_a_provider_that_wants_a_long_rest_gives_way_to_the_fallback_at_once() -> None:
    time, diary = FakeTime(), Diary()
    busy = model(ModelUnavailable("later.", retry_after=600.0), fallbacks=[model("yes", name="b")])
    assert (await asker(time).ask(busy, QUESTION, diary)).text == "yes"
    assert time.slept == []
    assert diary.lines == ["start 1 a", "fail 1 a None", "start 2 b", "done 2 b"]


async def test_no_budget_means_no_request() -> None:
    asked = model(DOWN, "yes")
    with pytest.raises(BudgetExceeded):
        await asker(FakeTime()).ask(asked, QUESTION, Diary(refuse=2))
    assert len(asked.requests) == 1


async def test_text_of_a_failed_stream_is_declared_void_before_the_next_begins() -> None:
    seen: list[str] = []

    @dataclass
    class Screen(Diary):
        def restarted(self) -> None:
            seen.clear()
            super().restarted()

    replies = iter([Fault("drop", after_chunks=3), Fault("status", status=500), Answer("the whole text")])
    with OpenAIServer(lambda request: next(replies)) as server:
        asked, diary = live(server), Screen()
        reply = await asker(FakeTime()).ask(asked, QUESTION, diary, on_text=seen.append)
        await asked.close()
    assert "".join(seen) == reply.text == "the whole text"
    assert diary.lines.count("restart") == 1, (
        "the second attempt streamed nothing, so there is nothing to clear"
    )
    assert diary.errors[0].partial
    assert server.count() == 3


async def test_a_cancelled_attempt_is_neither_done_nor_failed() -> None:
    with OpenAIServer(lambda request: Fault("stall")) as server:
        asked, diary = live(server), Diary()
        asking = asyncio.ensure_future(asker(FakeTime()).ask(asked, QUESTION, diary))
        assert await asyncio.to_thread(server.wait_for, "open", timeout=60)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asked.close()
    assert len(diary.lines) == 1


async def test_no_more_calls_at_once_than_the_model_allows() -> None:
    with OpenAIServer(lambda request: Answer("ok", delay=0.02)) as server:
        asked = live(server, concurrency=3)
        shared = asker(FakeTime())
        await asyncio.gather(*(shared.ask(asked, QUESTION, Diary()) for _ in range(12)))
        await asked.close()
    assert server.count(outcome="answered") == 12
    assert server.peak == 3


async def test_models_made_anew_for_each_run_share_their_limits() -> None:
    with OpenAIServer(lambda request: Answer("ok", delay=0.02)) as server:
        made = [live(server, concurrency=2) for _ in range(6)]
        shared = asker(FakeTime())
        await asyncio.gather(*(shared.ask(model, QUESTION, Diary()) for model in made))
        for model in made:
            await model.close()
    assert server.count(outcome="answered") == 6
    assert server.peak == 2


async def test_a_failed_call_gives_its_place_back_while_it_waits() -> None:
    def flaky(request: Request) -> Answer | Fault:
        return Fault("status", status=503) if request.number <= 2 else Answer("ok")

    with OpenAIServer(flaky) as server:
        asked, shared = live(server, concurrency=1), asker(FakeTime())
        replies = await asyncio.gather(*(shared.ask(asked, QUESTION, Diary()) for _ in range(4)))
        await asked.close()
    assert [reply.text for reply in replies] == ["ok"] * 4


async def test_requests_per_minute_are_kept_in_the_order_they_came() -> None:
    time, order = FakeTime(), []

    def note(asked: object) -> str:
        order.append(time.now - 1000)
        return "ok"

    limited = ScriptedLLM(note)
    limited.requests_per_minute = 2
    shared = asker(time)
    await asyncio.gather(*(shared.ask(limited, QUESTION, Diary()) for _ in range(5)))
    assert order == [0, 0, 60, 60, 120]


async def test_tokens_per_minute_count_what_was_really_used() -> None:
    time = FakeTime()
    limited = ScriptedLLM(lambda asked: Reply("ok", "a", Usage(50, 40)))
    limited.tokens_per_minute = 95
    shared = asker(time)
    for _ in range(3):
        await shared.ask(limited, QUESTION, Diary())
    assert time.slept == [60, 60]


async def test_a_call_larger_than_the_whole_limit_is_left_to_the_provider() -> None:
    limited = model("yes")
    limited.tokens_per_minute = 1
    assert (await asker(FakeTime()).ask(limited, QUESTION, Diary())).text == "yes"


def test_limits_outlive_an_event_loop() -> None:
    time = FakeTime()
    limited = ScriptedLLM(lambda asked: "ok", concurrency=1)
    limited.requests_per_minute = 1
    shared = asker(time)

    async def two() -> None:
        await asyncio.gather(*(shared.ask(limited, QUESTION, Diary()) for _ in range(2)))

    asyncio.run(two())
    asyncio.run(two())
    assert time.now == 1000 + 3 * 60


async def test_costs_come_from_the_reply_that_counted() -> None:
    priced = Reply("ok", "a", Usage(1, 1), Decimal("0.5"))
    asked = ScriptedLLM([DOWN, priced])
    assert (await asker(FakeTime()).ask(asked, QUESTION, Diary())).cost_usd == Decimal("0.5")


async def test_thirty_percent_faults_of_every_kind_never_give_a_wrong_reply() -> None:
    def echo(request: Request) -> Answer:
        return Answer(f"reply to {request.text} and nothing else", chunk=6)

    with OpenAIServer(sometimes(echo)) as server:
        asked = live(server, timeouts=Timeouts(first_token=2, between_tokens=2, total=20), concurrency=20)
        shared = asker(FakeTime())

        async def one(number: int, diary: Diary) -> str:
            reply = await shared.ask(asked, [Message("user", str(number))], diary, on_text=lambda text: None)
            return reply.text

        diaries = [Diary() for _ in range(100)]
        texts = await asyncio.gather(*(one(number, diary) for number, diary in enumerate(diaries)))
        await asked.close()
    assert texts == [f"reply to {number} and nothing else" for number in range(100)]
    assert sum(len(diary.errors) for diary in diaries) == server.count() - 100 > 20
