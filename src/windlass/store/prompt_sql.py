"""The statements on prompt tables that more than one class needs; each runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from sqlalchemy import Connection, Select, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from windlass.errors import StoreError
from windlass.ids import generate_id, sha256_hex
from windlass.prompt import rules
from windlass.prompt.records import Origin, Resolved, Source, Switch, SwitchKind, VersionInfo
from windlass.store.base import Base, utc_now
from windlass.store.prompt_models import (
    PromptContentModel,
    PromptExperimentModel,
    PromptModel,
    PromptSwitchModel,
    PromptVersionModel,
)

_Version = PromptVersionModel


@dataclass(frozen=True)
class PromptRow:
    """A prompt's own row."""

    name: str
    default_sha256: str
    code_default_sha256: str
    last_version_no: int
    revision: int
    keep_versions: int
    variables: Mapping[str, bool]


@dataclass(frozen=True)
class Effective:
    """The version in effect, and the live experiment that may give a run another one."""

    prompt: PromptRow
    version_id: str
    version_no: int
    content: str
    content_sha256: str
    experiment_id: str | None

    def resolved(self, source: Source) -> Resolved:
        """As callers see it."""
        return Resolved(
            self.prompt.name,
            self.version_no,
            self.content,
            source,
            self.content_sha256,
            self.prompt.revision,
        )


def insert_new(connection: Connection, table: type[Base], /, **values: Any) -> bool:
    """Insert a row unless one with its key exists; whether it was inserted."""
    if connection.dialect.name == "sqlite":
        statement: Any = sqlite.insert(table).values(values).on_conflict_do_nothing()
    else:
        statement = postgresql.insert(table).values(values).on_conflict_do_nothing()
    # The count of inserted rows is not to be had from psycopg here; a returned row is.
    return connection.execute(statement.returning(literal(1))).first() is not None


def keep_content(connection: Connection, *texts: str) -> list[str]:
    """Store each text once and give the hashes. NUL and lone surrogates, which no text column takes, are
    stored as U+2400 and '?'; the hash is that of the true text."""
    hashes = [sha256_hex(text) for text in texts]
    now = utc_now()
    # In one order everywhere, so that two transactions cannot wait for each other.
    rows = [
        {
            "sha256": sha256,
            "content": text.encode("utf-8", "replace").decode().replace("\0", "\u2400"),
            "created_at": now,
        }
        for sha256, text in sorted(dict(zip(hashes, texts, strict=True)).items())
    ]
    if rows:
        connection.execute(_put_content(connection.dialect.name), rows)
    return hashes


@cache
def _put_content(dialect_name: str) -> Any:
    dialect: Any = sqlite if dialect_name == "sqlite" else postgresql
    return dialect.insert(PromptContentModel.__table__).on_conflict_do_nothing()


_PROMPT_COLUMNS = (
    PromptModel.prompt_name,
    PromptModel.default_sha256,
    PromptModel.code_default_sha256,
    PromptModel.last_version_no,
    PromptModel.revision,
    PromptModel.keep_versions,
    PromptModel.variables,
)


def find_prompt(connection: Connection, name: str, *, lock: bool = False) -> PromptRow | None:
    """The prompt's row; ``lock`` keeps other writers of this prompt out until the transaction ends."""
    query = select(*_PROMPT_COLUMNS).where(PromptModel.prompt_name == name)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else PromptRow(*row)


def get_prompt(connection: Connection, name: str, *, lock: bool = False) -> PromptRow:
    """Like :func:`find_prompt`; NotFound when there is none."""
    row = find_prompt(connection, name, lock=lock)
    if row is None:
        raise rules.no_prompt(name, connection.scalars(select(PromptModel.prompt_name)))
    return row


