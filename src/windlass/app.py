"""The composition root: settings become parts, parts become runs. Also the Python API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from windlass import control, wiring
from windlass.budget import Budget, Scopes
from windlass.calling import Caller
from windlass.effects import Effects, spent_so_far
from windlass.errors import ConfigError
from windlass.events import Listener, WorkflowStatus
from windlass.ids import generate_id
from windlass.inputs import check_command
from windlass.journal import Journal, RunJournal, RunRecord
from windlass.llm.base import BaseLLMIntegration
from windlass.llm.registry import LLMIntegrationRegistry
from windlass.logs import RunLog
from windlass.owners import is_interrupted, is_owned
from windlass.people import Answer, AskPerson, StopSignal
from windlass.pinning import used_prompts
from windlass.plan import EventLog
from windlass.prompt import PromptStore
from windlass.prompt.given import with_texts
from windlass.runner import Runner
from windlass.settings import Settings, load_settings
from windlass.workflow import StepWorkflow
from windlass.workflows import check_workspace, checked_options, workflow_module
from windlass.workspace import Workspace

if TYPE_CHECKING:
    from windlass.llm.policy import Asker
    from windlass.store.base import Database
    from windlass.store.cleanup import Collected

#: A run in one of these goes on only when a person says so.
ENDED = (WorkflowStatus.Success, WorkflowStatus.Failure, WorkflowStatus.Cancelled)


@dataclass
class App:
    """One process's parts. Nothing is opened before it is used; :meth:`close` gives everything back."""

    settings: Settings = field(default_factory=load_settings)
    #: Models that are objects rather than names, by role; they win over what options and settings name.
    integrations: Mapping[str, BaseLLMIntegration] = field(default_factory=dict)

    @cached_property
    def database(self) -> Database:
        """The database of the settings."""
        from windlass.store.base import Database

        return Database(self.settings.database, busy_timeout=self.settings.lock_timeout)

    @cached_property
    def journal(self) -> Journal:
        """Runs and their journals."""
        from windlass.store.journal import SqlJournal

        return SqlJournal(self.database)

    @cached_property
    def prompts(self) -> PromptStore:
        """Versioned prompts."""
        from windlass.store.prompts import SqlPromptStore

        return SqlPromptStore(self.database, keep_versions=self.settings.keep_versions)

    @cached_property
    def shared_budgets(self) -> Scopes:
        """The caps that runs share: a day's, a batch's."""
        from windlass.store.budget import BudgetLedger

        return BudgetLedger(self.database)

    @cached_property
    def caller(self) -> Caller:
        """Makes model calls; one per process, so that limits are shared."""
        return Caller(self._asker, self.settings.keep_reply_timeout)

    @property
    def _asker(self) -> Asker:
        from windlass.llm.policy import Asker, RetryPolicy

        return Asker(
            RetryPolicy(
                attempts=self.settings.max_attempts,
                base=self.settings.retry_wait,
                retry_after_cap=self.settings.max_retry_after,
            )
        )

    # -- runs -----------------------------------------------------------------------------------

    def models_for(self, options: Mapping[str, Any]) -> LLMIntegrationRegistry:
        """The models of a run, by role and by alias. Raises InputError when none is set or one is unknown."""
        return wiring.registry(self.settings, options, self.integrations)

    def budget_for(
        self,
        options: Mapping[str, Any],
        spent: Decimal,
        *,
        run_id: str = "",
        say: Callable[[str, str], None] | None = None,
    ) -> Budget:
        """The caps of a run, its own and those it shares; see :func:`windlass.wiring.budget`."""
        return wiring.budget(
            self.settings, options, spent, lambda: self.shared_budgets, run_id=run_id, say=say
        )

    async def workspace(self, record: RunRecord, *, write: bool = True) -> Workspace:
        """The files of a run."""
        return await wiring.workspace(self.settings, record, write=write)

    async def stored_names(self, address: str) -> Sequence[str]:
        """The names in a workspace that is an object store; none for a folder."""
        return await wiring.stored_names(self.settings, address)

    def check_models(self, options: Mapping[str, Any]) -> None:
        """Raises InputError or BudgetExceeded for what would stop a run before its first call."""
        registry = self.models_for(options)
        budget = self.budget_for(options, Decimal(0))
        for role in ("main", "fast"):
            model = registry.get(role)
            if budget.capped:
                budget.check_price(model)

    async def estimate(self, workflow: str, options: Mapping[str, Any]) -> str | None:
        """One sentence on what a run will cost, to be said before it begins; None where every call is free."""
        from windlass.estimates import estimate

        budget = self.budget_for(options, Decimal(0))
        return await estimate(self.journal, self.models_for(options), budget, workflow, options)

    async def interrupted(self) -> list[RunRecord]:
        """The runs that were begun, have not ended and that nobody works on, oldest first."""
        started = await self.journal.list_runs(limit=10_000, status=[WorkflowStatus.Started])
        return [record for record in reversed(started) if is_interrupted(record)]

    async def forgettable(self, *, keep_days: float) -> list[RunRecord]:
        """The runs that :meth:`forget_old` would forget, oldest first."""
        protected = await self._evidence()
        before = time.time() - keep_days * 86_400
        ended = await self.journal.list_runs(limit=1_000_000, status=ENDED)
        return [
            record
            for record in reversed(ended)
            if (record.finished_at or record.updated_at) < before
            and record.run_id not in protected
            and not is_owned(record)
        ]

    async def forget_old(self, *, keep_days: float) -> Collected:
        """Forget runs that ended more than ``keep_days`` ago, and contents nobody needs; what went.

        Never a run that waits, can go on by itself, is owned, or that evidence rests on.
        """
        from windlass.store.journal import SqlJournal

        return await SqlJournal(self.database).gc(keep_days=keep_days, protected=await self._evidence())

    async def _evidence(self) -> set[str]:
        from windlass.store.evidence_runs import runs_with_evidence

        return await asyncio.to_thread(runs_with_evidence, self.database)

    async def create_run(
        self, workflow: str, title: str, workspace: str, options: Mapping[str, Any]
    ) -> RunRecord:
        """Keep a new run, not begun. Raises InputError for an unknown workflow or options it cannot use, and like
        :meth:`check`; then nothing is kept."""
        return await self.keep(await self.new_record(workflow, title, workspace, options))

    async def keep(self, record: RunRecord) -> RunRecord:
        """Keep a run of :meth:`new_record` that passes :meth:`check`."""
        await self.check(record)
        await self.journal.create_run(record)
        return record

    async def check(self, record: RunRecord, *, here: bool = True) -> None:
        """Whatever keeps a run of :meth:`new_record` calls this first; it raises what would stop the run before its first
        call: InputError for models, a test command, given files or a file to write that cannot be used, BudgetExceeded
        as :meth:`check_models`, WorkspaceError for a workspace that cannot be worked in.

        ``here`` False: other machines work on it, whose models and commands are their own.
        """
        if here:
            self.check_models(record.options)
            check_command(record.options.get("test_command") or ())
        await check_workspace(record.workflow, record.options, await self.workspace(record))

    async def new_record(
        self,
        workflow: str,
        title: str,
        workspace: str,
        options: Mapping[str, Any],
        *,
        run_id: str | None = None,
    ) -> RunRecord:
        """A run that is not kept yet, its options checked and completed. Raises InputError for an unknown workflow or
        options it cannot use."""
        checked = await checked_options(workflow, options, self.journal)
        return RunRecord(
            run_id=run_id or generate_id(),
            workflow=workflow,
            title=" ".join(title.split())[:200],
            workspace=workspace,
            options=dict(checked),
        )

    async def execute(
        self,
        run_id: str,
        *,
        listeners: Iterable[Listener] = (),
        ask_person: AskPerson | None = None,
        stop: StopSignal | None = None,
        stream: bool = True,
    ) -> RunRecord:
        """Run or resume a run to its end, or to where a person must answer; its record then.

        ``stream`` False: nobody watches, so each call is one plain request.
        """
        stop = stop or StopSignal()
        opened: list[Effects] = []

        async def build_effects(
            record: RunRecord, journal: RunJournal, log: EventLog, signal: StopSignal
        ) -> Effects:
            effects = await self._effects(record, journal, log, signal, ask_person)
            effects.stream = stream
            opened.append(effects)
            return effects

        heard = list(listeners)
        log = None if self.settings.log is None else RunLog(self.settings.log)
        if log is not None:
            heard.append(log.on_event)
        runner = Runner(self.journal, self.prompts, self._workflow, build_effects, heard, stop, self._pins)
        try:
            return await runner.run(run_id)
        finally:
            for effects in opened:
                await effects.models.close()
            if log is not None:
                log.close()

    async def prepare_resume(
        self, run_id: str, *, assume_yes: bool = False, changes: Mapping[str, Any] | None = None
    ) -> str:
        """The whole id of a run that can go on; see :func:`windlass.control.prepare_resume`."""
        return await control.prepare_resume(self.journal, run_id, assume_yes=assume_yes, changes=changes)

    async def answer(self, run_id: str, answer: Answer) -> None:
        """Keep a person's answer to what a run waits for; see :func:`windlass.control.answer`."""
        await control.answer(self.journal, run_id, answer)

    async def cancel(self, run_id: str, *, now: bool = False) -> RunRecord:
        """End a run as Cancelled, or ask the process that works on it to; see :func:`windlass.control.cancel`."""
        record = await control.cancel(self.journal, run_id, now=now)
        if record.status is WorkflowStatus.Cancelled:
            # Nobody settles what it had set aside for calls that were cut off.
            await self.shared_budgets.release_owner(f"run:{record.run_id}")
        return record

    async def fork(
        self,
        run_id: str,
        step: str,
        *,
        workspace: str | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> RunRecord:
        """A new run, not begun, that has done what ``run_id`` did before ``step``; see :func:`windlass.control.fork`.

        The files that the kept part wrote are put into another ``workspace``. Raises also like :meth:`check_models`.
        """
        record = await self.journal.get_run(run_id)
        self.check_models({**record.options, **(changes or {})})
        files = None if workspace is None else await self.workspace(record.evolve(workspace=workspace))
        return await control.fork(
            self.journal, run_id, step, workspace=workspace, files=files, changes=changes
        )

    def _pins(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return wiring.pinned(self.settings, options)

    def _workflow(self, record: RunRecord) -> StepWorkflow[Any]:
        module = workflow_module(record.workflow)
        if module is None:
            raise ConfigError(
                f"Run {record.run_id} needs the workflow {record.workflow!r}, which is not known here."
            )
        workflow: StepWorkflow[Any] = module.build(record)
        return workflow

    async def _effects(
        self,
        record: RunRecord,
        journal: RunJournal,
        log: EventLog,
        stop: StopSignal,
        ask_person: AskPerson | None,
    ) -> Effects:
        from windlass.sandbox import select_sandbox

        options, begun = record.options, wiring.as_begun(self.settings, record)
        models = wiring.registry(begun, options, self.integrations)
        workspace = await self.workspace(record)
        level = options.get("sandbox") or self.settings.sandbox
        budget = self.budget_for(
            options,
            spent_so_far(list(journal.all.values())),
            run_id=record.run_id,
            say=lambda sentence, scope: log.notice(sentence, budget=scope),
        )
        if budget.shared:
            # What an earlier owner of this run had set aside and never settled may have been paid.
            await self.shared_budgets.release_owner(f"run:{record.run_id}")
        label = models.get("main").label
        if label:
            log.notice(label[:1].upper() + label[1:] + ".", label=label)
        if (
            begun.model != self.settings.model
            and not options.get("model")
            and "main" not in self.integrations
        ):
            log.notice(
                f"The run goes on with the model that it began with, {begun.model}; another one takes: "
                f"windlass fork {record.run_id} --from STEP --model MODEL"
            )
        return Effects(
            run_id=record.run_id,
            journal=journal,
            log=log,
            models=models,
            prompts=with_texts(self.prompts, options.get("prompt_texts") or {}),
            workspace=workspace,
            get_sandbox=lambda: select_sandbox(level),
            budget=budget,
            caller=self.caller,
            ask_person=ask_person,
            stop=stop,
            approve=frozenset(options.get("approve") or ()),
            test_command=options.get("test_command") or begun.test_command,
            on_unknown=self.settings.on_unknown,
            used_prompts=await used_prompts(self.journal, journal.all.values()),
            forked_writes=await control.forked_writes(self.journal, record),
        )

    async def close(self) -> None:
        """Finish what is queued and give back connections."""
        if "journal" in self.__dict__:
            await self.journal.close()
        if "database" in self.__dict__:
            await asyncio.to_thread(self.database.close)
