"""A step, and the one thing it sees: its context."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import pydantic

from windlass.effects import Effects, Rendered
from windlass.errors import ReplyError, StepFailed, WindlassError, WorkspaceConflict
from windlass.events import STEP_ENDS, StepStatus
from windlass.ids import derived_id
from windlass.journal import EntryState
from windlass.llm.base import Message, Reply
from windlass.people import Answer, Interrupted, Question, WaitingForPerson
from windlass.plan import PlanStep
from windlass.prompt import PromptTemplate, PromptVersioningMixin, Resolved
from windlass.replies import parse_reply
from windlass.testreport import TestReport
from windlass.typed import read_json
from windlass.workspace import Change, check_path, decode

if TYPE_CHECKING:
    from windlass.workflow import BaseWorkflow

StateT = TypeVar("StateT")
ResultT = TypeVar("ResultT")
ModelT = TypeVar("ModelT", bound=pydantic.BaseModel)

#: Effects of one kind that an occurrence of a step has at most, each time its work is done.
_ONE_TIME = 1000
#: How often one call may be corrected before its step gives up.
MAX_CORRECTIONS = 2


class HasPrompt(Protocol):
    """A step, or anything else whose prompt has versions."""

    @property
    def prompt_name(self) -> str:
        """The name its prompt's versions are kept under."""

    @property
    def variables(self) -> Sequence[Any]:
        """What its versions may use."""

    def resolve_prompt(self, run_id: str | None = None) -> Resolved:
        """The version to use now."""


