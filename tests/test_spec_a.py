"""SPEC A1-A37 and the engine's part of C1, C2, C3, C5 and C9, each under its ID."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from tests.harness import (
    DESIGN,
    GOOD,
    SLUG,
    SLUG_TEST,
    WRONG_SLUG,
    Engine,
    asked_steps,
    by_step,
    coding_engine,
)
from windlass.config import StepsTemplateConfig, WorkflowTemplateStepsConfig, check_config
from windlass.errors import (
    ConfigError,
    ModelRefused,
    ModelUnavailable,
    NotFound,
    StepFailed,
    StoreError,
    TemplateError,
    UnknownModel,
    WorkflowExecutionError,
)
from windlass.events import WorkflowStatus
from windlass.ids import UniqueIDGenerator
from windlass.journal import RunRecord
from windlass.llm import BaseLLMIntegration, LLMIntegrationRegistry
from windlass.prompt import (
    MemoryPromptStore,
    PromptTemplate,
    PromptTemplateVariable,
    PromptVersioningMixin,
    VariableSource,
    VersionedPrompt,
)
from windlass.step import BaseStep, StepContext
from windlass.steps.design import ArchitectureDesignStep
from windlass.steps.requirement import RequirementStep
from windlass.store.base import BaseModel, BaseRepository, Database
from windlass.store.prompt_models import PromptVersionModel
from windlass.store.prompt_repository import PromptVersionRepository
from windlass.store.prompts import SqlPromptStore
from windlass.testing.llm import ScriptedLLM
from windlass.workflow import BaseWorkflow, StepWorkflow
from windlass.workflows.coding import WORKFLOW_CONFIG, AutomatedCodingWorkflow
from windlass.workspace import WorkspaceSetting


class Echo(BaseStep):
    """A step without a model."""

    name = "echo"
    default_prompt = 'Say {{word}} and keep {braces} and {"json": 1}.'

    @property
    def prompt_name(self) -> str:
        return "test.echo"

    def process_response(self, response: str) -> str:
        return response

    async def execute(self, ctx: StepContext[Any]) -> str | None:
        return f"done {self.path}"


def workflow(folder: Path, **options: Any) -> AutomatedCodingWorkflow:
    return AutomatedCodingWorkflow(WorkspaceSetting(str(folder)), requirement="A slug.", **options)


class Small(StepWorkflow[list[str]]):
    """A workflow of the steps of a test."""

    name = "small"
    title = "Small"

    def new_state(self) -> list[str]:
        return []


def small(config: dict[str, Any], run_id: str | None = None) -> Small:
    made = Small(run_id=run_id)
    made.set_workflow_config({"steps": config})
    return made


# -- vocabulary ---------------------------------------------------------------------------------


def test_a1_workflow_status() -> None:
    assert issubclass(WorkflowStatus, Enum)
    assert {m.name: m.value for m in WorkflowStatus} == {
        name: name for name in ("Pending", "Started", "Waiting", "Success", "Failure", "Cancelled")
    }


def test_a2_config_types() -> None:
    assert StepsTemplateConfig.__optional_keys__ == {"step_class", "steps"}
    assert not StepsTemplateConfig.__required_keys__
    assert WorkflowTemplateStepsConfig.__annotations__.keys() == {"workspace_path", "steps"}
    assert (
        inspect.get_annotations(StepsTemplateConfig)["steps"].__forward_arg__
        == "dict[str, StepsTemplateConfig]"
    )


def test_a3_workflow_config() -> None:
    steps = WORKFLOW_CONFIG["steps"]
    assert list(steps) == [
        "requirement_step", "design_step", "test_generation_step", "implementation_step", "testing_step",
        "summary_step",
    ]  # fmt: skip
    assert set(steps["requirement_step"]["steps"]) == {"refine"}
    assert set(steps["testing_step"]["steps"]) == {"repair"}


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"steps": {"requirement_step": {"step_class": RequirementStep, "steps": {"refine": {}}}}},
            "steps.requirement_step.steps.refine: step_class is missing",
        ),
        ({"steps": {"a": {"step_class": str}}}, "steps.a: step_class must be a subclass of BaseStep"),
        ({"steps": {"a": {"step_class": BaseStep}}}, "steps.a: BaseStep is abstract"),
        ({"steps": {"a": {"step_class": Echo, "stpes": {}}}}, "steps.a: unknown key 'stpes'"),
        ({"steps": {"a b": {"step_class": Echo}}}, "steps: the key 'a b'"),
        ({"steps": {"a": [Echo]}}, "steps.a: must be a dictionary"),
        ({"steps": {}}, "steps: is empty"),
        ({}, "steps: is missing"),
        ([], "must be a dictionary"),
    ],
)
def test_a4_a_wrong_config_is_named_by_its_path(config: Any, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_config(config)
    assert sentence in str(caught.value)
    # Checked when a workflow is built, not when it runs.
    with pytest.raises(ConfigError):
        Small().set_workflow_config(config)
    with pytest.raises(ConfigError):
        type("Wrong", (Small,), {"config": config})()


# -- BaseWorkflow -------------------------------------------------------------------------------


def test_a5_base_workflow_attributes() -> None:
    model = ScriptedLLM([])
    first, second = BaseWorkflow(llm_integration=model), BaseWorkflow()
    assert first.id != second.id
    assert (first.status, first.llm_integration, second.llm_integration) == (
        WorkflowStatus.Pending,
        model,
        None,
    )
    assert hasattr(BaseWorkflow, "name")
    assert hasattr(BaseWorkflow, "config")


def test_a6_name_and_config_do_not_leak(tmp_path: Path) -> None:
    first, second = workflow(tmp_path), workflow(tmp_path)
    first.set_workflow_name("mine")
    first.set_workflow_config({"steps": {"echo": {"step_class": Echo}}})
    assert (first.name, second.name) == ("mine", "automated_coding_workflow")
    assert second.config is WORKFLOW_CONFIG
    assert AutomatedCodingWorkflow.config is WORKFLOW_CONFIG
    assert [s.path for s in first.steps.values()] == ["echo"]
    assert len(second.steps) == 8


def test_a7_get_workflow_status(tmp_path: Path) -> None:
    made = workflow(tmp_path)
    assert made.get_workflow_status() is WorkflowStatus.Pending
    made.status = WorkflowStatus.Waiting
    assert made.get_workflow_status() is WorkflowStatus.Waiting


async def test_a8_start_workflow_on_the_base_has_nothing_to_run() -> None:
    with pytest.raises(NotImplementedError):
        await BaseWorkflow().start_workflow()


async def test_a8_started_then_success_in_order(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    class Looks(Echo):
        async def execute(self, ctx: StepContext[Any]) -> str | None:
            seen.append((self.path, self.workflow.status.value))
            assert self.to_dict()["status"] == "in-progress"
            return None

    engine = Engine(
        tmp_path,
        ScriptedLLM([]),
        lambda record: small(
            {"b": {"step_class": Looks, "steps": {"x": {"step_class": Looks}}}, "a": {"step_class": Looks}},
            record.run_id,
        ),
    )
    record = await engine.go()
    assert record.status is WorkflowStatus.Success
    assert seen == [("b", "Started"), ("b.x", "Started"), ("a", "Started")]


async def test_a9_execute_step_on_the_base_has_nothing_to_run() -> None:
    with pytest.raises(NotImplementedError):
        await BaseWorkflow().execute_step("any")


# -- AutomatedCodingWorkflow --------------------------------------------------------------------


def test_a10_attributes(tmp_path: Path) -> None:
    made = workflow(tmp_path)
    assert isinstance(made, BaseWorkflow)
    assert isinstance(made.workspace_setting, WorkspaceSetting)
    assert isinstance(made.llm_integration_registry, LLMIntegrationRegistry)
    assert made.name == "automated_coding_workflow"
    assert made.config is WORKFLOW_CONFIG
    assert all(key == step.id and isinstance(step, BaseStep) for key, step in made.steps.items())


def test_a11_same_keys_under_different_parents_and_stable_ids() -> None:
    twice = {
        "one": {"step_class": Echo, "steps": {"same": {"step_class": Echo}}},
        "two": {
            "step_class": Echo,
            "steps": {"same": {"step_class": Echo, "steps": {"same": {"step_class": Echo}}}},
        },
    }
    first, again, other = small(twice, "run-1"), small(twice, "run-1"), small(twice, "run-2")
    paths = [s.path for s in first.steps.values()]
    assert sorted(paths) == ["one", "one.same", "two", "two.same", "two.same.same"]
    assert len(first.steps) == 5
    assert list(first.steps) == list(again.steps)
    assert not set(first.steps) & set(other.steps)
    built = first._initialize_steps(twice)
    assert list(built) == ["one", "two"]
    assert list(built["two"].steps["same"].steps) == ["same"]


def test_a12_to_json(tmp_path: Path) -> None:
    made = workflow(tmp_path)
    told = json.loads(made.to_json())
    assert (told["name"], told["id"], told["status"]) == (made.name, made.id, "Pending")
    assert list(told["steps"]) == list(WORKFLOW_CONFIG["steps"])
    refine = told["steps"]["requirement_step"]["steps"]["refine"]
    assert refine["path"] == "requirement_step.refine"
    assert refine["name"] == "refine"
    assert "class" not in made.to_json()


async def test_a13_execute_step_by_id_and_path(tmp_path: Path) -> None:
    made = workflow(tmp_path, llm_integration=by_step(GOOD))
    design = made.find_step("design_step")
    assert await made.execute_step("requirement_step") == "- Words are joined by one dash."
    assert await made.execute_step(design.id) == "- `slug.py`: slugify(text)"
    with pytest.raises(ValueError, match="design_stp") as caught:
        await made.execute_step("design_stp")
    for path in ("requirement_step", "requirement_step.refine", "testing_step.repair", "summary_step"):
        assert path in str(caught.value)


async def test_a14_start_workflow_does_the_whole_job(tmp_path: Path) -> None:
    wrong: Any = {**GOOD, "implementation_step[slug.py]": f"slug.py\n```python\n{WRONG_SLUG}```\n"}
    model = by_step(wrong)
    made = workflow(tmp_path, llm_integration=model)
    assert await made.start_workflow() is WorkflowStatus.Success
    assert made.get_workflow_status() is WorkflowStatus.Success
    assert (tmp_path / "slug.py").read_text() == SLUG
    assert (tmp_path / "test_slug.py").read_text() == SLUG_TEST
    assert asked_steps(model)[-2:] == ["testing_step.repair[1]", "summary_step"]
    assert made.summary is not None
    assert made.summary.startswith("Ran test_slug.py: 1 passed in ")
    assert {step.to_dict()["status"] for step in made.steps.values()} == {"finished"}


async def test_a14_starting_again_after_a_failure_asks_only_what_is_new(tmp_path: Path) -> None:
    refused = ModelRefused("test:scripted does not accept the API key (401).")
    wrong: Any = {
        **GOOD,
        "implementation_step[slug.py]": f"slug.py\n```python\n{WRONG_SLUG}```\n",
        "testing_step.repair[1]": [refused, f"slug.py\n```python\n{SLUG}```\n"],
    }
    model = by_step(wrong)
    made = workflow(tmp_path, llm_integration=model)
    assert await made.start_workflow() is WorkflowStatus.Failure
    assert made.error is refused
    assert await made.start_workflow() is WorkflowStatus.Success
    steps = asked_steps(model)
    assert steps.count("implementation_step[slug.py]") == steps.count("design_step") == 1


# -- BaseStep -----------------------------------------------------------------------------------


def test_a15_base_step_attributes() -> None:
    made = small({"echo": {"step_class": Echo}})
    (step,) = made.steps.values()
    assert isinstance(step, PromptVersioningMixin)
    assert inspect.isabstract(BaseStep)
    assert (Echo.name, step.path, step.workflow) == ("echo", "echo", made)
    assert step.default == step.default_prompt == Echo.default_prompt
    assert step.id in made.steps


def test_a16_to_dict() -> None:
    made = small({"echo": {"step_class": Echo, "steps": {"below": {"step_class": Echo}}}})
    step = made.tree["echo"]
    step.repository = MemoryPromptStore()
    told = step.to_dict()
    assert told.keys() >= {"id", "path", "name", "status", "prompt_template", "effective_version", "steps"}
    assert (told["id"], told["path"], told["name"], told["status"]) == (step.id, "echo", "echo", "pending")
    assert (told["prompt_template"], told["effective_version"]) == (Echo.default_prompt, 1)
    assert told["steps"]["below"]["path"] == "echo.below"
    json.dumps(told)


def test_a17_construct_prompt_renders_the_effective_version() -> None:
    step = Echo(small({"echo": {"step_class": Echo}}), "echo")
    step.repository = MemoryPromptStore()
    assert step.construct_prompt(word="hello") == 'Say hello and keep {braces} and {"json": 1}.'
    number = step.add_version("Shout {{word}}!")
    assert step.construct_prompt(word="hello").startswith("Say hello")
    step.set_current_effective_version(number)
    assert step.construct_prompt(word="hello") == "Shout hello!"
    with pytest.raises(TemplateError, match="'word'"):
        step.construct_prompt()


@pytest.mark.parametrize("left_out", ["process_response", "execute"])
def test_a18_abstract_methods(left_out: str) -> None:
    body = {
        name: getattr(Echo, name)
        for name in ("process_response", "execute", "prompt_name")
        if name != left_out
    }
    partial = type("Partial", (BaseStep,), body)
    with pytest.raises(TypeError, match=left_out):
        partial(BaseWorkflow(), "partial")


def test_a19_requirement_step() -> None:
    step = RequirementStep(BaseWorkflow(), "requirement_step")
    assert RequirementStep.name == "requirement"
    variable = step.requirement_variable
    assert isinstance(variable, PromptTemplateVariable)
    assert (variable.name, variable.source) == ("requirement", VariableSource.USER_INPUT)
    assert isinstance(step.prompt_template, PromptTemplate)
    prompt = step.construct_prompt("Sort {{names}} by {key}.")
    assert "Sort {{names}} by {key}." in prompt
    assert "How to approach it" in prompt
    with pytest.raises((ValueError, StepFailed), match="requirement is empty"):
        step.construct_prompt(" ")


def test_a20_architecture_design_step() -> None:
    step = ArchitectureDesignStep(BaseWorkflow(), "design_step")
    assert ArchitectureDesignStep.name == "design"
    assert isinstance(step.prompt_template, PromptTemplate)
    prompt = step.construct_prompt(requirement="R!", criteria="- C!", project="P!", bounds="")
    assert all(part in prompt for part in ("R!", "- C!", "P!", "depends_on"))
    assert [f.path for f in step.process_response(DESIGN).files] == ["slug.py"]


def test_a21_prompt_template() -> None:
    template = PromptTemplate('{{a}} {x} {"k": {}} {{ b }}', [PromptTemplateVariable("a")])
    assert template.fill({"a": "{{b}}", "b": "B {{a}}"}) == '{{b}} {x} {"k": {}} B {{a}}'
    with pytest.raises(TemplateError, match="'b'"):
        template.fill({"a": "1"})
    with pytest.raises(TemplateError, match="'c'"):
        template.fill({"a": "1", "b": "2", "c": "3"})
    told = template.to_dict()
    assert told["template"] == template.template
    assert told["variables"][0]["name"] == "a"
    json.dumps(told)


def test_a22_prompt_template_variable() -> None:
    variable = PromptTemplateVariable("x")
    assert variable.source is VariableSource.DYNAMIC
    with pytest.raises(ValueError, match="'x'"):
        variable.get_value()
    variable.set_value("1")
    assert variable.get_value() == "1"
    whole = PromptTemplateVariable(
        "y", source=VariableSource.USER_INPUT, allow_code_context_building=True, allow_llm_refinement=True
    ).to_dict()
    assert whole["name"] == "y"
    assert whole["source"] == "USER_INPUT"
    assert whole["allow_code_context_building"] is whole["allow_llm_refinement"] is True
    json.dumps(whole)


def test_a23_unique_ids() -> None:
    ids = [UniqueIDGenerator().generate_id() for _ in range(50)]
    assert len(set(ids)) == 50
    times = iter([1.0, 1.0, 0.5, 2.0])
    one = UniqueIDGenerator(clock=lambda: next(times), random_bits=lambda bits: 7)
    made = [one.generate_id() for _ in range(4)]
    assert made == sorted(set(made))
    times = iter([1.0, 1.0, 0.5, 2.0])
    same = UniqueIDGenerator(clock=lambda: next(times), random_bits=lambda bits: 7)
    assert [same.generate_id() for _ in range(4)] == made


@pytest.mark.parametrize(
    "wrong",
    [{"root_path": ""}, {"root_path": "  "}, {"root_path": "a\0b"}, {"root_path": "x", "project_type": ""},
     {"root_path": "x", "directory_tree": 3}],
)  # fmt: skip
def test_a24_workspace_setting(wrong: dict[str, Any]) -> None:
    right = WorkspaceSetting("here", "python")
    assert (right.root_path, right.project_type, right.directory_tree) == ("here", "python", None)
    with pytest.raises(ConfigError):
        WorkspaceSetting(**wrong)


def test_a25_registry() -> None:
    registry, model, built = LLMIntegrationRegistry(), ScriptedLLM([]), []
    registry.add("ready", model)
    registry.add("lazy", lambda: built.append(1) or model)
    assert registry.exists("lazy")
    assert not registry.exists("other")
    assert built == []
    assert registry.get("lazy") is registry.get("lazy") is model
    assert built == [1]
    with pytest.raises(UnknownModel, match=r"'other'.*lazy, ready"):
        registry.get("other")


async def test_a25_process_input_messages() -> None:
    assert inspect.isabstract(BaseLLMIntegration)
    reply = await ScriptedLLM(["hello"]).process_input_messages([{"role": "user", "content": "hi"}])
    assert getattr(reply, "text", reply) == "hello"


# -- versioned prompts: the core; tests/store covers the database deeply ------------------------


class Greeting(PromptVersioningMixin):
    """A prompt of a test."""

    prompt_name = "test.greeting"
    default_prompt = "Hello {{name}}."


@pytest.fixture
def database(windlass_home: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{windlass_home / 'prompts.db'}")
    yield made
    made.close()


@pytest.fixture(params=["memory", "sql"])
def greeting(request: pytest.FixtureRequest) -> Iterator[Greeting]:
    made = Greeting()
    if request.param == "memory":
        made.repository = MemoryPromptStore()
        yield made
        return
    store = SqlPromptStore(request.getfixturevalue("database"))
    made.repository = store
    yield made
    store.close()


def test_a26_mixin() -> None:
    assert inspect.isabstract(PromptVersioningMixin)
    assert "prompt_name" in PromptVersioningMixin.__abstractmethods__
    made = Greeting()
    assert (made.default_prompt, made.current_prompt) == ("Hello {{name}}.", "Hello {{name}}.")
    assert made.repository is not None


def test_a27_default_becomes_version_1(greeting: Greeting) -> None:
    assert greeting.get_current_effective_prompt() == "Hello {{name}}."
    assert greeting.get_version(1) == "Hello {{name}}."
    assert greeting.resolve_prompt().version_no == 1


def test_a27_without_the_database_a_prompt_still_comes_and_says_so(
    database: Database, windlass_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (windlass_home / "prompts.db").write_text("this is no database" * 200)
    made = Greeting()
    store = SqlPromptStore(database)
    made.repository = store
    assert made.get_current_effective_prompt() == "Hello {{name}}."
    resolved = made.resolve_prompt()
    assert (resolved.source, resolved.version_no) == ("default", None)
    assert sum(r.levelname == "WARNING" for r in caplog.records) == 1
    with pytest.raises(StoreError):
        made.add_version("Hi {{name}}.")
    store.close()
    assert (windlass_home / "prompts.db").read_text().startswith("this is no database")


def test_a28_add_and_set_effective(greeting: Greeting) -> None:
    greeting.get_current_effective_prompt()
    assert greeting.add_version("Hi {{name}}.") == 2
    assert greeting.get_current_effective_prompt() == "Hello {{name}}."
    greeting.set_current_effective_version(2)
    assert greeting.current_prompt == "Hi {{name}}."
    assert greeting.get_current_effective_prompt() == "Hi {{name}}."
    effective = [
        v.version_no for v in greeting.repository.versions("test.greeting") if v.is_current_effective
    ]
    assert effective == [2]


def test_a29_get_and_latest(greeting: Greeting) -> None:
    greeting.add_version("Hi {{name}}.")
    assert greeting.get_version(2) == greeting.load_latest_version() == "Hi {{name}}."
    with pytest.raises(NotFound, match="9"):
        greeting.get_version(9)


def test_a30_a31_limit_of_live_versions_and_numbers(greeting: Greeting) -> None:
    greeting.get_current_effective_prompt()
    numbers = [greeting.add_version(f"Version {n} for {{{{name}}}}.") for n in range(2, 7)]
    assert numbers == [2, 3, 4, 5, 6]
    live = [v.version_no for v in greeting.repository.versions("test.greeting")]
    assert sorted(live) == [1, 4, 5, 6]
    with pytest.raises(NotFound):
        greeting.get_version(2)
    assert (
        greeting.repository.get("test.greeting", 2, retired=True).prompt_content == "Version 2 for {{name}}."
    )
    assert greeting.get_current_effective_prompt() == "Hello {{name}}."


def test_a32_another_process_changes_the_effective_version(database: Database) -> None:
    mine, theirs = Greeting(), Greeting()
    mine.repository, theirs.repository = SqlPromptStore(database), SqlPromptStore(database)
    mine.get_current_effective_prompt()
    theirs.set_current_effective_version(theirs.add_version("Hi {{name}}."))
    assert mine.current_prompt == "Hello {{name}}."
    assert mine.get_current_effective_prompt() == "Hi {{name}}."
    assert mine.current_prompt == "Hi {{name}}."


def test_a33_versioned_prompt_and_model() -> None:
    version = VersionedPrompt(version_no=1, prompt_content="x")
    with pytest.raises(FrozenInstanceError):
        version.version_no = 2  # type: ignore[misc]
    assert issubclass(PromptVersionModel, BaseModel)
    columns = {
        "prompt_name",
        "version_no",
        "prompt_content",
        "is_current_effective",
        "created_at",
        "updated_at",
    }
    assert all(hasattr(PromptVersionModel, name) for name in columns)


def test_a34_prompt_version_repository(database: Database) -> None:
    rows = PromptVersionRepository(database)
    assert isinstance(rows, BaseRepository)
    first = rows.create_version("p", "One")
    assert (first.prompt_name, first.version_no, first.prompt_content, first.is_current_effective) == (
        "p",
        1,
        "One",
        True,
    )
    rows.create_version("p", "Two")
    assert rows.get_version("p", 2).prompt_content == "Two"
    effective, latest = rows.get_current_effective_version("p"), rows.get_latest_created_version("p")
    assert effective is not None
    assert latest is not None
    assert (effective.version_no, latest.version_no) == (1, 2)
    rows.create_version("p", "Three")
    assert rows.delete_oldest_version("p") == 2
    with pytest.raises(NotFound):
        rows.get_version("p", 2)
    rows.create_version("p", "Four")
    rows.delete_version("p", 3)
    with pytest.raises(NotFound):
        rows.get_version("p", 3)


def test_a35_base_model_and_repository(database: Database) -> None:
    assert getattr(BaseModel, "__abstract__", False)
    row = PromptVersionRepository(database).create_version("p", "One")
    assert row.id
    assert row.created_at <= row.updated_at
    assert {"create", "get", "list", "update", "delete"} <= set(dir(BaseRepository))
    rows = PromptVersionRepository(database)
    assert rows.get(row.id).version_no == 1
    assert [r.id for r in rows.list()] == [row.id]


def test_a36_migrations_run_by_themselves(database: Database, windlass_home: Path) -> None:
    assert not (windlass_home / "prompts.db").exists()
    PromptVersionRepository(database).create_version("p", "One")
    assert database.current_revision()
    assert database.upgrade().before == database.upgrade().after


async def test_a37_the_journal_names_what_was_sent(tmp_path: Path) -> None:
    engine = coding_engine(tmp_path, by_step(GOOD))
    assert (await engine.go()).status is WorkflowStatus.Success
    calls = {e.path: e for e in await engine.entries() if e.kind == "model"}
    assert len(calls) == 5
    for call in calls.values():
        assert call.prompt_name.startswith("coding.")
        assert call.prompt_version == 1
        assert len(call.template_sha256) == len(call.rendered_sha256) == 64
        template = (await engine.journal.get_blob(call.template_sha256)).decode()
        assert template == engine.prompts.get(call.prompt_name, 1).prompt_content
    usages = engine.prompts.usages(engine.run_id)
    assert sorted(u.call_path for u in usages) == sorted(calls)


# -- faults of the originals --------------------------------------------------------------------


class Clumsy(Echo):
    """Pays for a reply, then trips in its next line, once."""

    trips = 1

    async def execute(self, ctx: StepContext[Any]) -> str | None:
        reply = await ctx.ask(await ctx.render(self, word="yes"))
        if Clumsy.trips:
            Clumsy.trips -= 1
            raise ZeroDivisionError("tripped")
        return reply.text


async def test_c1_a_paid_result_survives_a_later_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clumsy, "trips", 1)
    model = ScriptedLLM(["paid for"])
    engine = Engine(tmp_path, model, lambda record: small({"clumsy": {"step_class": Clumsy}}, record.run_id))
    record = await engine.go()
    assert record.status is WorkflowStatus.Failure
    assert record.error == "Unexpected ZeroDivisionError: tripped"
    record = await engine.go()
    assert record.status is WorkflowStatus.Success
    assert len(model.requests) == 1
    (paid,) = [e for e in await engine.entries() if e.kind == "model"]
    assert paid.result["text"] == "paid for"


async def test_c2_an_exception_is_never_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Clumsy, "trips", 5)
    made: list[Small] = []

    def build(record: RunRecord) -> Small:
        made.append(small({"clumsy": {"step_class": Clumsy}, "after": {"step_class": Echo}}, record.run_id))
        return made[-1]

    engine = Engine(tmp_path, ScriptedLLM(["x"]), build)
    assert (await engine.go()).status is WorkflowStatus.Failure
    assert isinstance(made[0].error, ZeroDivisionError)
    told = made[0].execution_error()
    assert isinstance(told, WorkflowExecutionError)
    assert (told.run_id, told.step_path) == (engine.run_id, "clumsy")
    with pytest.raises(ZeroDivisionError):
        await made[0].execute_step("clumsy")
    assert engine.statuses("clumsy") == ["in-progress", "streaming", "error"]
    assert engine.statuses("after") in ([], ["skipped"])
    responses = [e for e in engine.events if "response" in e.payload]
    assert responses == []


@pytest.mark.parametrize(
    "bad",
    [
        "I'm sorry, but I can't help with that.",
        "Error: rate limit exceeded for this organisation.",
        "1. Read the tests\n2. Write slug.py\n3. Run everything\n",
        "",
    ],
)
async def test_c3_no_apology_no_plan_is_saved(tmp_path: Path, bad: str) -> None:
    (tmp_path / "slug.py").write_text(WRONG_SLUG)
    (tmp_path / "test_slug.py").write_text(SLUG_TEST)
    model = by_step({**GOOD, "implementation_step[slug.py]": bad})
    engine = coding_engine(tmp_path, model, files=("slug.py",), tests=("test_slug.py",))
    record = await engine.go()
    assert record.status is WorkflowStatus.Failure
    assert "content for slug.py after 3 tries" in str(record.error)
    assert (tmp_path / "slug.py").read_text() == WRONG_SLUG
    assert sorted(p.name for p in tmp_path.iterdir()) == ["slug.py", "test_slug.py"]


async def test_c3_no_provider_error_is_saved(tmp_path: Path) -> None:
    (tmp_path / "slug.py").write_text(WRONG_SLUG)
    gone = ModelUnavailable("test:scripted is not available (503): overloaded.")
    engine = coding_engine(tmp_path, by_step({**GOOD, "implementation_step[slug.py]": gone}))
    record = await engine.go()
    assert record.status is WorkflowStatus.Failure
    assert record.error == str(gone)
    assert (tmp_path / "slug.py").read_text() == WRONG_SLUG
    assert engine.statuses("implementation_step[slug.py]") == ["in-progress", "error"]


@pytest.mark.parametrize(
    "reply",
    [
        f"<think>maybe\n```python\nwrong = 1\n```\n</think>Sure!\n\nslug.py\n```python\n{SLUG}```\n\nEnjoy!",
        f"```python\n{SLUG}```",
        SLUG,
        "\ufeff" + SLUG.rstrip("\n"),
    ],
)
async def test_c5_the_file_and_nothing_else_is_saved(tmp_path: Path, reply: str) -> None:
    engine = coding_engine(tmp_path, by_step({**GOOD, "implementation_step[slug.py]": reply}))
    assert (await engine.go()).status is WorkflowStatus.Success
    assert (tmp_path / "slug.py").read_bytes() == SLUG.encode()


async def test_c9_whoever_writes_a_file_sees_it(tmp_path: Path) -> None:
    (tmp_path / "slug.py").write_text("KEEP_ME = 1\n" + WRONG_SLUG)
    wrong: Any = {
        **GOOD,
        "implementation_step[slug.py]": f"```python\nKEEP_ME = 1\n# first try\n{WRONG_SLUG}```",
    }
    model = by_step(wrong)
    engine = coding_engine(tmp_path, model)
    assert (await engine.go()).status is WorkflowStatus.Success
    sent = {asked.tags.step: asked.text for asked in model.requests}
    assert "KEEP_ME = 1\ndef slugify" in sent["implementation_step[slug.py]"]
    assert "KEEP_ME = 1\n# first try\n" in sent["testing_step.repair[1]"]
    assert SLUG_TEST.strip() in sent["testing_step.repair[1]"]
    assert "assert 'hello  world' == 'hello-world'" in sent["testing_step.repair[1]"]


def test_every_id_has_a_test() -> None:
    source = Path(__file__).read_text()
    missing = [n for n in range(1, 38) if f"_a{n}_" not in source]
    assert missing == []
