"""Keys and what they own, idempotency keys, deadlines and retention of jobs, webhooks, and what the sweep counts."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("scopes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("previous_sha256", sa.String(length=64), nullable=True),
        sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("webhook_secret", sa.String(), nullable=False),
        sa.Column("previous_webhook_secret", sa.String(), nullable=True),
        sa.Column("previous_webhook_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("max_open_jobs", sa.BigInteger(), nullable=True),
        sa.Column("max_stored_bytes", sa.BigInteger(), nullable=True),
        sa.Column("max_requests_per_minute", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
        sa.UniqueConstraint("previous_sha256", name=op.f("uq_keys_previous_sha256")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_keys_secret_sha256")),
    )
    op.create_table(
        "sweep_counts",
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("rule", name=op.f("pk_sweep_counts")),
    )
    op.create_table(
        "webhook_hosts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["keys.id"], name=op.f("fk_webhook_hosts_owner_id_keys")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_hosts")),
        sa.UniqueConstraint(
            "owner_id", "name", name=op.f("uq_webhook_hosts_owner_id_name"), postgresql_nulls_not_distinct=True
        ),
    )
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("host_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["keys.id"], name=op.f("fk_webhook_endpoints_owner_id_keys")),
        sa.ForeignKeyConstraint(["host_id"], ["webhook_hosts.id"], name=op.f("fk_webhook_endpoints_host_id_webhook_hosts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
        sa.UniqueConstraint(
            "owner_id", "url", name=op.f("uq_webhook_endpoints_owner_id_url"), postgresql_nulls_not_distinct=True
        ),
    )
    op.create_index(op.f("ix_webhook_endpoints_host_id"), "webhook_endpoints", ["host_id"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_idempotency_keys_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_keys")),
        sa.UniqueConstraint("client", "key", name=op.f("uq_idempotency_keys_client_key")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "webhook_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("host_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "state",
            sa.Enum("pending", "delivered", "given_up", name="event_state", native_enum=False, length=16),
            nullable=False,
        ),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name=op.f("fk_webhook_events_endpoint_id_webhook_endpoints"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["host_id"], ["webhook_hosts.id"], name=op.f("fk_webhook_events_host_id_webhook_hosts")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_webhook_events_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_events")),
        sa.UniqueConstraint("job_id", "type", "sequence", name=op.f("uq_webhook_events_job_id_type_sequence")),
    )
    op.create_index(op.f("ix_webhook_events_endpoint_id_state"), "webhook_events", ["endpoint_id", "state"], unique=False)
    op.create_index(
        op.f("ix_webhook_events_host_id_state_next_at"), "webhook_events", ["host_id", "state", "next_at"], unique=False
    )
    op.create_index(
        "ix_webhook_events_held",
        "webhook_events",
        ["host_id"],
        unique=False,
        postgresql_where=sa.text("lease_token IS NOT NULL"),
    )
    op.create_table(
        "webhook_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("milliseconds", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["event_id"], ["webhook_events.id"], name=op.f("fk_webhook_attempts_event_id_webhook_events"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_attempts")),
    )
    op.create_index(op.f("ix_webhook_attempts_event_id_id"), "webhook_attempts", ["event_id", "id"], unique=False)
    op.add_column("jobs", sa.Column("owner_id", sa.Uuid(), nullable=True))
    op.add_column("jobs", sa.Column("cancel_after", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("retention_seconds", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("retry_of", sa.Uuid(), nullable=True))
    op.add_column("jobs", sa.Column("webhook_endpoint_id", sa.Uuid(), nullable=True))
    op.add_column("jobs", sa.Column("webhook_events", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("jobs", sa.Column("asked_threshold", sa.Double(), nullable=True))
    op.execute("UPDATE jobs SET asked_threshold = review_threshold WHERE model_version IS NULL")  # else it is the pinned one
    op.create_index(op.f("ix_jobs_cancel_after"), "jobs", ["cancel_after"], unique=False)
    op.create_index(op.f("ix_jobs_expires_at"), "jobs", ["expires_at"], unique=False)
    op.create_index(op.f("ix_jobs_webhook_endpoint_id"), "jobs", ["webhook_endpoint_id"], unique=False)
    op.create_index(op.f("ix_jobs_owner_id_id"), "jobs", ["owner_id", "id"], unique=False)
    retries = sa.text("retry_of IS NOT NULL")
    op.create_index("ix_jobs_retries_owner_id", "jobs", ["owner_id"], unique=False, postgresql_where=retries)
    op.create_foreign_key(op.f("fk_jobs_owner_id_keys"), "jobs", "keys", ["owner_id"], ["id"])
    op.create_foreign_key(op.f("fk_jobs_retry_of_jobs"), "jobs", "jobs", ["retry_of"], ["id"], ondelete="SET NULL")
    op.create_foreign_key(
        op.f("fk_jobs_webhook_endpoint_id_webhook_endpoints"), "jobs", "webhook_endpoints", ["webhook_endpoint_id"], ["id"]
    )
    op.add_column("uploads", sa.Column("owner_id", sa.Uuid(), nullable=True))
    op.add_column("uploads", sa.Column("members", postgresql.JSONB(astext_type=sa.Text(), none_as_null=True), nullable=True))
    singles = sa.text("job_id IS NULL")
    op.create_index("ix_uploads_single_created_at", "uploads", ["created_at"], unique=False, postgresql_where=singles)
    op.create_index(op.f("ix_uploads_owner_id"), "uploads", ["owner_id"], unique=False, postgresql_include=["size_bytes"])
    op.create_index(op.f("ix_uploads_blob_key"), "uploads", ["blob_key"], unique=False)
    op.create_foreign_key(op.f("fk_uploads_owner_id_keys"), "uploads", "keys", ["owner_id"], ["id"])
    op.add_column("chunks", sa.Column("lost_token", sa.Uuid(), nullable=True))
    op.add_column("chunks", sa.Column("losses", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    """Undo."""
    op.drop_column("chunks", "losses")
    op.drop_column("chunks", "lost_token")
    op.drop_constraint(op.f("fk_uploads_owner_id_keys"), "uploads", type_="foreignkey")
    op.drop_index(op.f("ix_uploads_blob_key"), table_name="uploads")
    op.drop_index(op.f("ix_uploads_owner_id"), table_name="uploads", postgresql_include=["size_bytes"])
    op.drop_index("ix_uploads_single_created_at", table_name="uploads")
    op.drop_column("uploads", "members")
    op.drop_column("uploads", "owner_id")
    op.drop_constraint(op.f("fk_jobs_webhook_endpoint_id_webhook_endpoints"), "jobs", type_="foreignkey")
    op.drop_constraint(op.f("fk_jobs_retry_of_jobs"), "jobs", type_="foreignkey")
    op.drop_constraint(op.f("fk_jobs_owner_id_keys"), "jobs", type_="foreignkey")
    op.drop_index("ix_jobs_retries_owner_id", table_name="jobs", postgresql_where=sa.text("retry_of IS NOT NULL"))
    op.drop_index(op.f("ix_jobs_webhook_endpoint_id"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_owner_id_id"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_expires_at"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_cancel_after"), table_name="jobs")
    op.drop_column("jobs", "asked_threshold")
    op.drop_column("jobs", "webhook_events")
    op.drop_column("jobs", "webhook_endpoint_id")
    op.drop_column("jobs", "retry_of")
    op.drop_column("jobs", "expires_at")
    op.drop_column("jobs", "retention_seconds")
    op.drop_column("jobs", "cancel_after")
    op.drop_column("jobs", "owner_id")
    op.drop_index(op.f("ix_webhook_attempts_event_id_id"), table_name="webhook_attempts")
    op.drop_table("webhook_attempts")
    op.drop_index("ix_webhook_events_held", table_name="webhook_events", postgresql_where=sa.text("lease_token IS NOT NULL"))
    op.drop_index(op.f("ix_webhook_events_host_id_state_next_at"), table_name="webhook_events")
    op.drop_index(op.f("ix_webhook_events_endpoint_id_state"), table_name="webhook_events")
    op.drop_table("webhook_events")
    op.drop_index(op.f("ix_idempotency_keys_created_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index(op.f("ix_webhook_endpoints_host_id"), table_name="webhook_endpoints")
    op.drop_table("webhook_endpoints")
    op.drop_table("webhook_hosts")
    op.drop_table("sweep_counts")
    op.drop_table("keys")
