"""Prompts in the database: :class:`SqlPromptStore` and the repository over their versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.orm import aliased

from windlass.ids import sha256_hex
from windlass.prompt import rules
from windlass.prompt.records import (
    Drift,
    Origin,
    Outcome,
    PromptUsage,
    Resolved,
    Switch,
    VersionedPrompt,
    VersionInfo,
    VersionStats,
)
from windlass.prompt.template import PromptTemplateVariable
from windlass.store import prompt_retention, prompt_sql, prompt_usages
from windlass.store.base import Database, utc_now
from windlass.store.prompt_models import PromptContentModel, PromptModel, PromptVersionModel
from windlass.store.prompt_reader import PromptReader
from windlass.store.prompt_repository import PromptVersionRepository

__all__ = ["PromptVersionModel", "PromptVersionRepository", "SqlPromptStore"]


class SqlPromptStore:
    """:class:`windlass.prompt.PromptStore` over SQLite or PostgreSQL. Safe to share between threads.

    Reading is remembered and checked against the prompt's revision, so a switch by another process is
    seen by the next :meth:`resolve`. Making one does no I/O.
    """

    def __init__(self, database: Database, *, keep_versions: int = rules.KEEP_VERSIONS) -> None:
        self.database = database
        self.keep_versions = keep_versions
        self._reader = PromptReader(database)
        self._ensured: dict[str, tuple[str, dict[str, bool]]] = {}

    # -- reading what to use ------------------------------------------------------------------------

    def resolve(
        self,
        name: str,
        default: str,
        *,
        run_id: str | None = None,
        variables: Iterable[PromptTemplateVariable] | None = None,
    ) -> Resolved:
        """See :class:`PromptStore`. While the database is away it is asked every few seconds only."""

        def ensure() -> None:
            if default.strip():
                self.ensure(name, default, variables=variables)

        return self._reader.resolve(name, default, run_id, ensure)

    def effective(self, name: str) -> Resolved:
        """See :class:`PromptStore`."""
        with self.database.reading() as connection:
            return prompt_sql.get_effective(connection, name).resolved("db")

    # -- writing ------------------------------------------------------------------------------------

    def ensure(
        self, name: str, default: str, *, variables: Iterable[PromptTemplateVariable] | None = None
    ) -> None:
        """See :class:`PromptStore`."""
        declared = rules.declared_variables(default, variables)
        if self._ensured.get(name) == (default, declared):
            return
        with self.database.reading() as connection:
            prompt = prompt_sql.find_prompt(connection, name)
        sha256 = sha256_hex(default)
        if prompt is None or prompt.variables != declared or prompt.code_default_sha256 != sha256:
            news = prompt is not None and prompt.code_default_sha256 != sha256
            rules.check_name(name)
            rules.check_text(name, default)
            with self.database.writing() as connection:
                prompt = self._introduce(connection, name, default, declared)
            if news and prompt.default_sha256 != sha256:
                rules.log.warning(rules.drift_sentence(name))
        self._ensured[name] = (default, declared)

    def _introduce(
        self, connection: Connection, name: str, default: str, declared: dict[str, bool]
    ) -> prompt_sql.PromptRow:
        (sha256,) = prompt_sql.keep_content(connection, default)
        now = utc_now()
        new = prompt_sql.insert_new(
            connection,
            PromptModel,
            prompt_name=name,
            default_sha256=sha256,
            code_default_sha256=sha256,
            last_version_no=0,
            revision=0,
            keep_versions=self.keep_versions,
            variables=declared,
            created_at=now,
            updated_at=now,
        )
        if new:
            _, number = prompt_sql.append_version(connection, name, default, origin="default", effective=True)
            prompt_sql.switch(connection, name, number, "initial", before=None)
        else:
            prompt_sql.get_prompt(connection, name, lock=True)
            prompt_sql.touch(connection, name, variables=declared, code_default_sha256=sha256)
        return prompt_sql.get_prompt(connection, name)

    def add(
        self,
        name: str,
        prompt: str,
        *,
        note: str | None = None,
        author: str | None = None,
        origin: Origin = "human",
        parent: int | None = None,
        model_hint: str | None = None,
    ) -> int:
        """See :class:`PromptStore`. ``parent`` defaults to the version in effect."""
        rules.check_text(name, prompt)
        with self.database.writing() as connection:
            row = prompt_sql.get_prompt(connection, name, lock=True)
            rules.check_fits(name, prompt, row.variables)
            if parent is None:
                parent = prompt_sql.get_effective(connection, name).version_no
            else:
                prompt_sql.get_version(connection, name, parent, retired=True)
            _, number = prompt_sql.append_version(
                connection,
                name,
                prompt,
                origin=origin,
                parent=parent,
                note=note,
                author=author,
                model_hint=model_hint,
            )
            prompt_retention.retire_surplus(connection, name, self.keep_versions)
            return number

    def check(self, name: str, prompt: str) -> None:
        """See :class:`PromptStore`."""
        rules.check_text(name, prompt)
        with self.database.reading() as connection:
            rules.check_fits(name, prompt, prompt_sql.get_prompt(connection, name).variables)

    def use(
        self,
        name: str,
        version_no: int,
        *,
        reason: str | None = None,
        actor: str | None = None,
        evidence: Mapping[str, Any] | None = None,
        expected_revision: int | None = None,
    ) -> Resolved:
        """See :class:`PromptStore`."""
        with self.database.writing() as connection:
            row = prompt_sql.get_prompt(connection, name, lock=True)
            rules.check_revision(name, expected_revision, row.revision)
            prompt_sql.get_version(connection, name, version_no, retired=False)
            now = prompt_sql.get_effective(connection, name)
            if now.version_no != version_no:
                prompt_sql.switch(
                    connection,
                    name,
                    version_no,
                    "use" if evidence is None else "promote",
                    before=now.version_no,
                    actor=actor,
                    reason=reason,
                    evidence=evidence,
                )
            return prompt_sql.get_effective(connection, name).resolved("db")

    def rollback(
        self,
        name: str,
        *,
        reason: str | None = None,
        actor: str | None = None,
        expected_revision: int | None = None,
    ) -> Resolved:
        """See :class:`PromptStore`."""
        with self.database.writing() as connection:
            row = prompt_sql.get_prompt(connection, name, lock=True)
            rules.check_revision(name, expected_revision, row.revision)
            live = prompt_sql.live_numbers(connection, name)
            to = rules.before(prompt_sql.switches(connection, name), live)
            if to is None:
                raise rules.no_earlier(name)
            now = prompt_sql.get_effective(connection, name)
            prompt_sql.switch(
                connection, name, to, "rollback", before=now.version_no, actor=actor, reason=reason
            )
            return prompt_sql.get_effective(connection, name).resolved("db")

    def adopt_default(self, name: str) -> int:
        """See :class:`PromptStore`."""
        with self.database.writing() as connection:
            row = prompt_sql.get_prompt(connection, name, lock=True)
            if row.default_sha256 == row.code_default_sha256:
                raise rules.no_drift(name)
            text = connection.scalars(
                select(PromptContentModel.content).where(PromptContentModel.sha256 == row.code_default_sha256)
            ).one()
            _, number = prompt_sql.append_version(
                connection,
                name,
                text,
                origin="default",
                parent=prompt_sql.get_effective(connection, name).version_no,
                note="default changed in the code",
            )
            prompt_sql.touch(connection, name, default_sha256=row.code_default_sha256)
            prompt_retention.retire_surplus(connection, name, self.keep_versions)
            return number

    def gc(self, *, retired_before: datetime | None = None) -> tuple[int, int]:
        """Remove retired versions that no run, pin or experiment refers to, and texts nothing refers to.

        Gives how many of each. Numbers of removed versions are not given again.
        """
        with self.database.writing() as connection:
            return prompt_retention.purge(connection, retired_before or utc_now())

    # -- looking ------------------------------------------------------------------------------------

    def get(self, name: str, version_no: int, *, retired: bool = False) -> VersionedPrompt:
        """See :class:`PromptStore`."""
        with self.database.reading() as connection:
            row = prompt_sql.get_version(connection, name, version_no, retired=retired)
        return VersionedPrompt(row.version_no, row.prompt_content)

    def latest(self, name: str) -> VersionedPrompt:
        """See :class:`PromptStore`."""
        with self.database.reading() as connection:
            number = prompt_sql.live_numbers(connection, prompt_sql.get_prompt(connection, name).name)[-1]
            row = prompt_sql.get_version(connection, name, number, retired=False)
        return VersionedPrompt(row.version_no, row.prompt_content)

    def names(self) -> list[str]:
        """See :class:`PromptStore`."""
        with self.database.reading() as connection:
            return sorted(connection.scalars(select(PromptModel.prompt_name)))

    def versions(self, name: str, *, retired: bool = False) -> list[VersionInfo]:
        """See :class:`PromptStore`."""
        live = () if retired else (PromptVersionModel.archived_at.is_(None),)
        with self.database.reading() as connection:
            prompt_sql.get_prompt(connection, name)
            return [prompt_sql.info(row) for row in prompt_sql.version_rows(connection, name, *live)]

    def diff(self, name: str, old: int, new: int) -> str:
        """See :class:`PromptStore`."""
        with self.database.reading() as connection:
            rows = [prompt_sql.get_version(connection, name, number, retired=True) for number in (old, new)]
        return rules.unified_diff(name, *((row.version_no, row.prompt_content) for row in rows))

    def log(self, name: str) -> list[Switch]:
        """See :class:`PromptStore`."""
        with self.database.reading() as connection:
            prompt_sql.get_prompt(connection, name)
            return prompt_sql.switches(connection, name)

    def drift(self) -> list[Drift]:
        """See :class:`PromptStore`."""
        stored, code = aliased(PromptContentModel), aliased(PromptContentModel)
        query = (
            select(PromptModel.prompt_name, stored.content, code.content)
            .join(stored, stored.sha256 == PromptModel.default_sha256)
            .join(code, code.sha256 == PromptModel.code_default_sha256)
            .where(PromptModel.default_sha256 != PromptModel.code_default_sha256)
            .order_by(PromptModel.prompt_name)
        )
        with self.database.reading() as connection:
            return [Drift(*row) for row in connection.execute(query)]

    # -- what became of it --------------------------------------------------------------------------

    def record_usage(self, usage: PromptUsage) -> None:
        """See :class:`PromptStore`."""
        with self.database.writing() as connection:
            prompt_usages.record(connection, usage)

    def record_outcome(self, run_id: str, outcome: Outcome, *, scored_by: str | None = None) -> int:
        """See :class:`PromptStore`."""
        rules.check_outcome(outcome)
        with self.database.writing() as connection:
            return prompt_usages.record_outcome(connection, run_id, outcome, scored_by)

    def record_run(
        self,
        run_id: str,
        usages: Sequence[PromptUsage],
        outcome: Outcome,
        *,
        scored_by: str | None = None,
    ) -> int:
        """See :class:`PromptStore`; one transaction, so a long run costs one commit."""
        rules.check_outcome(outcome)
        with self.database.writing() as connection:
            prompt_usages.record_all(connection, usages)
            return prompt_usages.record_outcome(connection, run_id, outcome, scored_by)

    def usages(self, run_id: str) -> Sequence[PromptUsage]:
        """See :class:`PromptStore`."""
        with self.database.reading() as connection:
            return prompt_usages.of_run(connection, run_id)

    def stats(self, name: str) -> Sequence[VersionStats]:
        """See :class:`PromptStore`."""
        with self.database.reading() as connection:
            prompt_sql.get_prompt(connection, name)
            return prompt_usages.stats(connection, name)

    def close(self) -> None:
        """Give up the connection kept for watching; the database itself stays open."""
        self._reader.close()
