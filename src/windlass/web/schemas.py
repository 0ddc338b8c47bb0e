"""What goes in and out of the API, for the OpenAPI document and its clients."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

RunId = Annotated[str, pydantic.StringConstraints(min_length=4, max_length=64, pattern=r"^[0-9A-Za-z_-]+$")]


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")


class _Answer(pydantic.BaseModel):
    #: More keys may come with a newer server.
    model_config = pydantic.ConfigDict(extra="allow")


class Error(_Answer):
    error: str


class FieldInfo(_Answer):
    name: str
    type: Literal["text", "number", "files", "bool", "choice"]
    label: str
    default: Any = None
    choices: list[str] | None = None


class WorkflowInfo(_Answer):
    name: str
    title: str
    prompt_label: str
    fields: list[FieldInfo]


class Meta(_Answer):
    version: str
    user: str
    workflows: list[WorkflowInfo]
    model: str | None
    sandbox: str
    workspace_root: str


class RunRow(_Answer):
    run_id: str
    workflow: str
    title: str
    status: str
    display_status: str
    workspace: str
    created_at: float
    finished_at: float | None
    seconds: float | None
    requests: int
    tokens: int
    cost_usd: float | None
    error: str | None
    parent_run: str | None


class RunPage(_Answer):
    runs: list[RunRow]
    next: str | None


class StartRun(_Model):
    workflow: str = pydantic.Field(max_length=100)
    prompt: str = pydantic.Field(max_length=1_000_000)
    options: dict[str, Any] = pydantic.Field(default_factory=dict)
    workspace: str | None = None
    files: list[str] = pydantic.Field(default_factory=list, max_length=1000)


class RunRef(_Answer):
    run_id: str


class StepRow(_Answer):
    path: str
    name: str
    step: int | None = None
    status: str
    seconds: float
    requests: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None


class Usage(_Answer):
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float | None
    unknown_calls: int


class FileRow(_Answer):
    path: str
    change: str
    bytes: int


class Run(_Answer):
    run_id: str
    workflow: str
    title: str
    status: str
    display_status: str
    summary: str | None
    error: str | None
    workspace: str
    created_at: float
    finished_at: float | None
    parent_run: str | None
    options: dict[str, Any]
    command: str
    last_event_id: int
    files: list[FileRow]
    tests: dict[str, Any] | None
    usage: Usage
    steps: list[StepRow]
    label: str | None
    waiting_for: dict[str, Any] | None
    undone: bool


class EventRow(_Answer):
    name: str
    run_id: str
    event_id: int
    at: float


class EventPage(_Answer):
    events: list[EventRow]
    last: int


class Resume(_Model):
    budget: float | str | None = None
    max_repairs: int | None = pydantic.Field(default=None, ge=0, le=20)


class Cancel(_Model):
    now: bool = False


class Fork(_Model):
    from_: str = pydantic.Field(alias="from", min_length=1, max_length=1000)
    model: str | None = pydantic.Field(default=None, max_length=200)


class AnswerGate(_Model):
    action: Literal["approve", "edit", "answer", "reject"]
    text: str = pydantic.Field(default="", max_length=1_000_000)


class Undo(_Model):
    paths: list[str] = pydantic.Field(default_factory=list, max_length=1000)
    force: bool = False


class Redo(_Model):
    force: bool = False


class Changed(_Answer):
    path: str
    change: str


class CallRow(_Answer):
    path: str
    attempt: int
    state: str
    model: str | None
    prompt: str
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    cost_usd: str | None
    started_at: float
    finished_at: float | None
    error: str | None
    partial: str | None
    copied_from: str | None


class PromptOfCall(_Answer):
    name: str | None
    version: int | None
    template: str | None
    previous_version: int | None
    previous_diff: str | None


class Call(_Answer):
    path: str
    attempt: int
    state: str
    messages: list[dict[str, Any]]
    reply: str | None
    partial: str | None
    prompt: PromptOfCall


class ChangedFile(_Answer):
    path: str
    change: str
    bytes: int
    added: int
    removed: int


class FileWrite(_Answer):
    step_path: str
    kind: str
    at: float | None
    before_sha: str | None
    after_sha: str | None


class FileDetail(_Answer):
    path: str
    change: str
    before: str | None
    after: str | None
    diff: str
    writes: list[FileWrite]


class Model(_Answer):
    name: str
    model: str
    roles: list[str]
    base_url: str | None
    price: dict[str, Any]
    fallbacks: list[str]
    missing: list[str]


class StatsRow(_Answer):
    key: str
    runs: int
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float | None
    known_cost_usd: float
    unknown_calls: int


class Files(_Answer):
    workspace: str
    files: list[str]
    truncated: bool


class LaunchLink(_Answer):
    url: str


class PromptVersionStats(_Answer):
    version: int
    calls: int
    passes: int
    fails: int
    errors: int
    cancelled: int
    pending: int
    pass_rate: float | None
    interval: list[float]
    cost_usd: float
    cost_per_success_usd: float | None


class PromptRow(_Answer):
    name: str
    effective: int
    revision: int
    latest: int
    versions: int
    drift: bool
    stats: PromptVersionStats | None


class PromptVersion(_Answer):
    version: int
    text: str
    effective: bool
    origin: str
    created_at: float
    parent: int | None
    author: str | None
    note: str | None
    archived: bool


class PromptSwitch(_Answer):
    from_version: int | None
    to_version: int
    kind: str
    at: float
    actor: str | None
    reason: str | None
    evidence: dict[str, Any] | None


class Prompt(_Answer):
    name: str
    effective: int
    revision: int
    drift: bool
    versions: list[PromptVersion]
    log: list[PromptSwitch]
    stats: list[PromptVersionStats]
    comparisons: list[dict[str, Any]]


class Diff(_Answer):
    diff: str


class NewVersion(_Model):
    text: str = pydantic.Field(min_length=1, max_length=200_000)
    note: str | None = pydantic.Field(default=None, max_length=2000)


class VersionRef(_Answer):
    version: int


class UseVersion(_Model):
    version: int = pydantic.Field(ge=1, le=1_000_000_000)
    reason: str | None = pydantic.Field(default=None, max_length=2000)
    expected_revision: int | None = None


class Rollback(_Model):
    reason: str | None = pydantic.Field(default=None, max_length=2000)
    expected_revision: int | None = None


class Effective(_Answer):
    name: str
    version: int | None
    revision: int
