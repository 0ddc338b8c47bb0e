"""The repository over prompt versions, under the names the specification gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from windlass.errors import InputError
from windlass.prompt import rules
from windlass.prompt.records import Origin
from windlass.store import prompt_retention, prompt_sql
from windlass.store.base import BaseRepository, Database
from windlass.store.prompt_models import PromptVersionModel

if TYPE_CHECKING:
    from windlass.store.prompts import SqlPromptStore

_CHANGEABLE = {"note", "author", "model_hint"}


class PromptVersionRepository(BaseRepository[PromptVersionModel]):
    """Rows of prompt versions, as detached :class:`PromptVersionModel` objects.

    Deleting a version retires it: it is no longer found here, but its text stays for the runs that used
    it and its number is not given again.
    """

    model = PromptVersionModel

    def __init__(self, database: Database, *, keep_versions: int = rules.KEEP_VERSIONS) -> None:
        super().__init__(database)
        self.keep_versions = keep_versions
        self._store: SqlPromptStore | None = None

    @property
    def prompt_store(self) -> SqlPromptStore:
        """The prompt store over the same database."""
        if self._store is None:
            from windlass.store.prompts import SqlPromptStore

            self._store = SqlPromptStore(self.database, keep_versions=self.keep_versions)
        return self._store

    def create_version(
        self,
        prompt_name: str,
        prompt_content: str,
        *,
        is_current_effective: bool = False,
        note: str | None = None,
        author: str | None = None,
        origin: Origin = "human",
    ) -> PromptVersionModel:
        """Store the next version. The first one of a prompt becomes its default and is in effect."""
        store = self.prompt_store
        if self._exists(prompt_name):
            number = store.add(prompt_name, prompt_content, note=note, author=author, origin=origin)
            if is_current_effective:
                store.use(prompt_name, number, actor=author)
        else:
            store.ensure(prompt_name, prompt_content)
            number = 1
        return self.get_version(prompt_name, number)

    def get_version(self, prompt_name: str, version_no: int) -> PromptVersionModel:
        """A live version. NotFound, listing those that are live, for any other number."""
        with self.database.reading() as connection:
            row = prompt_sql.get_version(connection, prompt_name, version_no, retired=False)
            return self._loaded(connection, row.id)

    def get_current_effective_version(self, prompt_name: str) -> PromptVersionModel | None:
        """The version in effect; None when the prompt has no versions."""
        with self.database.reading() as connection:
            found = prompt_sql.find_effective(connection, prompt_name)
            return None if found is None else self._loaded(connection, found.version_id)

    def get_latest_created_version(self, prompt_name: str) -> PromptVersionModel | None:
        """The live version with the highest number; None when the prompt has no versions."""
        with self.database.reading() as connection:
            live = prompt_sql.live_numbers(connection, prompt_name)
            if not live:
                return None
            row = prompt_sql.get_version(connection, prompt_name, live[-1], retired=False)
            return self._loaded(connection, row.id)

    def delete_version(self, prompt_name: str, version_no: int) -> None:
        """Retire a version. InputError for the one in effect or under trial, NotFound for one that is not live."""
        with self.database.writing() as connection:
            prompt_sql.get_prompt(connection, prompt_name, lock=True)
            prompt_sql.get_version(connection, prompt_name, version_no, retired=False)
            if version_no in prompt_retention.protected_numbers(connection, prompt_name):
                raise InputError(
                    f"Version {version_no} of prompt {prompt_name!r} is in effect or in a running experiment: "
                    "put another one in effect, or stop the experiment, first."
                )
            prompt_retention.retire(connection, prompt_name, [version_no])
            prompt_sql.touch(connection, prompt_name)

    def delete_oldest_version(self, prompt_name: str) -> int | None:
        """Retire the oldest version that is neither in effect, newest nor under trial; gives its number,
        None when there is none."""
        with self.database.writing() as connection:
            prompt_sql.get_prompt(connection, prompt_name, lock=True)
            live = prompt_sql.live_numbers(connection, prompt_name)
            retired = prompt_retention.retire_surplus(connection, prompt_name, len(live) - 1)
            return retired[0] if retired else None

    def create(self, **values: Any) -> PromptVersionModel:
        """:meth:`create_version` under the base name."""
        return self.create_version(**values)

    def update(self, id: str, **changes: Any) -> PromptVersionModel:
        """Change what is said about a version (note, author, model_hint). InputError for anything else."""
        if fixed := sorted(set(changes) - _CHANGEABLE):
            raise InputError(
                f"{', '.join(fixed)} of a prompt version never changes; store a new version instead."
            )
        return super().update(id, **changes)

    def delete(self, id: str) -> None:
        """:meth:`delete_version` by id."""
        row = self.get(id)
        self.delete_version(row.prompt_name, row.version_no)

    def _exists(self, prompt_name: str) -> bool:
        with self.database.reading() as connection:
            return prompt_sql.find_prompt(connection, prompt_name) is not None

    @staticmethod
    def _loaded(connection: Any, id: str) -> PromptVersionModel:
        with Session(connection, expire_on_commit=False) as session:
            return session.scalars(select(PromptVersionModel).where(PromptVersionModel.id == id)).one()
