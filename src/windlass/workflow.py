"""A workflow: its steps as a tree, its status, and the walk from its first step to its end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from windlass.config import StepsTemplateConfig, WorkflowTemplateStepsConfig, check_config
from windlass.effects import Effects
from windlass.errors import JournalError, StoreError, WindlassError, WorkflowExecutionError
from windlass.events import StepStatus, WorkflowStatus
from windlass.ids import generate_id
from windlass.journal import digest_of
from windlass.llm.base import BaseLLMIntegration
from windlass.people import CANCELLED, Interrupted, WaitingForPerson
from windlass.plan import PlanStep
from windlass.step import BaseStep, StepContext

StateT = TypeVar("StateT")


class BaseWorkflow:
    """What every workflow has: an id, a name, a config and a status. There is nothing to run here."""

    name: str = ""
    config: WorkflowTemplateStepsConfig | None = None

    def __init__(
        self, *, run_id: str | None = None, llm_integration: BaseLLMIntegration | None = None
    ) -> None:
        self.id = run_id or generate_id()
        self.status = WorkflowStatus.Pending
        self.llm_integration = llm_integration

    def set_workflow_name(self, name: str) -> None:
        """Name this instance; no other instance changes."""
        self.name = name

    def set_workflow_config(self, config: WorkflowTemplateStepsConfig) -> None:
        """Configure this instance. Raises ConfigError, naming the path of what is wrong."""
        check_config(config)
        self.config = config

    def get_workflow_status(self) -> WorkflowStatus:
        """How it stands."""
        return self.status

    async def start_workflow(self) -> WorkflowStatus:
        """Run the steps in order."""
        raise NotImplementedError(f"{type(self).__name__} has no steps to run; use one of its subclasses.")

    async def execute_step(self, step_id: str) -> str | None:
        """Run one step."""
        raise NotImplementedError(f"{type(self).__name__} has no steps to run; use one of its subclasses.")


class StepWorkflow(BaseWorkflow, Generic[StateT]):
    """A workflow made of steps from a config, over the effects of a run.

    Subclasses set ``name``, ``config`` and write :meth:`new_state`, and :meth:`summary_of` for the sentence
    that a run ends with. The engine hands in ``effects`` with :meth:`attach`; without it everything but
    the files lives in memory.
    """

    #: What plans call it.
    title: ClassVar[str] = ""

    def __init__(
        self, *, run_id: str | None = None, llm_integration: BaseLLMIntegration | None = None
    ) -> None:
        super().__init__(run_id=run_id, llm_integration=llm_integration)
        self.steps: dict[str, BaseStep] = {}
        self.tree: dict[str, BaseStep] = {}
        self.error: BaseException | None = None
        self.question: Any = None
        self.summary: str | None = None
        self._effects: Effects | None = None
        self._state: StateT | None = None
        if self.config is not None:
            check_config(self.config)
            self.tree = self._initialize_steps(self.config["steps"])

    def set_workflow_config(self, config: WorkflowTemplateStepsConfig) -> None:
        """Configure this instance and build its steps anew."""
        super().set_workflow_config(config)
        self.steps = {}
        self.tree = self._initialize_steps(config["steps"])

    def _initialize_steps(
        self, steps_config: Mapping[str, StepsTemplateConfig], parent: str = ""
    ) -> dict[str, BaseStep]:
        """Build the steps of one level, and below; every one is also entered in ``self.steps`` by its id."""
        built: dict[str, BaseStep] = {}
        for key, declaration in steps_config.items():
            step = declaration["step_class"](self, f"{parent}.{key}" if parent else key)
            step.steps = self._initialize_steps(declaration.get("steps", {}), step.path)
            self.steps[step.id] = step
            built[key] = step
        return built

    def find_step(self, step_id: str) -> BaseStep:
        """The step with this id or path. ValueError lists the known paths."""
        if step_id in self.steps:
            return self.steps[step_id]
        for step in self.steps.values():
            if step.path == step_id:
                return step
        known = ", ".join(step.path for step in self._in_order())
        raise ValueError(f"No step is called {step_id!r}; known paths: {known}.")

    def _in_order(self) -> list[BaseStep]:
        def walk(steps: Mapping[str, BaseStep]) -> list[BaseStep]:
            return [s for step in steps.values() for s in (step, *walk(step.steps))]

        return walk(self.tree)

    def to_json(self) -> str:
        """JSON: name, id, status and every step's ``to_dict()``, hierarchy kept."""
        return json.dumps(
            {
                "name": self.name,
                "id": self.id,
                "status": self.status.value,
                "steps": {key: step.to_dict() for key, step in self.tree.items()},
            },
            ensure_ascii=False,
        )

    def definition_hash(self) -> str:
        """Identifies the shape of the workflow: its steps' paths and classes."""
        return digest_of([self.name, [[s.path, type(s).__qualname__] for s in self._in_order()]])

    # -- running --------------------------------------------------------------------------------

    def new_state(self) -> StateT:
        """The state that a run begins with."""
        raise NotImplementedError

    def attach(self, effects: Effects) -> None:
        """Run over these effects from now on."""
        self._effects = effects
        for step in self.steps.values():
            step.repository = effects.prompts

    async def default_effects(self) -> Effects:
        """Effects for a workflow that nobody attached to an engine."""
        raise NotImplementedError

    async def _context(self) -> StepContext[StateT]:
        if self._effects is None:
            self.attach(await self.default_effects())
        assert self._effects is not None
        if self._state is None:
            self._state = self.new_state()
        return StepContext(self._effects, self._state, "")

    async def execute_step(self, step_id: str) -> str | None:
        """Run one step, by id or path; its result text. ValueError, listing the known paths, for any other."""
        step = self.find_step(step_id)
        ctx = await self._context()
        return await self._run_step(ctx, step)

    async def _run_step(self, ctx: StepContext[StateT], step: BaseStep) -> str | None:
        result = await ctx.run(step)
        if not step.runs_substeps:
            for sub in step.steps.values():
                await self._run_step(ctx, sub)
        return result

    def planned(self) -> list[PlanStep]:
        """The plan a run begins with: every top-level step."""
        return [PlanStep(step.path, step.title, step.description) for step in self.tree.values()]

    async def prepare(self, ctx: StepContext[StateT]) -> None:
        """Effects before the first step; nothing by default."""

    async def run_steps(self, ctx: StepContext[StateT]) -> None:
        """All steps, in order."""
        for step in self.tree.values():
            await self._run_step(ctx, step)

    def summary_of(self, state: StateT) -> str | None:
        """The sentence that a run ends with, from what was really done."""
        return None

    async def start_workflow(self) -> WorkflowStatus:
        """Run everything, from the first step (or from where the journal stands) to the end.

        Ends in Success, Failure, Waiting or Cancelled, and says which; ``error`` holds the cause of a
        failure. Interrupted leaves it Started. This is the one place where a step's exception ends.
        Raises only JournalError and StoreError: then nobody can say how the run stands.
        """
        self.status = WorkflowStatus.Started
        self.error = None
        # What an earlier start got to is in the journal; its replay must meet the same state.
        self._state = None
        ctx = await self._context()
        log = ctx.effects.log
        try:
            log.declare(self.planned())
            await self.prepare(ctx)
            await self.run_steps(ctx)
            self.status = WorkflowStatus.Success
        except WaitingForPerson as waiting:
            self.question = waiting.question
            self.status = WorkflowStatus.Waiting
        except Interrupted:
            self.status = WorkflowStatus.Cancelled if ctx.effects.stop.cancel else WorkflowStatus.Started
        except (JournalError, StoreError):
            raise
        except Exception as error:
            self.error = error
            self.status = WorkflowStatus.Failure
        if self.status is WorkflowStatus.Cancelled:
            log.skip_rest(CANCELLED)
        elif self.status is WorkflowStatus.Failure:
            log.skip_rest("The run ended before it.")
        self.summary = self.summary_of(ctx.state)
        return self.status

    def execution_error(self) -> WorkflowExecutionError | None:
        """The failure, with the run and the step it came from."""
        if self.error is None:
            return None
        failed = ""
        if self._effects is not None:
            failed = next(
                (
                    row["path"]
                    for row in reversed(self._effects.log.plan()["steps"])
                    if row["status"] == StepStatus.ERROR
                ),
                "",
            )
        cause: BaseException | str = self.error
        if not isinstance(self.error, WindlassError):
            cause = f"{type(self.error).__name__}: {self.error}"
        return WorkflowExecutionError(self.id, failed, cause)
