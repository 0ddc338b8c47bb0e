"""One answer out of several: n side by side and a judge, then rounds of improvement. Off by default.

An answer that can be used is never lost to what was to make it better: without a verdict the first one stands, without a
usable improvement the one before it, and the run says so. Only a stop, a budget or a fault of ours ends the step.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import pydantic

from windlass.effects import Rendered
from windlass.errors import JournalError, ModelError, StepFailed, StoreError, WindlassError
from windlass.journal import digest_of
from windlass.people import Interrupted, WaitingForPerson
from windlass.prompt import PromptTemplateVariable, VariableSource
from windlass.replies.talk import declines
from windlass.step import StepContext
from windlass.steps.documents import DocumentState, Instruction

StateT = TypeVar("StateT", bound=DocumentState)
ResultT = TypeVar("ResultT")

#: What a model can get wrong, without which the run goes on.
_FORGIVEN = (StepFailed, ModelError)
_DONE_WITHOUT = digest_of("done without")

#: Most answers side by side, and most rounds of improvement, that one run may ask for.
MAX_BEST_OF = 16
MAX_LOOPS = 10

DEFAULT_CRITERIA = "It does everything the person asks and nothing else; it is correct, complete and clear."

JUDGE_PROMPT = """\
Several answers were written to one request. Find the best.

# What the person asks
{{message}}

# Criteria
{{criteria}}

# Answers
{{answers}}

# Your step: judge
Compare the answers by the request and the criteria; length alone is no merit. Answer with one JSON object and nothing
else: {"choice": 2, "reason": "..."} with the number of the best answer. Only when parts of several belong together and no
answer alone would do: {"choice": 0, "reason": "what to take from which answer"}.
"""

REVIEW_PROMPT = """\
An answer to a request is to be improved.

# What the person asks
{{message}}

# Criteria
{{criteria}}

# The answer so far
{{answer}}

