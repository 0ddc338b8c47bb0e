"""What goes in and out of the API about runs and the server, for the OpenAPI document and its clients."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

RunId = Annotated[str, pydantic.StringConstraints(min_length=4, max_length=64, pattern=r"^[0-9A-Za-z_-]+$")]


class Body(pydantic.BaseModel):
    """What a request holds: these keys and no others."""

    model_config = pydantic.ConfigDict(extra="forbid")


class Answer(pydantic.BaseModel):
    """What an answer holds. More keys may come with a newer server."""

    model_config = pydantic.ConfigDict(extra="allow")


class Error(Answer):
    error: str


class FieldInfo(Answer):
    name: str
    type: Literal["text", "number", "files", "bool", "choice"]
    label: str
    default: Any = None
    choices: list[str] | None = None


class WorkflowInfo(Answer):
    name: str
    title: str
    prompt_label: str
    fields: list[FieldInfo]


class Meta(Answer):
    version: str
    user: str
    workflows: list[WorkflowInfo]
    model: str | None
    sandbox: str
    workspace_root: str


class Cost(Answer):
    """``cost_usd`` is null where part of it is not known; ``known_cost_usd`` is the part that is, the rest is the cost of
    ``unpriced_calls`` calls."""

    cost_usd: float | None
    known_cost_usd: float
    unpriced_calls: int


class RunRow(Cost):
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
    error: str | None
    parent_run: str | None


class RunPage(Answer):
    runs: list[RunRow]
    next: str | None


class StartRun(Body):
    workflow: str = pydantic.Field(max_length=100)
    prompt: str = pydantic.Field(max_length=1_000_000)
    options: dict[str, Any] = pydantic.Field(default_factory=dict)
    workspace: str | None = None
    files: list[str] = pydantic.Field(default_factory=list, max_length=1000)


class RunRef(Answer):
    run_id: str


class StepRow(Cost):
    path: str
    name: str
    step: int | None = None
    status: str
    seconds: float
    requests: int
    input_tokens: int
    output_tokens: int


class Usage(Cost):
    """Of the run's own calls: not of those that a fork took over. ``unknown_calls`` broke off and may have been paid;
    ``cacheable_tokens`` a provider could have taken from its cache."""

    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cacheable_tokens: int
    unknown_calls: int


class FileRow(Answer):
    path: str
    change: str
    bytes: int


class Run(Answer):
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


class EventRow(Answer):
    name: str
    run_id: str
    event_id: int
    at: float


class EventPage(Answer):
    events: list[EventRow]
    last: int


class Resume(Body):
    budget: float | str | None = None
    max_repairs: int | None = pydantic.Field(default=None, ge=0, le=20)


class Cancel(Body):
    now: bool = False


class Fork(Body):
    from_: str = pydantic.Field(alias="from", min_length=1, max_length=1000)
    model: str | None = pydantic.Field(default=None, max_length=200)


class AnswerGate(Body):
    action: Literal["approve", "edit", "answer", "reject"]
    text: str = pydantic.Field(default="", max_length=1_000_000)


class Undo(Body):
    paths: list[str] = pydantic.Field(default_factory=list, max_length=1000)
    force: bool = False


class Redo(Body):
    force: bool = False


class Changed(Answer):
    path: str
    change: str


class CallAttempt(Answer):
    """One attempt at a model call. ``copied_from`` is the run that made and paid it, where this one is a fork that took
    it over."""

    path: str
    attempt: int
    state: str
    model: str | None
    template_sha256: str | None
    rendered_sha256: str | None
    provenance: str | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    cost_usd: str | None
    reserved_usd: str | None
    started_at: float
    finished_at: float | None
    error: str | None
    partial: str | None
    copied_from: str | None


class CallRow(CallAttempt):
    prompt: str


class PromptOfCall(Answer):
    name: str | None
    version: int | None
    template: str | None
    previous_version: int | None
    previous_diff: str | None


class Call(CallAttempt):
    messages: list[dict[str, Any]]
    reply: str | None
    prompt: PromptOfCall


class ChangedFile(Answer):
    path: str
    change: str
    bytes: int
    added: int
    removed: int


class FileWrite(Answer):
    step_path: str
    kind: str
    at: float | None
    before_sha: str | None
    after_sha: str | None


class FileDetail(Answer):
    path: str
    change: str
    before: str | None
    after: str | None
    diff: str
    writes: list[FileWrite]


class Model(Answer):
    name: str
    model: str
    roles: list[str]
    base_url: str | None
    price: dict[str, Any]
    fallbacks: list[str]
    missing: list[str]


class StatsRow(Cost):
    key: str
    runs: int
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    unknown_calls: int


class Files(Answer):
    workspace: str
    files: list[str]
    truncated: bool


class LaunchLink(Answer):
    url: str
