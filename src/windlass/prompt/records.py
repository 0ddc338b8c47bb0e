"""What a prompt store says and is told: immutable records, and the protocol every store follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from windlass.prompt.template import PromptTemplateVariable

#: Where a resolved text came from: read from the database just now | remembered and known to be current |
#: remembered while the database cannot be read | the default in the code, with the database unreadable.
Source = Literal["db", "cache", "stale", "default"]
#: Who wrote a version.
Origin = Literal["default", "human", "optimiser", "import"]
#: How what was made with a prompt ended. ``error`` and ``cancelled`` say nothing about the prompt.
Outcome = Literal["pending", "pass", "fail", "error", "cancelled"]
#: Why the effective version moved.
SwitchKind = Literal["initial", "use", "rollback", "promote"]

ORIGINS: tuple[Origin, ...] = ("default", "human", "optimiser", "import")
OUTCOMES: tuple[Outcome, ...] = ("pending", "pass", "fail", "error", "cancelled")


@dataclass(frozen=True)
class VersionedPrompt:
    """One version of a prompt: its number and its text."""

    version_no: int
    prompt_content: str


@dataclass(frozen=True)
class Resolved:
    """The text to use now, and how sure we are of it.

    ``version_no`` is None when ``source`` is ``default`` and nothing is known of the stored versions.
    ``revision`` grows with every change to the prompt; give it as ``expected_revision`` to change only
    what you saw.
    """

    name: str
    version_no: int | None
    content: str
    source: Source
    template_sha256: str
    revision: int


@dataclass(frozen=True)
class VersionInfo:
    """A version as lists show it. ``archived_at`` is set once it is retired."""

    name: str
    version_no: int
    content: str
    content_sha256: str
    is_current_effective: bool
    origin: Origin
    created_at: datetime
    parent_version_no: int | None = None
    author: str | None = None
    note: str | None = None
    model_hint: str | None = None
    archived_at: datetime | None = None


@dataclass(frozen=True)
class Switch:
    """One move of the effective version, with its reason and, for a promotion, its evidence."""

    name: str
    from_version_no: int | None
    to_version_no: int
    kind: SwitchKind
    at: datetime
    actor: str | None = None
    reason: str | None = None
    evidence: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class PromptUsage:
    """One model call made with a prompt.

    ``template`` is the text before and ``rendered`` the text after the values were put in; both are kept,
    once per content. ``call_path`` is unique in the run (``testing_step.repair[2]/model[0]``); telling a
    store of the same call again completes what it knows. ``cost_micro`` is millionths of a USD, None when
    no price is known.
    """

    run_id: str
    step_path: str
    call_path: str
    prompt_name: str
    version_no: int | None
    template: str
    rendered: str
    provenance: Source
    model: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_micro: int | None = None
    latency_ms: int | None = None
    outcome: Outcome = "pending"
    case_id: str | None = None
    experiment_id: str | None = None


@dataclass(frozen=True)
class VersionStats:
    """How a version did in real runs, those of a comparison (with a ``case_id``) left out. Counts are runs, except
    ``calls`` and ``unpriced``; pass rate leaves out errors and cancelled runs; ``interval`` holds the 95 % bounds of the pass rate (Beta(1+passes, 1+fails))."""

    version_no: int
    calls: int
    passes: int
    fails: int
    errors: int
    cancelled: int
    pending: int
    cost_micro: int
    interval: tuple[float, float]
    #: Calls whose price is not known; their cost is not in ``cost_micro``.
    unpriced: int = 0

    @property
    def pass_rate(self) -> float | None:
        """Passes per decided run; None before the first decision."""
        decided = self.passes + self.fails
        return self.passes / decided if decided else None

    @property
    def cost_per_success_micro(self) -> float | None:
        """Millionths of a USD spent per passed run; None without a pass, or with a price that is not known."""
        return self.cost_micro / self.passes if self.passes and not self.unpriced else None


@dataclass(frozen=True)
class Drift:
    """The default in the code is no longer the one that was stored; the stored version is still used."""

    name: str
    stored_default: str
    code_default: str


class PromptStore(Protocol):
    """Versions of prompts, which one is in effect, and what became of its uses.

    Only :meth:`resolve` hides a database that is away. All others raise StoreError then, NotFound for an
    unknown name or number, TemplateError for a text that cannot be used, PromptConflict when
    ``expected_revision`` is not the prompt's revision.
    """

    def resolve(
        self,
        name: str,
        default: str,
        *,
        run_id: str | None = None,
        variables: Iterable[PromptTemplateVariable] | None = None,
    ) -> Resolved:
        """The text to use now; never raises because of the database.

        A prompt without versions gets ``default`` as version 1, in effect. With ``run_id`` the answer is
        pinned: the same run gets the same version again, whatever is switched meanwhile, and takes part
        in a running live experiment.
        """

    def effective(self, name: str) -> Resolved:
        """The version in effect, read now."""

    def ensure(
        self, name: str, default: str, *, variables: Iterable[PromptTemplateVariable] | None = None
    ) -> None:
        """Store ``default`` as version 1, in effect, unless the prompt exists."""

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
        """Store the next version, not in effect, and give its number; may retire the oldest idle one."""

    def check(self, name: str, prompt: str) -> None:
        """Raise what :meth:`add` would raise for this text, storing nothing."""

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
        """Put a live version in effect, in place of the present one. ``evidence`` makes it a promotion."""

    def rollback(
        self,
        name: str,
        *,
        reason: str | None = None,
        actor: str | None = None,
        expected_revision: int | None = None,
    ) -> Resolved:
        """Put the version back in effect that was before; again: the one before that."""

    def get(self, name: str, version_no: int, *, retired: bool = False) -> VersionedPrompt:
        """A live version; with ``retired`` also one that was retired."""

    def latest(self, name: str) -> VersionedPrompt:
        """The version with the highest number."""

    def names(self) -> Sequence[str]:
        """All prompts, sorted."""

    def versions(self, name: str, *, retired: bool = False) -> Sequence[VersionInfo]:
        """The live versions, oldest first; with ``retired`` all of them."""

    def diff(self, name: str, old: int, new: int) -> str:
        """Unified diff of two versions, retired ones included; empty when their texts are equal."""

    def log(self, name: str) -> Sequence[Switch]:
        """Every move of the effective version, oldest first."""

    def record_usage(self, usage: PromptUsage) -> None:
        """Keep which text a model call used; a second record of the same call completes the first."""

    def record_outcome(self, run_id: str, outcome: Outcome, *, scored_by: str | None = None) -> int:
        """Credit an outcome to every prompt version the run used; gives the number of uses touched."""

    def record_run(
        self,
        run_id: str,
        usages: Sequence[PromptUsage],
        outcome: Outcome,
        *,
        scored_by: str | None = None,
    ) -> int:
        """:meth:`record_usage` for each and then :meth:`record_outcome`, all or nothing."""

    def usages(self, run_id: str) -> Sequence[PromptUsage]:
        """The uses of one run, in the order they were recorded, with the exact texts."""

    def stats(self, name: str) -> Sequence[VersionStats]:
        """One entry per version that was used, by number."""

    def drift(self) -> Sequence[Drift]:
        """Prompts whose default changed in the code after it was stored as version 1."""

    def adopt_default(self, name: str) -> int:
        """Add the code's changed default as a version, not in effect, and stop reporting the drift."""
