"""What goes in and out of the API about prompts, for the OpenAPI document and its clients."""

from __future__ import annotations

from typing import Any

import pydantic

from windlass.web.schemas import Answer, Body


class PromptVersionStats(Answer):
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


class PromptRow(Answer):
    name: str
    effective: int
    revision: int
    latest: int
    versions: int
    drift: bool
    stats: PromptVersionStats | None


class PromptVersion(Answer):
    version: int
    text: str
    effective: bool
    origin: str
    created_at: float
    parent: int | None
    author: str | None
    note: str | None
    archived: bool


class PromptSwitch(Answer):
    from_version: int | None
    to_version: int
    kind: str
    at: float
    actor: str | None
    reason: str | None
    evidence: dict[str, Any] | None


class Prompt(Answer):
    name: str
    effective: int
    revision: int
    drift: bool
    versions: list[PromptVersion]
    log: list[PromptSwitch]
    stats: list[PromptVersionStats]
    comparisons: list[dict[str, Any]]


class Diff(Answer):
    diff: str


class NewVersion(Body):
    text: str = pydantic.Field(min_length=1, max_length=200_000)
    note: str | None = pydantic.Field(default=None, max_length=2000)


class VersionRef(Answer):
    version: int


class UseVersion(Body):
    version: int = pydantic.Field(ge=1, le=1_000_000_000)
    reason: str | None = pydantic.Field(default=None, max_length=2000)
    expected_revision: int | None = None


class Rollback(Body):
    reason: str | None = pydantic.Field(default=None, max_length=2000)
    expected_revision: int | None = None


class Effective(Answer):
    name: str
    version: int | None
    revision: int
