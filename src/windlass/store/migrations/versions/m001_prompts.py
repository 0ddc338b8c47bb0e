"""Prompts: versions that never change, which one is in effect, and what became of their uses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "m001_prompts"
down_revision = None

#: Table -> columns that never change once written.
_FROZEN = {
    "prompt_contents": ("sha256", "content"),
    "prompt_versions": ("prompt_name", "version_no", "prompt_content", "content_sha256"),
}


def upgrade() -> None:
    """Create the tables, and the triggers that refuse to rewrite history."""
    op.create_table(
        "prompt_contents",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_prompt_contents")),
    )
    op.create_table(
        "prompts",
        sa.Column("prompt_name", sa.String(length=200), nullable=False),
        sa.Column("default_sha256", sa.String(length=64), nullable=False),
        sa.Column("code_default_sha256", sa.String(length=64), nullable=False),
        sa.Column("last_version_no", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("keep_versions", sa.Integer(), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("keep_versions >= 2", name=op.f("ck_prompts_keep_versions")),
        sa.CheckConstraint("last_version_no >= 0", name=op.f("ck_prompts_last_version_no")),
        sa.ForeignKeyConstraint(
            ["code_default_sha256"], ["prompt_contents.sha256"], name=op.f("fk_prompts_code_default_sha256")
        ),
        sa.ForeignKeyConstraint(
            ["default_sha256"], ["prompt_contents.sha256"], name=op.f("fk_prompts_default_sha256")
        ),
        sa.PrimaryKeyConstraint("prompt_name", name=op.f("pk_prompts")),
    )
    op.create_table(
        "prompt_effective_log",
        sa.Column("prompt_name", sa.String(length=200), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("from_version_no", sa.Integer(), nullable=True),
        sa.Column("to_version_no", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("evidence", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('initial', 'use', 'rollback', 'promote')", name=op.f("ck_prompt_effective_log_kind")
        ),
        sa.ForeignKeyConstraint(
            ["prompt_name"], ["prompts.prompt_name"], name=op.f("fk_prompt_effective_log_prompt_name")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_effective_log")),
        sa.UniqueConstraint(
            "prompt_name", "revision", name=op.f("uq_prompt_effective_log_prompt_name_revision")
        ),
    )
    op.create_table(
        "prompt_experiments",
        sa.Column("prompt_name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("alpha", sa.Double(), nullable=False),
        sa.Column("min_pairs", sa.Integer(), nullable=False),
        sa.Column("max_pairs", sa.Integer(), nullable=True),
        sa.Column("policy", sa.String(length=16), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("cost_cap", sa.Double(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("evidence", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('offline', 'live')", name=op.f("ck_prompt_experiments_kind")),
        sa.CheckConstraint(
            "state IN ('running', 'stopped', 'decided')", name=op.f("ck_prompt_experiments_state")
        ),
        sa.CheckConstraint("alpha > 0 AND alpha < 1", name=op.f("ck_prompt_experiments_alpha")),
        sa.CheckConstraint("min_pairs >= 1", name=op.f("ck_prompt_experiments_min_pairs")),
        sa.ForeignKeyConstraint(
            ["prompt_name"], ["prompts.prompt_name"], name=op.f("fk_prompt_experiments_prompt_name")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_experiments")),
        sa.UniqueConstraint("key", name=op.f("uq_prompt_experiments_key")),
    )
    op.create_index(
        op.f("ix_prompt_experiments_prompt_name"), "prompt_experiments", ["prompt_name"], unique=False
    )
    op.create_index(
        "uq_prompt_experiments_live",
        "prompt_experiments",
        ["prompt_name"],
        unique=True,
        sqlite_where=sa.text("state = 'running' AND kind = 'live'"),
        postgresql_where=sa.text("state = 'running' AND kind = 'live'"),
    )
    op.create_table(
        "prompt_versions",
        sa.Column("prompt_name", sa.String(length=200), nullable=False),
        sa.Column("version_no", sa.Integer(), nullable=False),
        sa.Column("prompt_content", sa.Text(), nullable=False),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("is_current_effective", sa.Boolean(), nullable=False),
        sa.Column("parent_version_no", sa.Integer(), nullable=True),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("model_hint", sa.Text(), nullable=True),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "origin IN ('default', 'human', 'optimiser', 'import')", name=op.f("ck_prompt_versions_origin")
        ),
        sa.CheckConstraint(
            "NOT (is_current_effective AND archived_at IS NOT NULL)",
            name=op.f("ck_prompt_versions_effective_is_live"),
        ),
        sa.CheckConstraint("version_no > 0", name=op.f("ck_prompt_versions_version_no")),
        sa.ForeignKeyConstraint(
            ["content_sha256"], ["prompt_contents.sha256"], name=op.f("fk_prompt_versions_content_sha256")
        ),
        sa.ForeignKeyConstraint(
            ["prompt_name"], ["prompts.prompt_name"], name=op.f("fk_prompt_versions_prompt_name")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_versions")),
        sa.UniqueConstraint(
            "prompt_name", "version_no", name=op.f("uq_prompt_versions_prompt_name_version_no")
        ),
    )
    op.create_index(
        "ix_prompt_versions_live",
        "prompt_versions",
        ["prompt_name", "archived_at", "version_no"],
        unique=False,
    )
    op.create_index(
        "uq_prompt_versions_effective",
        "prompt_versions",
        ["prompt_name"],
        unique=True,
        sqlite_where=sa.text("is_current_effective"),
        postgresql_where=sa.text("is_current_effective"),
    )
    op.create_table(
        "prompt_arms",
        sa.Column("experiment_id", sa.String(length=64), nullable=False),
        sa.Column("prompt_version_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["prompt_experiments.id"],
            name=op.f("fk_prompt_arms_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["prompt_version_id"],
            ["prompt_versions.id"],
            name=op.f("fk_prompt_arms_prompt_version_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("experiment_id", "prompt_version_id", name=op.f("pk_prompt_arms")),
    )
    op.create_table(
        "prompt_pins",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("prompt_name", sa.String(length=200), nullable=False),
        sa.Column("prompt_version_id", sa.String(length=64), nullable=False),
        sa.Column("experiment_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["prompt_experiments.id"], name=op.f("fk_prompt_pins_experiment_id")
        ),
        sa.ForeignKeyConstraint(
            ["prompt_name"], ["prompts.prompt_name"], name=op.f("fk_prompt_pins_prompt_name")
        ),
        sa.ForeignKeyConstraint(
            ["prompt_version_id"],
            ["prompt_versions.id"],
            name=op.f("fk_prompt_pins_prompt_version_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("run_id", "prompt_name", name=op.f("pk_prompt_pins")),
    )
    op.create_index(
        op.f("ix_prompt_pins_prompt_version_id"), "prompt_pins", ["prompt_version_id"], unique=False
    )
    op.create_table(
        "prompt_results",
        sa.Column("experiment_id", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=200), nullable=False),
        sa.Column("prompt_version_id", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("cost_micro", sa.BigInteger(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("outcome IN ('pass', 'fail', 'error')", name=op.f("ck_prompt_results_outcome")),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["prompt_experiments.id"],
            name=op.f("fk_prompt_results_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["prompt_version_id"],
            ["prompt_versions.id"],
            name=op.f("fk_prompt_results_prompt_version_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint(
            "experiment_id", "case_id", "prompt_version_id", name=op.f("pk_prompt_results")
        ),
    )
    op.create_table(
        "prompt_usages",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("step_path", sa.Text(), nullable=False),
        sa.Column("call_path", sa.Text(), nullable=False),
        sa.Column("prompt_name", sa.String(length=200), nullable=False),
        sa.Column("prompt_version_id", sa.String(length=64), nullable=True),
        sa.Column("template_sha256", sa.String(length=64), nullable=False),
        sa.Column("rendered_sha256", sa.String(length=64), nullable=False),
        sa.Column("provenance", sa.String(length=16), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("tokens_in", sa.Integer(), nullable=True),
        sa.Column("tokens_out", sa.Integer(), nullable=True),
        sa.Column("cost_micro", sa.BigInteger(), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("scored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("scored_by", sa.Text(), nullable=True),
        sa.Column("case_id", sa.Text(), nullable=True),
        sa.Column("experiment_id", sa.Text(), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('pending', 'pass', 'fail', 'error', 'cancelled')",
            name=op.f("ck_prompt_usages_outcome"),
        ),
        sa.CheckConstraint(
            "provenance IN ('db', 'cache', 'stale', 'default')", name=op.f("ck_prompt_usages_provenance")
        ),
        sa.ForeignKeyConstraint(
            ["prompt_version_id"],
            ["prompt_versions.id"],
            name=op.f("fk_prompt_usages_prompt_version_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["rendered_sha256"], ["prompt_contents.sha256"], name=op.f("fk_prompt_usages_rendered_sha256")
        ),
        sa.ForeignKeyConstraint(
            ["template_sha256"], ["prompt_contents.sha256"], name=op.f("fk_prompt_usages_template_sha256")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_usages")),
        sa.UniqueConstraint(
            "run_id", "call_path", "prompt_name", name=op.f("uq_prompt_usages_run_id_call_path_prompt_name")
        ),
    )
    op.create_index(
        "ix_prompt_usages_outcome", "prompt_usages", ["prompt_version_id", "outcome"], unique=False
    )

    if op.get_bind().dialect.name == "sqlite":
        _sqlite_triggers()
    else:
        _postgresql_triggers()


def _sqlite_triggers() -> None:
    for table, columns in _FROZEN.items():
        changed = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in columns)
        op.execute(
            f"CREATE TRIGGER {table}_frozen BEFORE UPDATE ON {table} WHEN {changed} "
            f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are never rewritten'); END"
        )
    op.execute(
        "CREATE TRIGGER prompt_versions_kept BEFORE DELETE ON prompt_versions WHEN OLD.archived_at IS NULL "
        "BEGIN SELECT RAISE(ABORT, 'a live prompt version is never removed'); END"
    )


def _postgresql_triggers() -> None:
    for table, columns in _FROZEN.items():
        changed = " OR ".join(f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in columns)
        op.execute(
            f"CREATE FUNCTION {table}_frozen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"RAISE EXCEPTION 'rows of {table} are never rewritten' "
            "USING ERRCODE = 'integrity_constraint_violation'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_frozen BEFORE UPDATE ON {table} FOR EACH ROW "
            f"WHEN ({changed}) EXECUTE FUNCTION {table}_frozen()"
        )
    op.execute(
        "CREATE FUNCTION prompt_versions_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'a live prompt version is never removed' "
        "USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER prompt_versions_kept BEFORE DELETE ON prompt_versions FOR EACH ROW "
        "WHEN (OLD.archived_at IS NULL) EXECUTE FUNCTION prompt_versions_kept()"
    )
