"""The tables of prompts. What the columns mean to a caller is said in :mod:`windlass.prompt.records`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from windlass.store.base import Base, BaseModel, UtcDateTime, utc_now

NAME = String(200)
SHA256 = String(64)


class PromptModel(Base):
    """One prompt: the counter its numbers come from, and the revision that grows with every change."""

    __tablename__ = "prompts"
    __table_args__ = (
        CheckConstraint("last_version_no >= 0", name="last_version_no"),
        CheckConstraint("keep_versions >= 2", name="keep_versions"),
    )

    prompt_name: Mapped[str] = mapped_column(NAME, primary_key=True)
    #: The default that became version 1, and the one the code has now.
    default_sha256: Mapped[str] = mapped_column(ForeignKey("prompt_contents.sha256"))
    code_default_sha256: Mapped[str] = mapped_column(ForeignKey("prompt_contents.sha256"))
    last_version_no: Mapped[int] = mapped_column(default=0)
    revision: Mapped[int] = mapped_column(default=0)
    keep_versions: Mapped[int] = mapped_column(default=4)
    #: Name of a variable -> whether a version must use it.
    variables: Mapped[dict[str, bool]] = mapped_column(JSON, default_factory=dict)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime(), default_factory=utc_now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime(), default_factory=utc_now, onupdate=utc_now)


class PromptContentModel(Base):
    """A text, once, by its hash; never changed (a trigger sees to it)."""

    __tablename__ = "prompt_contents"

    sha256: Mapped[str] = mapped_column(SHA256, primary_key=True)
    content: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime(), default_factory=utc_now)


class PromptVersionModel(BaseModel):
    """One version of a prompt. Its number and text never change (a trigger sees to it)."""

    __tablename__ = "prompt_versions"
    __table_args__ = (
        UniqueConstraint("prompt_name", "version_no"),
        Index(
            "uq_prompt_versions_effective",
            "prompt_name",
            unique=True,
            sqlite_where=text("is_current_effective"),
            postgresql_where=text("is_current_effective"),
        ),
        Index("ix_prompt_versions_live", "prompt_name", "archived_at", "version_no"),
        CheckConstraint("version_no > 0", name="version_no"),
        CheckConstraint("NOT (is_current_effective AND archived_at IS NOT NULL)", name="effective_is_live"),
        CheckConstraint("origin IN ('default', 'human', 'optimiser', 'import')", name="origin"),
    )

    prompt_name: Mapped[str] = mapped_column(NAME, ForeignKey("prompts.prompt_name"))
    version_no: Mapped[int]
    prompt_content: Mapped[str] = mapped_column(Text)
    content_sha256: Mapped[str] = mapped_column(ForeignKey("prompt_contents.sha256"))
    is_current_effective: Mapped[bool] = mapped_column(default=False)
    parent_version_no: Mapped[int | None] = mapped_column(default=None)
    origin: Mapped[str] = mapped_column(String(16), default="human")
    author: Mapped[str | None] = mapped_column(Text, default=None)
    note: Mapped[str | None] = mapped_column(Text, default=None)
    model_hint: Mapped[str | None] = mapped_column(Text, default=None)
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime(), default=None)


class PromptSwitchModel(BaseModel):
    """One move of the effective version."""

    __tablename__ = "prompt_effective_log"
    __table_args__ = (
        CheckConstraint("kind IN ('initial', 'use', 'rollback', 'promote')", name="kind"),
        # The revision, not the clock, orders the moves: clocks of two machines differ.
        UniqueConstraint("prompt_name", "revision"),
    )

    prompt_name: Mapped[str] = mapped_column(NAME, ForeignKey("prompts.prompt_name"))
    revision: Mapped[int]
    from_version_no: Mapped[int | None]
    to_version_no: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str | None] = mapped_column(Text, default=None)
    reason: Mapped[str | None] = mapped_column(Text, default=None)
    evidence: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)


class PromptPinModel(Base):
    """The version a run got; it gets the same again, before and after a restart."""

    __tablename__ = "prompt_pins"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    prompt_name: Mapped[str] = mapped_column(NAME, ForeignKey("prompts.prompt_name"), primary_key=True)
    prompt_version_id: Mapped[str] = mapped_column(
        ForeignKey("prompt_versions.id", ondelete="RESTRICT"), index=True
    )
    experiment_id: Mapped[str | None] = mapped_column(ForeignKey("prompt_experiments.id"), default=None)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime(), default_factory=utc_now)


class PromptUsageModel(BaseModel):
    """One model call made with a prompt, the exact texts by hash."""

    __tablename__ = "prompt_usages"
    __table_args__ = (
        UniqueConstraint("run_id", "call_path", "prompt_name"),
        Index("ix_prompt_usages_outcome", "prompt_version_id", "outcome"),
        CheckConstraint("provenance IN ('db', 'cache', 'stale', 'default')", name="provenance"),
        CheckConstraint("outcome IN ('pending', 'pass', 'fail', 'error', 'cancelled')", name="outcome"),
    )

    run_id: Mapped[str] = mapped_column(String(64))
    step_path: Mapped[str] = mapped_column(Text)
    call_path: Mapped[str] = mapped_column(Text)
    #: No foreign key: a default that was used while the database was away may not be stored yet.
    prompt_name: Mapped[str] = mapped_column(NAME)
    prompt_version_id: Mapped[str | None] = mapped_column(
        ForeignKey("prompt_versions.id", ondelete="RESTRICT")
    )
    template_sha256: Mapped[str] = mapped_column(ForeignKey("prompt_contents.sha256"))
    rendered_sha256: Mapped[str] = mapped_column(ForeignKey("prompt_contents.sha256"))
    provenance: Mapped[str] = mapped_column(String(16))
    model: Mapped[str | None] = mapped_column(Text, default=None)
    tokens_in: Mapped[int | None] = mapped_column(default=None)
    tokens_out: Mapped[int | None] = mapped_column(default=None)
    cost_micro: Mapped[int | None] = mapped_column(BigInteger, default=None)
    latency_ms: Mapped[int | None] = mapped_column(default=None)
    outcome: Mapped[str] = mapped_column(String(16), default="pending")
    scored_at: Mapped[datetime | None] = mapped_column(UtcDateTime(), default=None)
    scored_by: Mapped[str | None] = mapped_column(Text, default=None)
    case_id: Mapped[str | None] = mapped_column(Text, default=None)
    experiment_id: Mapped[str | None] = mapped_column(Text, default=None)


class PromptExperimentModel(BaseModel):
    """A comparison of versions: offline on cases, or live on a share of the real runs.

    With the policy ``search``: the cases that versions were found on (:mod:`windlass.store.prompt_searches`).
    """

    __tablename__ = "prompt_experiments"
    __table_args__ = (
        Index(
            "uq_prompt_experiments_live",
            "prompt_name",
            unique=True,
            sqlite_where=text("state = 'running' AND kind = 'live'"),
            postgresql_where=text("state = 'running' AND kind = 'live'"),
        ),
        CheckConstraint("kind IN ('offline', 'live')", name="kind"),
        CheckConstraint("state IN ('running', 'stopped', 'decided')", name="state"),
        CheckConstraint("alpha > 0 AND alpha < 1", name="alpha"),
        CheckConstraint("min_pairs >= 1", name="min_pairs"),
    )

    prompt_name: Mapped[str] = mapped_column(NAME, ForeignKey("prompts.prompt_name"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    #: What makes an offline comparison the same one when it is started again.
    key: Mapped[str | None] = mapped_column(SHA256, default=None, unique=True)
    state: Mapped[str] = mapped_column(String(16), default="running")
    alpha: Mapped[float] = mapped_column(default=0.05)
    min_pairs: Mapped[int] = mapped_column(default=5)
    max_pairs: Mapped[int | None] = mapped_column(default=None)
    policy: Mapped[str] = mapped_column(String(16), default="thompson")
    seed: Mapped[int] = mapped_column(BigInteger, default=0)
    cost_cap: Mapped[float | None] = mapped_column(default=None)
    decision: Mapped[str | None] = mapped_column(Text, default=None)
    evidence: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)


class PromptArmModel(Base):
    """A version that takes part in an experiment; position 0 is what the others are measured against."""

    __tablename__ = "prompt_arms"

    experiment_id: Mapped[str] = mapped_column(
        ForeignKey("prompt_experiments.id", ondelete="CASCADE"), primary_key=True
    )
    prompt_version_id: Mapped[str] = mapped_column(
        ForeignKey("prompt_versions.id", ondelete="RESTRICT"), primary_key=True
    )
    position: Mapped[int] = mapped_column(Integer)
    weight: Mapped[float]


class PromptResultModel(Base):
    """How one version did on one case of an offline comparison."""

    __tablename__ = "prompt_results"
    __table_args__ = (CheckConstraint("outcome IN ('pass', 'fail', 'error')", name="outcome"),)

    experiment_id: Mapped[str] = mapped_column(
        ForeignKey("prompt_experiments.id", ondelete="CASCADE"), primary_key=True
    )
    case_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    prompt_version_id: Mapped[str] = mapped_column(
        ForeignKey("prompt_versions.id", ondelete="RESTRICT"), primary_key=True
    )
    outcome: Mapped[str] = mapped_column(String(16))
    cost_micro: Mapped[int | None] = mapped_column(BigInteger, default=None)
    detail: Mapped[str | None] = mapped_column(Text, default=None)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime(), default_factory=utc_now)
