"""A job remembers how many of its planners died, whoever was to blame."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("jobs", sa.Column("losses", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    """Undo."""
    op.drop_column("jobs", "losses")
