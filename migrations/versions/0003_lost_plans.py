"""A planner whose lease ran out may come back, and is not blamed for what kept it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("jobs", sa.Column("lost_token", sa.Uuid(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("jobs", "lost_token")
