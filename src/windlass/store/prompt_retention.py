"""Which versions stay live, and what may be removed; each function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, exists, or_, select, update

from windlass.prompt import rules
from windlass.store import prompt_sql
from windlass.store.base import utc_now
from windlass.store.prompt_models import (
    PromptArmModel,
    PromptContentModel,
    PromptExperimentModel,
    PromptModel,
    PromptPinModel,
    PromptResultModel,
    PromptUsageModel,
    PromptVersionModel,
)

_Version = PromptVersionModel


def retire_surplus(connection: Connection, name: str, keep: int) -> list[int]:
    """Retire the oldest idle versions of a locked prompt until ``keep`` are live; gives their numbers."""
    protected = protected_numbers(connection, name)
    numbers = rules.to_retire(prompt_sql.live_numbers(connection, name), keep, protected)
    if numbers:
        retire(connection, name, numbers)
        prompt_sql.touch(connection, name)
    return numbers


def protected_numbers(connection: Connection, name: str) -> set[int]:
    """The versions that may not be retired: in effect, or in a running experiment."""
    mine = _Version.prompt_name == name
    tried = (
        select(_Version.version_no)
        .join(PromptArmModel, PromptArmModel.prompt_version_id == _Version.id)
        .join(PromptExperimentModel, PromptExperimentModel.id == PromptArmModel.experiment_id)
        .where(mine, PromptExperimentModel.state == "running")
    )
    effective = select(_Version.version_no).where(mine, _Version.is_current_effective)
    return {*connection.scalars(tried), *connection.scalars(effective)}


def retire(connection: Connection, name: str, numbers: Iterable[int]) -> None:
    """Take versions out of use; their texts stay."""
    connection.execute(
        update(_Version)
        .where(_Version.prompt_name == name, _Version.version_no.in_(list(numbers)))
        .values(archived_at=utc_now(), updated_at=utc_now())
    )


def purge(connection: Connection, retired_before: datetime) -> tuple[int, int]:
    """Remove retired versions that nothing refers to, then texts nothing refers to; gives both counts."""
    linked = [
        exists().where(column == _Version.id)
        for column in (
            PromptUsageModel.prompt_version_id,
            PromptPinModel.prompt_version_id,
            PromptArmModel.prompt_version_id,
            PromptResultModel.prompt_version_id,
        )
    ]
    versions = connection.execute(
        delete(_Version).where(_Version.archived_at < retired_before, ~or_(*linked))
    ).rowcount
    needed = [
        exists().where(column == PromptContentModel.sha256)
        for column in (
            _Version.content_sha256,
            PromptUsageModel.template_sha256,
            PromptUsageModel.rendered_sha256,
            PromptModel.default_sha256,
            PromptModel.code_default_sha256,
        )
    ]
    texts = connection.execute(delete(PromptContentModel).where(~or_(*needed))).rowcount
    return versions, texts