# Your step: review
Hold the answer against the request and each criterion, without telling. Then give it again whole, with what falls
short put right and what is good left as it is.
{{form}}
"""

_MUST = PromptTemplateVariable("message", VariableSource.USER_INPUT)
JUDGE = Instruction(
    "documents.judge",
    JUDGE_PROMPT,
    (_MUST, PromptTemplateVariable("criteria"), PromptTemplateVariable("answers")),
)
REVIEW = Instruction(
    "documents.review",
    REVIEW_PROMPT,
    (_MUST, *(PromptTemplateVariable(name) for name in ("criteria", "answer", "form"))),
)


class Verdict(pydantic.BaseModel):
    """What the judge says: the number of an answer, or 0 for a merger as ``reason`` tells."""

    choice: int
    reason: str = ""


async def produce(
    ctx: StepContext[StateT],
    prompt: Rendered,
    read: Callable[[str], str],
    *,
    what: str,
    form: str,
    role: str = "main",
) -> str:
    """What ``read`` makes of the best answer to ``prompt``.

    One request, unless the run asked for ``best_of`` or ``loops``. ``read`` raises ValueError for a reply that cannot be
    used; the model then hears why. ``form`` tells how a whole answer looks. Raises StepFailed when no answer can be used;
    once there is one, what fails is told in a notice, and noted in the journal so that a run that goes on decides the same.
    """
    options = ctx.state.options
    if options.best_of <= 1:
        answer = await ctx.ask_for(prompt, read, role=role, what=what)
    else:
        answer = await _best(ctx, prompt, read, what=what, form=form, role=role)
    for number in range(1, options.loops + 1):
        at = ctx.at(f"{ctx.path}.review[{number}]")
        better = await _improved(
            at, answer, read, what=what, form=form, role=role, otherwise=f"Round {number} gave nothing better"
        )
        if better == answer:
            ctx.notice(f"Round {number} changed nothing more.")
        if better is None or better == answer:
            break
        answer = better
    return answer


async def _best(
    ctx: StepContext[StateT],
    prompt: Rendered,
    read: Callable[[str], str],
    *,
    what: str,
    form: str,
    role: str,
) -> str:
    places = [ctx.at(f"{ctx.path}.best[{number}]") for number in range(1, ctx.state.options.best_of + 1)]

    async def draft(at: StepContext[StateT]) -> str | None:
        return None if _is_done_without(at) else await at.ask_for(prompt, read, role=role, what=what)

    results = await asyncio.gather(*map(draft, places), return_exceptions=True)
    answers: list[str] = [answer for answer in usable(results) if answer is not None]
    failed = [
        (at, result) for at, result in zip(places, results, strict=True) if isinstance(result, WindlassError)
    ]
    for _, error in failed:
        if not answers or not isinstance(error, _FORGIVEN):
            raise error
    for at, error in failed:
        await _do_without(at, f"{at.path}: {error}")
    different = list(dict.fromkeys(answers))
    if len(different) == 1:
        return different[0]
    judge = ctx.at(f"{ctx.path}.judge")

    async def choose() -> Verdict:
        asked = await render(
            judge,
            JUDGE,
            message=ctx.state.options.message.strip(),
            criteria=_criteria(ctx),
            answers=_numbered(different),
        )
        return await judge.ask_for(
            asked, lambda text: _verdict(text, len(different)), role="judge", what="verdict"
        )

    verdict = await _unless_it_fails(judge, choose, "No verdict on the answers; the first one stands")
    if verdict is None:
        return different[0]
    if verdict.choice:
        return different[verdict.choice - 1]
    merged = await _improved(
        ctx.at(f"{ctx.path}.merge"),
        _numbered(different),
        read,
        what=what,
        form=form,
        role=role,
        criteria=verdict.reason,
        otherwise="The answers could not be merged; the first one stands",
    )
    return different[0] if merged is None else merged


async def _improved(
    ctx: StepContext[StateT],
    answer: str,
    read: Callable[[str], str],
    *,
    what: str,
    form: str,
    role: str,
    otherwise: str,
    criteria: str = "",
) -> str | None:
    """A better answer; None, after a notice that begins with ``otherwise``, for a failure, a refusal or mere talk."""

    async def review() -> str:
        return await _review(ctx, answer, read, what=what, form=form, role=role, criteria=criteria)

    better = await _unless_it_fails(ctx, review, otherwise)
    if better is not None and declines(better) and not declines(answer):
        ctx.notice(f"{otherwise}: it says {better.strip()[:80]!r}.")
        return None
    return better


async def _unless_it_fails(
    ctx: StepContext[StateT], work: Callable[[], Awaitable[ResultT]], otherwise: str
) -> ResultT | None:
    if _is_done_without(ctx):
        return None
    try:
        return await work()
    except _FORGIVEN as error:
        await _do_without(ctx, f"{otherwise}: {error}")
        return None


def _is_done_without(ctx: StepContext[StateT]) -> bool:
    return ctx.effects.journal.recorded(_note_at(ctx), _DONE_WITHOUT) is not None


async def _do_without(ctx: StepContext[StateT], sentence: str) -> None:
    """Go on without what failed here, now and when the run is taken up again."""
    await ctx.effects.journal.record(_note_at(ctx), "value", _DONE_WITHOUT, None, sentence)
    ctx.notice(sentence)


def _note_at(ctx: StepContext[StateT]) -> str:
    return f"{ctx.record_at or ctx.path}/without[{ctx.first}]"


async def _review(
    ctx: StepContext[StateT],
    answer: str,
    read: Callable[[str], str],
    *,
    what: str,
    form: str,
    role: str,
    criteria: str = "",
) -> str:
    prompt = await render(
        ctx,
        REVIEW,
        message=ctx.state.options.message.strip(),
        criteria=criteria or _criteria(ctx),
        answer=answer,
        form=form,
    )
    return await ctx.ask_for(prompt, read, role=role, what=what)


def usable(results: Sequence[Any]) -> list[Any]:
    """The results that are no failure. A stop, a question to a person, a lost journal, or a fault of ours is raised."""
    for result in results:
        if isinstance(result, (Interrupted, WaitingForPerson, JournalError, StoreError)) or (
            isinstance(result, BaseException) and not isinstance(result, WindlassError)
        ):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def _verdict(text: str, answers: int) -> Verdict:
    from windlass.typed import read_json

    verdict = read_json(text, Verdict)
    if not 0 <= verdict.choice <= answers:
        raise ValueError(f"choice must be a number from 0 to {answers}, not {verdict.choice}.")
    if verdict.choice == 0 and not verdict.reason.strip():
        raise ValueError("choice 0 needs a reason that says what to take from which answer.")
    return verdict


async def render(ctx: StepContext[Any], instruction: Instruction, **values: Any) -> Rendered:
    """An instruction's effective version in this run, filled in."""
    bound = copy.copy(instruction)
    bound.repository = ctx.effects.prompts
    return await ctx.render(bound, **values)


def _criteria(ctx: StepContext[StateT]) -> str:
    return ctx.state.options.criteria.strip() or DEFAULT_CRITERIA


def _numbered(answers: Sequence[str]) -> str:
    return "\n\n".join(f"## Answer {number}\n{text.strip()}" for number, text in enumerate(answers, 1))
