"""One answer out of several: n side by side and a judge, then rounds of improvement. Off by default."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pydantic

from windlass.effects import Rendered
from windlass.errors import JournalError, StoreError, WindlassError
from windlass.people import Interrupted, WaitingForPerson
from windlass.prompt import PromptTemplateVariable, VariableSource
from windlass.step import StepContext
from windlass.steps.documents import DocumentState, Instruction

StateT = TypeVar("StateT", bound=DocumentState)

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
    used; the model then hears why. ``form`` tells how a whole answer looks. Raises StepFailed when no answer can be used.
    """
    options = ctx.state.options
    if options.best_of <= 1:
        answer = await ctx.ask_for(prompt, read, role=role, what=what)
    else:
        answer = await _best(ctx, prompt, read, what=what, form=form, role=role)
    for number in range(1, options.loops + 1):
        better = await _review(
            ctx.at(f"{ctx.path}.review[{number}]"), answer, read, what=what, form=form, role=role
        )
        if better == answer:
            ctx.notice(f"Round {number} changed nothing more.")
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
    paths = [f"{ctx.path}.best[{number}]" for number in range(1, ctx.state.options.best_of + 1)]
    branches = (ctx.at(path).ask_for(prompt, read, role=role, what=what) for path in paths)
    results = await asyncio.gather(*branches, return_exceptions=True)
    answers: list[str] = usable(results)
    for path, result in zip(paths, results, strict=True):
        if isinstance(result, BaseException):
            ctx.notice(f"{path}: {result}")
    if not answers:
        raise next(result for result in results if isinstance(result, BaseException))
    different = list(dict.fromkeys(answers))
    if len(different) == 1:
        return different[0]
    judge = ctx.at(f"{ctx.path}.judge")
    asked = await render(
        judge,
        JUDGE,
        message=ctx.state.options.message.strip(),
        criteria=_criteria(ctx),
        answers=_numbered(different),
    )
    verdict = await judge.ask_for(
        asked, lambda text: _verdict(text, len(different)), role="judge", what="verdict"
    )
    if verdict.choice:
        return different[verdict.choice - 1]
    merge = ctx.at(f"{ctx.path}.merge")
    return await _review(
        merge, _numbered(different), read, what=what, form=form, role=role, criteria=verdict.reason
    )


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