@dataclass
class StepContext(Generic[StateT]):
    """What a step sees of its run: its own path, the workflow's state, and the effects it may have.

    ``path`` names this occurrence of the step (``implementation_step[src/a.py]``). Effects are numbered
    within it, so they must be called in an order that depends only on data; work that runs side by
    side goes through :meth:`each`, which gives every branch its own path.
    """

    effects: Effects
    state: StateT
    path: str
    step: BaseStep | None = None
    #: Where its effects are recorded, when that is not the path.
    record_at: str = ""
    #: What numbers of effects begin with; see :meth:`anew`.
    first: int = 0
    _counts: dict[str, int] = field(default_factory=dict)

    def _effect_path(self, kind: str) -> str:
        number = self._counts.get(kind, self.first)
        self._counts[kind] = number + 1
        return f"{self.record_at or self.path}/{kind}[{number}]"

    def _recorded_next(self, kind: str) -> bool:
        """Whether the next effect of this kind was done before this process took the run up."""
        entry = self.effects.journal.last(
            f"{self.record_at or self.path}/{kind}[{self._counts.get(kind, self.first)}]"
        )
        return entry is not None and entry.state is EntryState.DONE

    # -- models ---------------------------------------------------------------------------------

    async def render(self, step: HasPrompt, **values: Any) -> Rendered:
        """The step's effective prompt version, filled in. Costs nothing; raises TemplateError."""
        resolved = self.effects.used_prompts.get(step.prompt_name)
        if resolved is None:
            resolved = await self.effects.resolve(step.prompt_name, step.resolve_prompt)
        if resolved.source in ("stale", "default"):
            self.effects.log.notice(
                f"The prompt {resolved.name} came from {resolved.source} text: the prompt database cannot be read."
            )
        text = PromptTemplate(resolved.content, step.variables).fill(values)
        return Rendered(text, resolved)

    async def ask(
        self, prompt: Rendered, *, role: str = "main", more: Sequence[Message] = (), show: bool = True
    ) -> Reply:
        """One whole reply. ``more`` goes on with a conversation (the model's reply, a correction)."""
        messages = [Message("user", prompt.text), *more]
        return await self.effects.ask(
            self._effect_path("model"),
            self.path,
            messages,
            role=role,
            prompt=prompt,
            stream=show,
        )

    async def ask_for(
        self, prompt: Rendered, read: Callable[[str], ResultT], *, role: str = "main", what: str
    ) -> ResultT:
        """What ``read`` makes of the reply. A ValueError from it goes back to the model as a correction,
        at most twice; then StepFailed, naming ``what`` was wanted.

        A run that goes on after such a failure finds the refused replies in its journal, and asks afresh.
        """
        while True:
            more: list[Message] = []
            fresh = False
            for attempt in range(MAX_CORRECTIONS + 1):
                asked_now = not self._recorded_next("model")
                fresh = fresh or asked_now
                reply = await self.ask(prompt, role=role, more=more)
                try:
                    return read(reply.text)
                except ValueError as error:
                    refused = error
                correction = refused.correction if isinstance(refused, ReplyError) else str(refused)
                if asked_now and attempt < MAX_CORRECTIONS:
                    self.effects.log.notice(
                        f"{self.path}: reply refused, asking again: {refused}", path=self.path
                    )
                more += [Message("assistant", reply.text), Message("user", correction)]
            if fresh:
                raise StepFailed(
                    f"The model gave no usable {what} after {MAX_CORRECTIONS + 1} tries: {refused}"
                ) from refused

    async def ask_typed(
        self, prompt: Rendered, model: type[ModelT], *, role: str = "main", what: str
    ) -> ModelT:
        """A checked object from a JSON reply, asked for again when it does not fit."""
        return await self.ask_for(prompt, lambda text: read_json(text, model), role=role, what=what)

    async def ask_files(
        self,
        prompt: Rendered,
        *,
        asked_for: Sequence[str],
        known_files: Mapping[str, str],
        role: str = "main",
        what: str = "file",
    ) -> dict[str, str | None]:
        """Whole new texts by path, from any reply shape; None = delete. Nothing is written yet."""
        return await self.ask_for(
            prompt,
            lambda text: parse_reply(text, asked_for=asked_for, known_files=known_files),
            role=role,
            what=what,
        )

    # -- files, tests, people -------------------------------------------------------------------

    async def read(self, name: str) -> str | None:
        """A file's text (without BOM), None when there is none. Raises WorkspaceError for a binary file."""
        data = await self.effects.read(self._effect_path(f"read:{name}"), check_path(name))
        return None if data is None else decode(name, data).removeprefix("\ufeff")

    async def read_files(self, names: Sequence[str]) -> dict[str, str]:
        """The texts of those files that exist."""
        texts = [(name, await self.read(name)) for name in dict.fromkeys(names)]
        return {name: text for name, text in texts if text is not None}

    async def list_files(self) -> list[str]:
        """Every file of the workspace."""
        return await self.effects.list_files(self._effect_path("list"))

    async def write(self, texts: Mapping[str, str | None]) -> list[Change]:
        """Write all these files or none; see :meth:`Effects.write`."""
        return await self.effects.write(self._effect_path("write"), self.path, texts)

    async def run_tests(self, tests: Sequence[str]) -> TestReport:
        """Run these test files in the sandbox on a copy of the workspace."""
        return await self.effects.run_tests(self._effect_path("tests"), tests)

    async def ask_person(self, kind: str, text: str, detail: Mapping[str, Any] | None = None) -> Answer:
        """A person's answer; the run stops and waits when nobody is here."""
        return await self.effects.ask_a_person(
            Question(self._effect_path("answer"), kind, text, detail or {})
        )

    @property
    def can_ask(self) -> bool:
        """Whether a person is here to answer at once."""
        return self.effects.ask_person is not None

    def skip(self, why: str) -> None:
        """This step has nothing to do, and why."""
        self.effects.log.status(self.path, StepStatus.SKIPPED, reason=why)

    def notice(self, sentence: str) -> None:
        """Tell whoever watches the run."""
        self.effects.log.notice(sentence, path=self.path)

    # -- steps ----------------------------------------------------------------------------------

    def at(self, path: str, step: BaseStep | None = None) -> StepContext[StateT]:
        """The context of another occurrence, with counters of its own."""
        return StepContext(self.effects, self.state, path, step or self.step, first=self.first)

    def recording_at(self, path: str) -> StepContext[StateT]:
        """The same occurrence with its effects recorded at ``path``: for a step that does its work anew, in a later
        session of the run, because what it works on has changed."""
        return StepContext(self.effects, self.state, self.path, self.step, path, self.first)

    def anew(self, times: int) -> StepContext[StateT]:
        """The same occurrence, doing its work and that of the steps it runs anew: its effects, and theirs, have numbers that
        no effect has had when it was done ``times`` times before."""
        return StepContext(self.effects, self.state, self.path, self.step, self.record_at, times * _ONE_TIME)

    async def run(self, step: BaseStep, *, key: str | None = None, module: str | None = None) -> str | None:
        """Run a step (or the occurrence ``key`` of it) with its events; its result text."""
        path = step.path if key is None else f"{step.path}[{key}]"
        step.status = StepStatus.IN_PROGRESS
        try:
            return await in_step(
                self.at(path, step), step.execute, module=module or step.title, description=step.description
            )
        finally:
            step.status = self.effects.log.status_of(path) or StepStatus.PENDING

    async def each(
        self,
        keys: Sequence[str],
        work: Callable[[StepContext[StateT], str], Awaitable[ResultT]],
        *,
        module: Callable[[str], str],
        description: str = "",
        limit: int = 16,
    ) -> list[ResultT]:
        """Do ``work`` for every key side by side, each as an occurrence ``path[key]`` of this step.

        Every branch runs to its own end, so that nothing it pays for is lost; then the first failure,
        in the order of ``keys``, is raised.
        """
        gate = asyncio.Semaphore(limit)
        contexts = {key: self.at(f"{self.path}[{key}]") for key in keys}
        self.effects.log.declare([PlanStep(contexts[key].path, module(key), description) for key in keys])

        async def branch(key: str) -> ResultT:
            async with gate:
                return await in_step(
                    contexts[key], lambda ctx: work(ctx, key), module=module(key), description=description
                )

        results = await asyncio.gather(*(branch(key) for key in keys), return_exceptions=True)
        for wanted in (asyncio.CancelledError, Interrupted, BaseException):
            for result in results:
                if isinstance(result, wanted):
                    raise result
        return results  # type: ignore[return-value]


