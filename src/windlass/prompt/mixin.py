"""Gives a class a prompt with versions. Synchronous: asynchronous callers use a thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from windlass.prompt.memory import MemoryPromptStore
from windlass.prompt.records import Origin, PromptStore, Resolved
from windlass.prompt.template import PromptTemplateVariable


@runtime_checkable
class HasPromptStore(Protocol):
    """Something that is not a store but knows one, such as a repository."""

    @property
    def prompt_store(self) -> PromptStore:
        """The store over the same data."""


_process_store: PromptStore = MemoryPromptStore()


def default_store() -> PromptStore:
    """The store used where none was set: in memory, unless :func:`set_default_store` said otherwise."""
    return _process_store


def set_default_store(store: PromptStore) -> None:
    """Make ``store`` the one used by everything in this process that was given none."""
    global _process_store
    _process_store = store


class PromptVersioningMixin(ABC):
    """A prompt by name whose effective version is looked up, changed and remembered.

    Subclasses give ``prompt_name`` and ``default_prompt``, as attributes or properties. What the methods
    raise is what :class:`PromptStore` raises; :meth:`get_current_effective_prompt` alone always answers.
    """

    #: The variables a version may use; None = those of ``default_prompt``.
    prompt_variables: Iterable[PromptTemplateVariable] | None = None

    _prompt_store: PromptStore | None = None
    _resolved_prompt: Resolved | None = None

    @property
    @abstractmethod
    def prompt_name(self) -> str:
        """The name the versions are stored under."""

    @property
    def default_prompt(self) -> str:
        """The text that becomes version 1."""
        return ""

    @property
    def repository(self) -> PromptStore:
        """Where the versions are: what was set here, else the process's default store."""
        return self._prompt_store or default_store()

    @repository.setter
    def repository(self, value: PromptStore | HasPromptStore | None) -> None:
        self._prompt_store = value.prompt_store if isinstance(value, HasPromptStore) else value
        self._resolved_prompt = None

    @property
    def current_prompt(self) -> str:
        """The text this object last learnt to be in effect, else the default; never asks the database."""
        resolved = self._resolved_prompt
        return self.default_prompt if resolved is None else resolved.content

    def resolve_prompt(self, run_id: str | None = None) -> Resolved:
        """The effective version with its number and where it came from; see :meth:`PromptStore.resolve`."""
        self._resolved_prompt = self.repository.resolve(
            self.prompt_name, self.default_prompt, run_id=run_id, variables=self.prompt_variables
        )
        return self._resolved_prompt

    def get_current_effective_prompt(self) -> str:
        """The text in effect now. A prompt without versions gets the default as version 1 first; when
        the database cannot be read, the text last seen, else the default."""
        return self.resolve_prompt().content

    def add_version(
        self, prompt: str, *, note: str | None = None, author: str | None = None, origin: Origin = "human"
    ) -> int:
        """Store the next version, not in effect, and give its number."""
        self._ensure_prompt()
        return self.repository.add(self.prompt_name, prompt, note=note, author=author, origin=origin)

    def set_current_effective_version(
        self, version_no: int, *, reason: str | None = None, expected_revision: int | None = None
    ) -> None:
        """Put a version in effect, in the store and in ``current_prompt``."""
        self._ensure_prompt()
        self._resolved_prompt = self.repository.use(
            self.prompt_name, version_no, reason=reason, expected_revision=expected_revision
        )

    def get_version(self, version_no: int) -> str:
        """The text of a live version. NotFound for any other number."""
        self._ensure_prompt()
        return self.repository.get(self.prompt_name, version_no).prompt_content

    def load_latest_version(self) -> str:
        """The text of the version with the highest number."""
        self._ensure_prompt()
        return self.repository.latest(self.prompt_name).prompt_content

    def _ensure_prompt(self) -> None:
        self.repository.ensure(self.prompt_name, self.default_prompt, variables=self.prompt_variables)
