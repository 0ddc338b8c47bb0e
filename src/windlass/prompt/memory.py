"""A prompt store that lives and dies with the process: for tests and for use without a database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from windlass.ids import sha256_hex
from windlass.prompt import rules
from windlass.prompt.records import (
    Drift,
    Origin,
    Outcome,
    PromptUsage,
    Resolved,
    Source,
    Switch,
    SwitchKind,
    VersionedPrompt,
    VersionInfo,
    VersionStats,
)
from windlass.prompt.template import PromptTemplateVariable
from windlass.prompt.usages import completed, version_stats


@dataclass
class _Prompt:
    default: str
    variables: dict[str, bool]
    code_default: str
    versions: dict[int, VersionInfo] = field(default_factory=dict)
    switches: list[Switch] = field(default_factory=list)
    revision: int = 0

    def live(self) -> list[int]:
        return [number for number, version in self.versions.items() if version.archived_at is None]

    def effective(self) -> int:
        return next(number for number, version in self.versions.items() if version.is_current_effective)


class MemoryPromptStore:
    """:class:`PromptStore` in memory. Safe to share between threads; knows no live experiments."""

    def __init__(
        self,
        *,
        keep_versions: int = rules.KEEP_VERSIONS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.keep_versions = keep_versions
        self._clock = clock
        self._lock = threading.RLock()
        self._prompts: dict[str, _Prompt] = {}
        self._pins: dict[tuple[str, str], int] = {}
        self._usages: dict[tuple[str, str, str], PromptUsage] = {}

    def resolve(
        self,
        name: str,
        default: str,
        *,
        run_id: str | None = None,
        variables: Iterable[PromptTemplateVariable] | None = None,
    ) -> Resolved:
        """See :class:`PromptStore`; the source is always ``db``, memory being all there is."""
        with self._lock:
            if name not in self._prompts and not default.strip():
                return Resolved(name, None, default, "default", sha256_hex(default), 0)
            self.ensure(name, default, variables=variables)
            prompt = self._prompts[name]
            number = prompt.effective()
            if run_id is not None:
                number = self._pins.setdefault((run_id, name), number)
            return self._resolved(name, number)

    def effective(self, name: str) -> Resolved:
        """See :class:`PromptStore`."""
        with self._lock:
            return self._resolved(name, self._prompt(name).effective())

    def ensure(
        self, name: str, default: str, *, variables: Iterable[PromptTemplateVariable] | None = None
    ) -> None:
        """See :class:`PromptStore`."""
        with self._lock:
            declared = rules.declared_variables(default, variables)
            if name in self._prompts:
                prompt = self._prompts[name]
                prompt.variables = declared
                if default != prompt.code_default:
                    prompt.code_default = default
                    if default != prompt.default:
                        rules.log.warning(rules.drift_sentence(name))
                return
            rules.check_name(name)
            rules.check_text(name, default)
            self._prompts[name] = _Prompt(default, declared, default)
            number = self._append(name, default, "default", None, None, None, None)
            self._switch(name, number, "initial", None, None, None)

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
        """See :class:`PromptStore`."""
        with self._lock:
            self.check(name, prompt)
            stored = self._prompt(name)
            if parent is not None:
                self._version(name, parent, retired=True)
            else:
                parent = stored.effective()
            number = self._append(name, prompt, origin, parent, author, note, model_hint)
            for old in rules.to_retire(stored.live(), self.keep_versions, {stored.effective()}):
                stored.versions[old] = replace(stored.versions[old], archived_at=self._clock())
            return number

    def check(self, name: str, prompt: str) -> None:
        """See :class:`PromptStore`."""
        with self._lock:
            rules.check_text(name, prompt)
            rules.check_fits(name, prompt, self._prompt(name).variables)

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
        with self._lock:
            rules.check_revision(name, expected_revision, self._prompt(name).revision)
            self._version(name, version_no, retired=False)
            if self._prompts[name].effective() != version_no:
                kind: SwitchKind = "use" if evidence is None else "promote"
                self._switch(name, version_no, kind, actor, reason, evidence)
            return self._resolved(name, version_no)

    def rollback(
        self,
        name: str,
        *,
        reason: str | None = None,
        actor: str | None = None,
        expected_revision: int | None = None,
    ) -> Resolved:
        """See :class:`PromptStore`."""
        with self._lock:
            stored = self._prompt(name)
            rules.check_revision(name, expected_revision, stored.revision)
            number = rules.before(stored.switches, stored.live())
            if number is None:
                raise rules.no_earlier(name)
            self._switch(name, number, "rollback", actor, reason, None)
            return self._resolved(name, number)

    def get(self, name: str, version_no: int, *, retired: bool = False) -> VersionedPrompt:
        """See :class:`PromptStore`."""
        with self._lock:
            return VersionedPrompt(version_no, self._version(name, version_no, retired=retired).content)

    def latest(self, name: str) -> VersionedPrompt:
        """See :class:`PromptStore`."""
        with self._lock:
            number = max(self._prompt(name).versions)
            return self.get(name, number)

    def names(self) -> list[str]:
        """See :class:`PromptStore`."""
        with self._lock:
            return sorted(self._prompts)

    def versions(self, name: str, *, retired: bool = False) -> list[VersionInfo]:
        """See :class:`PromptStore`."""
        with self._lock:
            every = self._prompt(name).versions.values()
            return [version for version in every if retired or version.archived_at is None]

    def diff(self, name: str, old: int, new: int) -> str:
        """See :class:`PromptStore`."""
        with self._lock:
            texts = [(number, self._version(name, number, retired=True).content) for number in (old, new)]
        return rules.unified_diff(name, *texts)

    def log(self, name: str) -> list[Switch]:
        """See :class:`PromptStore`."""
        with self._lock:
            return list(self._prompt(name).switches)

    def record_usage(self, usage: PromptUsage) -> None:
        """See :class:`PromptStore`."""
        with self._lock:
            key = (usage.run_id, usage.call_path, usage.prompt_name)
            known = self._usages.get(key)
            self._usages[key] = usage if known is None else completed(known, usage)

    def record_outcome(self, run_id: str, outcome: Outcome, *, scored_by: str | None = None) -> int:
        """See :class:`PromptStore`."""
        rules.check_outcome(outcome)
        with self._lock:
            keys = [key for key in self._usages if key[0] == run_id]
            for key in keys:
                self._usages[key] = replace(self._usages[key], outcome=outcome)
            return len(keys)

    def record_run(
        self,
        run_id: str,
        usages: Sequence[PromptUsage],
        outcome: Outcome,
        *,
        scored_by: str | None = None,
    ) -> int:
        """See :class:`PromptStore`."""
        rules.check_outcome(outcome)
        with self._lock:
            for usage in usages:
                self.record_usage(usage)
            return self.record_outcome(run_id, outcome, scored_by=scored_by)

    def usages(self, run_id: str) -> list[PromptUsage]:
        """See :class:`PromptStore`."""
        with self._lock:
            return [usage for usage in self._usages.values() if usage.run_id == run_id]

    def stats(self, name: str) -> list[VersionStats]:
        """See :class:`PromptStore`."""
        with self._lock:
            self._prompt(name)
            used = [usage for usage in self._usages.values() if usage.prompt_name == name]
        return version_stats(used)

    def drift(self) -> list[Drift]:
        """See :class:`PromptStore`."""
        with self._lock:
            return [
                Drift(name, prompt.default, prompt.code_default)
                for name, prompt in sorted(self._prompts.items())
                if prompt.default != prompt.code_default
            ]

    def adopt_default(self, name: str) -> int:
        """See :class:`PromptStore`."""
        with self._lock:
            prompt = self._prompt(name)
            if prompt.default == prompt.code_default:
                raise rules.no_drift(name)
            number = self.add(name, prompt.code_default, origin="default", note="default changed in the code")
            prompt.default = prompt.code_default
            return number

    def _prompt(self, name: str) -> _Prompt:
        if name not in self._prompts:
            raise rules.no_prompt(name, self._prompts)
        return self._prompts[name]

    def _version(self, name: str, number: int, *, retired: bool) -> VersionInfo:
        prompt = self._prompt(name)
        version = prompt.versions.get(number)
        if version is None or (version.archived_at is not None and not retired):
            raise rules.no_version(name, number, prompt.live(), retired=version is not None)
        return version

    def _resolved(self, name: str, number: int, source: Source = "db") -> Resolved:
        prompt = self._prompts[name]
        version = prompt.versions[number]
        return Resolved(name, number, version.content, source, version.content_sha256, prompt.revision)

    def _append(
        self,
        name: str,
        text: str,
        origin: Origin,
        parent: int | None,
        author: str | None,
        note: str | None,
        model_hint: str | None,
    ) -> int:
        prompt = self._prompts[name]
        number = len(prompt.versions) + 1  # versions are retired, never removed
        prompt.versions[number] = VersionInfo(
            name,
            number,
            text,
            sha256_hex(text),
            False,
            origin,
            self._clock(),
            parent,
            author,
            note,
            model_hint,
        )
        prompt.revision += 1
        return number

    def _switch(
        self,
        name: str,
        number: int,
        kind: SwitchKind,
        actor: str | None,
        reason: str | None,
        evidence: Mapping[str, Any] | None,
    ) -> None:
        prompt = self._prompts[name]
        before = None if kind == "initial" else prompt.effective()
        for each, version in prompt.versions.items():
            prompt.versions[each] = replace(version, is_current_effective=each == number)
        prompt.switches.append(Switch(name, before, number, kind, self._clock(), actor, reason, evidence))
        prompt.revision += 1
