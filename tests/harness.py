"""A run's parts in memory, for tests of workflows: real engine, real files, scripted model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from windlass.budget import Budget
from windlass.calling import Caller
from windlass.effects import Effects, spent_so_far
from windlass.events import Event
from windlass.ids import generate_id
from windlass.journal import MemoryJournal, RunJournal, RunRecord
from windlass.llm import LLMIntegrationRegistry
from windlass.llm.base import BaseLLMIntegration
from windlass.llm.policy import Asker, RetryPolicy
from windlass.people import AskPerson, StopSignal
from windlass.plan import EventLog
from windlass.prompt import MemoryPromptStore
from windlass.runner import HEARTBEAT_SECONDS, Runner
from windlass.sandbox import select_sandbox
from windlass.steps.context import CodingOptions
from windlass.testing.llm import Asked, Response, ScriptedLLM
from windlass.workflow import StepWorkflow
from windlass.workflows.coding import AutomatedCodingWorkflow
from windlass.workspace import WorkspaceSetting, open_workspace


def by_step(replies: Mapping[str, Response | list[Response]]) -> ScriptedLLM:
    """A model that answers by step path; a list is used up in order, its last entry for ever."""
    left = {step: list(reply) if isinstance(reply, list) else [reply] for step, reply in replies.items()}

    def answer(asked: Asked) -> Response:
        queue = left[asked.tags.step]
        return queue.pop(0) if len(queue) > 1 else queue[0]

    return ScriptedLLM(answer)


def asked_steps(model: ScriptedLLM) -> list[str]:
    """The step paths that asked, in order."""
    return [asked.tags.step for asked in model.requests]


@dataclass
class Engine:
    """Runs a workflow over a journal that outlives each run of it: :meth:`go` again is a resume."""

    folder: Path
    model: BaseLLMIntegration
    build: Callable[[RunRecord], StepWorkflow[Any]]
    ask_person: AskPerson | None = None
    limit: Decimal | None = None
    allow_unknown_price: bool = False
    prompts: MemoryPromptStore = field(default_factory=MemoryPromptStore)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    run_id: str = field(default_factory=generate_id)
    events: list[Event] = field(default_factory=list)
    stop: StopSignal = field(default_factory=StopSignal)
    workflow: StepWorkflow[Any] | None = None
    heartbeat: float = HEARTBEAT_SECONDS

    async def go(self) -> RunRecord:
        """Run, or go on, to the end; the record then."""
        try:
            await self.journal.get_run(self.run_id)
        except LookupError:
            await self.journal.create_run(RunRecord(self.run_id, "test", "test", workspace=str(self.folder)))

        def build(record: RunRecord) -> StepWorkflow[Any]:
            self.workflow = self.build(record)
            return self.workflow

        runner = Runner(
            self.journal,
            self.prompts,
            build,
            self._effects,
            [self.events.append],
            self.stop,
            heartbeat=self.heartbeat,
        )
        return await runner.run(self.run_id)

    async def _effects(
        self, record: RunRecord, journal: RunJournal, log: EventLog, stop: StopSignal
    ) -> Effects:
        models = LLMIntegrationRegistry()
        for role in ("main", "fast", "judge"):
            models.add(role, self.model)
        return Effects(
            run_id=record.run_id,
            journal=journal,
            log=log,
            models=models,
            prompts=self.prompts,
            workspace=await open_workspace(WorkspaceSetting(str(self.folder)), create=True),
            get_sandbox=select_sandbox,
            budget=Budget(
                self.limit,
                allow_unknown_price=self.allow_unknown_price,
                spent=spent_so_far(list(journal.all.values())),
            ),
            caller=Caller(Asker(RetryPolicy(attempts=1))),
            ask_person=self.ask_person,
            stop=stop,
        )

    async def entries(self) -> list[Any]:
        """The run's journal entries."""
        return list(await self.journal.entries(self.run_id))

    def statuses(self, path: str) -> list[str]:
        """What was said of a step, in order."""
        return [
            e.payload["status"]
            for e in self.events
            if e.name == "update_workflow_step" and e.payload["path"] == path and "status" in e.payload
        ]


def coding_engine(folder: Path, model: BaseLLMIntegration, **options: Any) -> Engine:
    """The coding workflow with these options."""
    given = CodingOptions(**{"requirement": "A function slugify(text).", "assume_yes": True, **options})

    def build(record: RunRecord) -> StepWorkflow[Any]:
        return AutomatedCodingWorkflow(WorkspaceSetting(str(folder)), options=given, run_id=record.run_id)

    return Engine(folder, model, build)


SLUG = 'def slugify(text):\n    return "-".join(text.lower().split())\n'
WRONG_SLUG = "def slugify(text):\n    return text.lower()\n"
SLUG_TEST = (
    'from slug import slugify\n\n\ndef test_slugify():\n    assert slugify("Hello  World") == "hello-world"\n'
)
DESIGN = '{"files": [{"path": "slug.py", "purpose": "slugify(text)"}], "tests": [{"path": "test_slug.py"}]}'
#: A model's replies by step that lead to Success.
GOOD: dict[str, Response | list[Response]] = {
    "requirement_step": '{"acceptance_criteria": ["Words are joined by one dash."], "open_questions": []}',
    "requirement_step.refine": '{"acceptance_criteria": ["As answered."], "open_questions": []}',
    "design_step": DESIGN,
    "test_generation_step[test_slug.py]": f"test_slug.py\n```python\n{SLUG_TEST}```\n",
    "implementation_step[slug.py]": f"slug.py\n```python\n{SLUG}```\n",
    "testing_step.repair[1]": f"slug.py\n```python\n{SLUG}```\n",
    "summary_step": "slugify(text) joins words with dashes.",
}
