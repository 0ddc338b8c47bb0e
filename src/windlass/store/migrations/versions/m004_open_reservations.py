"""What is set aside just now is found among all that ever was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "m004_open_reservations"
down_revision = "m003_fleet"

_OPEN = sa.text("state = 'open'")


def upgrade() -> None:
    """An index of the few rows that are open, in place of one of all."""
    op.drop_index("ix_budget_reservations_owner_state", "budget_reservations")
    op.create_index(
        "ix_budget_reservations_open",
        "budget_reservations",
        ["owner"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )


def downgrade() -> None:
    """The index of all rows again."""
    op.drop_index("ix_budget_reservations_open", "budget_reservations")
    op.create_index("ix_budget_reservations_owner_state", "budget_reservations", ["owner", "state"])
