"""Entries that a fork took over from another run are known as such, and cost nothing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "m005_copied_entries"
down_revision = "m004_open_reservations"

#: Copies made so far: the run's parent has the same attempt, begun at the same moment.
_MARK = """
UPDATE run_entries
SET copied_from = (SELECT parent_run FROM runs WHERE runs.run_id = run_entries.run_id),
    cost_nano_usd = CASE WHEN kind = 'model' THEN 0 END,
    reserved_nano_usd = NULL
WHERE run_id IN (SELECT run_id FROM runs WHERE parent_run IS NOT NULL)
  AND EXISTS (
    SELECT 1 FROM run_entries AS first JOIN runs ON runs.parent_run = first.run_id
    WHERE runs.run_id = run_entries.run_id AND first.path = run_entries.path AND first.attempt = run_entries.attempt
      AND first.digest = run_entries.digest AND first.started_at = run_entries.started_at
  )
"""


def upgrade() -> None:
    """Add the mark, and set it on what earlier forks took over."""
    op.add_column("run_entries", sa.Column("copied_from", sa.String(length=64), nullable=True))
    op.execute(_MARK)


def downgrade() -> None:
    """Forget what was copied; its cost stays nothing."""
    op.drop_column("run_entries", "copied_from")
