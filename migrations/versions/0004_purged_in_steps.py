"""Expired jobs are purged in several steps, and `purged_at` says that no more is to do."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("jobs", sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE jobs SET purged_at = now() WHERE state = 'expired'")  # until now it was done in one step
    op.drop_index(op.f("ix_jobs_expires_at"), table_name="jobs")
    unpurged = sa.text("purged_at IS NULL")
    op.create_index("ix_jobs_unpurged_expires_at", "jobs", ["expires_at"], unique=False, postgresql_where=unpurged)


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_jobs_unpurged_expires_at", table_name="jobs")
    op.create_index(op.f("ix_jobs_expires_at"), "jobs", ["expires_at"], unique=False)
    op.drop_column("jobs", "purged_at")