def find_effective(connection: Connection, name: str) -> Effective | None:
    """The prompt with its effective version; None when the prompt does not exist."""
    query = (
        select(
            *_PROMPT_COLUMNS,
            _Version.id,
            _Version.version_no,
            _Version.prompt_content,
            _Version.content_sha256,
            PromptExperimentModel.id,
        )
        .outerjoin(
            _Version, (_Version.prompt_name == PromptModel.prompt_name) & _Version.is_current_effective
        )
        .outerjoin(
            PromptExperimentModel,
            (PromptExperimentModel.prompt_name == PromptModel.prompt_name)
            & (PromptExperimentModel.kind == "live")
            & (PromptExperimentModel.state == "running"),
        )
        .where(PromptModel.prompt_name == name)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    width, values = len(_PROMPT_COLUMNS), cast(Any, tuple(row))
    if values[width] is None:
        raise StoreError(
            f"Prompt {name!r} has no version in effect; put one in effect with 'windlass prompts use'."
        )
    return Effective(PromptRow(*values[:width]), *values[width:])


def get_effective(connection: Connection, name: str) -> Effective:
    """Like :func:`find_effective`; NotFound when there is no such prompt."""
    found = find_effective(connection, name)
    if found is None:
        get_prompt(connection, name)
        raise StoreError(f"Prompt {name!r} vanished while it was read.")
    return found


def touch(connection: Connection, name: str, **changes: Any) -> int:
    """Change the prompt's row and count its revision up; gives the new revision."""
    statement = (
        update(PromptModel)
        .where(PromptModel.prompt_name == name)
        .values(revision=PromptModel.revision + 1, updated_at=utc_now(), **changes)
        .returning(PromptModel.revision)
    )
    return connection.execute(statement).scalar_one()


def append_version(
    connection: Connection,
    name: str,
    prompt: str,
    *,
    origin: Origin,
    effective: bool = False,
    parent: int | None = None,
    note: str | None = None,
    author: str | None = None,
    model_hint: str | None = None,
) -> tuple[str, int]:
    """Insert the next version of a locked prompt; gives its id and number.

    The number comes from the prompt's counter, not from the rows: those of purged versions are never
    given again.
    """
    (sha256,) = keep_content(connection, prompt)
    touch(connection, name, last_version_no=PromptModel.last_version_no + 1)
    number = connection.scalars(
        select(PromptModel.last_version_no).where(PromptModel.prompt_name == name)
    ).one()
    id, now = generate_id(), utc_now()
    connection.execute(
        insert(_Version).values(
            id=id,
            prompt_name=name,
            version_no=number,
            prompt_content=prompt,
            content_sha256=sha256,
            is_current_effective=effective,
            parent_version_no=parent,
            origin=origin,
            author=author,
            note=note,
            model_hint=model_hint,
            created_at=now,
            updated_at=now,
        )
    )
    return id, number


def switch(
    connection: Connection,
    name: str,
    to: int,
    kind: SwitchKind,
    *,
    before: int | None,
    actor: str | None = None,
    reason: str | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> int:
    """Put a live version of a locked prompt in effect and log the move; gives the new revision."""
    mine = _Version.prompt_name == name
    # Clear, then set: one statement that does both breaks the unique index when it meets the new row first.
    connection.execute(
        update(_Version)
        .where(mine, _Version.is_current_effective, _Version.version_no != to)
        .values(is_current_effective=False, updated_at=utc_now())
    )
    connection.execute(
        update(_Version)
        .where(mine, _Version.version_no == to)
        .values(is_current_effective=True, updated_at=utc_now())
    )
    revision = touch(connection, name)
    connection.execute(
        insert(PromptSwitchModel).values(
            id=generate_id(),
            prompt_name=name,
            revision=revision,
            from_version_no=before,
            to_version_no=to,
            kind=kind,
            actor=actor,
            reason=reason,
            evidence=None if evidence is None else dict(evidence),
            created_at=utc_now(),
            updated_at=utc_now(),
        )
    )
    return revision


def version_rows(connection: Connection, name: str, *extra: Any) -> list[Any]:
    """Rows of a prompt's versions, by number, with the columns of :func:`info`."""
    query: Select[Any] = (
        select(_Version.__table__).where(_Version.prompt_name == name, *extra).order_by(_Version.version_no)
    )
    return list(connection.execute(query))


def get_version(connection: Connection, name: str, number: int, *, retired: bool) -> Any:
    """The row of one version. NotFound, saying which are live, when it is not there or retired."""
    rows = version_rows(connection, name, _Version.version_no == number)
    if rows and (retired or rows[0].archived_at is None):
        return rows[0]
    last = get_prompt(connection, name).last_version_no
    raise rules.no_version(name, number, live_numbers(connection, name), retired=0 < number <= last)


def info(row: Any) -> VersionInfo:
    """A version's row as callers see it."""
    return VersionInfo(
        name=row.prompt_name,
        version_no=row.version_no,
        content=row.prompt_content,
        content_sha256=row.content_sha256,
        is_current_effective=row.is_current_effective,
        origin=row.origin,
        created_at=row.created_at,
        parent_version_no=row.parent_version_no,
        author=row.author,
        note=row.note,
        model_hint=row.model_hint,
        archived_at=row.archived_at,
    )


def live_numbers(connection: Connection, name: str) -> list[int]:
    """The numbers of the versions that are not retired."""
    query = select(_Version.version_no).where(_Version.prompt_name == name, _Version.archived_at.is_(None))
    return list(connection.scalars(query.order_by(_Version.version_no)))


def switches(connection: Connection, name: str) -> list[Switch]:
    """The moves of the effective version, oldest first."""
    log = PromptSwitchModel
    rows = connection.execute(
        select(
            log.from_version_no,
            log.to_version_no,
            log.kind,
            log.created_at,
            log.actor,
            log.reason,
            log.evidence,
        )
        .where(log.prompt_name == name)
        .order_by(log.revision)
    )
    return [Switch(name, *row) for row in rows]
