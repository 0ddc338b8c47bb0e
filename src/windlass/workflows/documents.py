"""What the document workflows share: options, references, the end of a run, and the original call shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from windlass.effects import Effects
from windlass.errors import StepFailed
from windlass.events import Listener, StepStatus
from windlass.journal import RunRecord
from windlass.llm.base import BaseLLMIntegration
from windlass.llm.registry import LLMIntegrationRegistry
from windlass.plan import PlanStep
from windlass.step import StepContext
from windlass.steps.documents import DocumentOptions, DocumentState
from windlass.steps.fanout import failures_of
from windlass.steps.summarise import at_facts, file_facts
from windlass.workflow import StepWorkflow
from windlass.workflows.standalone import standalone_effects
from windlass.workspace import WorkspaceSetting

if TYPE_CHECKING:
    from windlass.app import App


class DocumentWorkflow(StepWorkflow[DocumentState]):
    """A workflow over a message and files. Subclasses set ``key``, ``title``, ``config``, and write
    :meth:`planned` and :meth:`work`.

    ``app`` and ``listeners`` are for :meth:`execute`: the engine to run over, and who hears its events. A model comes as ``llm_integration`` (for every role) or as a registry with the names ``main``, ``fast`` and ``judge``.
    """

    #: The name people type.
    key: ClassVar[str] = ""

    def __init__(
        self,
        workspace_setting: WorkspaceSetting | None = None,
        *,
        options: DocumentOptions | None = None,
        llm_integration: BaseLLMIntegration | None = None,
        llm_integration_registry: LLMIntegrationRegistry | None = None,
        app: App | None = None,
        listeners: Iterable[Listener] = (),
        run_id: str | None = None,
    ) -> None:
        super().__init__(run_id=run_id, llm_integration=llm_integration)
        self.workspace_setting = workspace_setting or WorkspaceSetting(".")
        self.llm_integration_registry = llm_integration_registry or LLMIntegrationRegistry()
        if llm_integration is not None:
            for role in ("main", "fast", "judge"):
                self.llm_integration_registry.add(role, llm_integration)
        self.options = options or DocumentOptions("")
        self.app = app
        self.listeners = list(listeners)

    @classmethod
    def of(cls, record: RunRecord) -> Self:
        """The workflow of a stored run."""
        return cls(
            WorkspaceSetting(record.workspace),
            options=DocumentOptions.of(record.options),
            run_id=record.run_id,
        )

    async def execute(
        self,
        process_prompt: Any,
        initial_message: str,
        file_references: Sequence[str] | None = None,
        selected_message_ids: Sequence[str] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> str:
        """Run the whole workflow, the way code written for the original calls it; the result's text.

        ``process_prompt`` is the model: a :class:`BaseLLMIntegration`, a function from a prompt to its reply (plain,
        async, or an iterator of pieces), or None for the model of the settings. ``selected_message_ids`` are
        earlier runs, as ``RUN`` or ``RUN:STEP``. Raises WorkflowExecutionError when a step fails, InputError (mostly
        also a ValueError) for what cannot be started.
        """
        from windlass.workflows.adapter import execute

        return await execute(
            self, process_prompt, initial_message, file_references, selected_message_ids, tags
        )

    def new_state(self) -> DocumentState:
        """A fresh state around the options."""
        return DocumentState(self.options)

    async def default_effects(self) -> Effects:
        """A journal and prompts in memory; real files and a real sandbox."""
        return await standalone_effects(
            self.id, self.title, self.workspace_setting, self.llm_integration_registry
        )

    def reference_names(self) -> Sequence[str]:
        """The files of the workspace that are read as references before the first step."""
        return (*self.options.references, *self.options.files)

    async def prepare(self, ctx: StepContext[DocumentState]) -> None:
        """Read the references, once for all steps."""
        inputs = ctx.at("inputs")
        state = ctx.state
        state.references.update(await inputs.read_files(self.reference_names()))
        state.references.update(self.options.texts)
        missing = [name for name in self.reference_names() if name not in state.references]
        if missing:
            raise StepFailed(f"There is no file {missing[0]} in the workspace any more.")

    async def run_steps(self, ctx: StepContext[DocumentState]) -> None:
        """The work; then, for workflows that end in one, the summary, which is told of every failure."""
        await self.work(ctx)
        if "summary_step" in self.tree:
            await self._summarise(ctx)
        failure = failures_of(ctx.state)
        if failure is not None:
            raise failure

    async def work(self, ctx: StepContext[DocumentState]) -> None:
        """Everything before the summary."""
        raise NotImplementedError

    def facts(self, state: DocumentState) -> str:
        """What was done, from the records alone."""
        return file_facts(state)

    async def _summarise(self, ctx: StepContext[DocumentState]) -> None:
        step = self.tree["summary_step"]
        log = ctx.effects.log
        ctx.state.facts = self.facts(ctx.state)
        told = ctx.effects.journal.last(f"{at_facts(ctx.at(step.path)).record_at}/model[0]")
        if told is None and log.status_of(step.path) is StepStatus.FINISHED:
            # An earlier session of this run summed up failures that are mended by now.
            log.reopen(step.path)
        await self._run_step(ctx, step)

    def grow(self, ctx: StepContext[DocumentState], steps: Sequence[PlanStep]) -> None:
        """Declare steps that only the run itself could foresee; the plan goes out again, once."""
        ctx.effects.log.declare(steps)

    def summary_of(self, state: DocumentState) -> str | None:
        """The summary step's text, or the facts as far as they are known."""
        return state.summary or state.facts or None