async def in_step(
    ctx: StepContext[StateT],
    work: Callable[[StepContext[StateT]], Awaitable[ResultT]],
    *,
    module: str,
    description: str = "",
) -> ResultT:
    """Do ``work`` between a step's first and last status. Every start gets exactly one end."""
    log, path = ctx.effects.log, ctx.path
    log.declare([PlanStep(path, module, description)])
    ctx.effects.check_stop()
    log.status(path, StepStatus.IN_PROGRESS)
    try:
        result = await work(ctx)
    except WaitingForPerson:
        log.status(path, StepStatus.WAITING)
        raise
    except Interrupted as error:
        # A cancelled run waits for nothing.
        status = StepStatus.SKIPPED if ctx.effects.stop.cancel else StepStatus.WAITING
        log.status(path, status, reason=str(error))
        raise
    except asyncio.CancelledError:
        log.status(path, StepStatus.ERROR, error="stopped before its end")
        raise
    except WorkspaceConflict as error:
        # The way out is the run's to tell: where files are worked on side by side it is another.
        log.status(path, StepStatus.ERROR, error=error.what)
        raise
    except WindlassError as error:
        log.status(path, StepStatus.ERROR, error=str(error))
        raise
    except Exception as error:
        # The step's end must be told whatever went wrong; the workflow says the rest.
        log.status(path, StepStatus.ERROR, error=f"{type(error).__name__}: {error}")
        raise
    if log.status_of(path) not in STEP_ENDS:
        log.status(path, StepStatus.FINISHED, response=result if isinstance(result, str) else None)
    return result


class BaseStep(PromptVersioningMixin):
    """One step of a workflow: a versioned prompt, and what is done with the reply.

    Subclasses set ``name``, ``default_prompt``, and write :meth:`execute` and :meth:`process_response`.
    The ``id`` is derived from the run and the path: it is the same after a restart.
    """

    name: str = ""
    #: What the plan shows.
    title: str = ""
    description: str = ""
    #: True: :meth:`execute` runs its sub-steps itself; False: they run after it, in order.
    runs_substeps: bool = False
    variables: Sequence[Any] = ()

    def __init__(self, workflow: BaseWorkflow, path: str = "") -> None:
        self.workflow = workflow
        self.path = path or self.name
        self.id = derived_id(str(getattr(workflow, "id", "")), self.path)
        self.steps: dict[str, BaseStep] = {}
        self.status = StepStatus.PENDING

    @property
    def prompt_name(self) -> str:
        """The name its prompt's versions are kept under."""
        return self.name

    @property
    def default(self) -> str:
        """The default prompt under its other name."""
        return self.default_prompt

    def construct_prompt(self, **values: Any) -> str:
        """The effective version of the prompt, filled in. Raises TemplateError, naming what is missing."""
        resolved = self.resolve_prompt(None)
        return PromptTemplate(resolved.content, self.variables).fill(values)

    @abstractmethod
    def process_response(self, response: str) -> Any:
        """What the step makes of a reply. Pure; raises ValueError for a reply it cannot use."""

    @abstractmethod
    async def execute(self, ctx: StepContext[Any]) -> str | None:
        """Do the step; its result as text for a person, None for nothing to say."""

    def to_dict(self) -> dict[str, Any]:
        """JSON: id, path, name, status, prompt template, effective version, sub-steps."""
        resolved = self.resolve_prompt(None)
        return {
            "id": self.id,
            "path": self.path,
            "name": self.name,
            "status": self.status.value,
            "prompt_name": self.prompt_name,
            "prompt_template": resolved.content,
            "effective_version": resolved.version_no,
            "steps": {key: step.to_dict() for key, step in self.steps.items()},
        }
