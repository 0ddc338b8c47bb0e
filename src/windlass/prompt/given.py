"""A prompt store in which some prompts have a given text: for runs that try a version out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from windlass.ids import sha256_hex
from windlass.prompt.records import PromptStore, Resolved
from windlass.prompt.template import PromptTemplateVariable


class GivenTexts:
    """Everything is the store's, but :meth:`resolve` answers with the given texts where there are any."""

    def __init__(self, store: PromptStore, texts: Mapping[str, str]) -> None:
        self._store = store
        self._texts = texts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def resolve(
        self,
        name: str,
        default: str,
        *,
        run_id: str | None = None,
        variables: Iterable[PromptTemplateVariable] | None = None,
    ) -> Resolved:
        """The given text, with the number of the version that has it; else what the store says."""
        text = self._texts.get(name)
        if text is None:
            return self._store.resolve(name, default, run_id=run_id, variables=variables)
        sha = sha256_hex(text)
        known = self._store.versions(name, retired=True) if name in self._store.names() else ()
        number = next((v.version_no for v in known if v.content_sha256 == sha), None)
        return Resolved(name, number, text, "db", sha, 0)


def with_texts(store: PromptStore, texts: Mapping[str, str]) -> PromptStore:
    """The store itself, or one in which these prompts have these texts."""
    return GivenTexts(store, texts) if texts else store
