"""The tables. Rows are the truth; messages are hints. `store/states.py` has the states that rows can be in.

Times are aware and the database's own; ids are UUIDv7, so that they sort by creation.
"""

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, func, select, text
from sqlalchemy.orm import Mapped, column_property, configure_mappers, mapped_column, relationship

from store.base import Base, enum_of, new_id
from store.states import ChunkState, EventState, GradcamPolicy, ItemStatus, JobState

NEVER_HINTED = datetime(1970, 1, 1, tzinfo=UTC)
"""`hinted_at` of work that must be announced as soon as may be."""


class Key(Base):
    """Who may use the service, and how much of it. A key's id owns what its holder makes; secrets change, the id stays.

    Of an API secret only the SHA-256 is kept. After a rotation the secret before holds until its time is over.
    """

    __tablename__ = "keys"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200))
    scopes: Mapped[list[str]]
    secret_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    previous_sha256: Mapped[str | None] = mapped_column(String(64), unique=True)
    previous_until: Mapped[datetime | None]
    webhook_secret: Mapped[str]
    previous_webhook_secret: Mapped[str | None]
    previous_webhook_until: Mapped[datetime | None]
    max_open_jobs: Mapped[int | None]  # None leaves it to the setting
    max_stored_bytes: Mapped[int | None]
    max_requests_per_minute: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revoked_at: Mapped[datetime | None]


class Job(Base):
    """One batch. `lease_token` and `lease_until` guard its planning; the counts equal its prediction rows."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index(None, "state", "hinted_at"),
        Index(None, "owner_id", "id"),
        Index("ix_jobs_unpurged_expires_at", "expires_at", postgresql_where=text("purged_at IS NULL")),
        Index(None, "cancel_after"),
        Index("ix_jobs_retries_owner_id", "owner_id", postgresql_where=text("retry_of IS NOT NULL")),
        Index(None, "webhook_endpoint_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    owner_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("keys.id"))  # None where the service knows no keys
    name: Mapped[str]
    state: Mapped[JobState] = mapped_column(enum_of(JobState, "job_state"), default=JobState.QUEUED)
    gradcam: Mapped[GradcamPolicy] = mapped_column(enum_of(GradcamPolicy, "gradcam_policy"), default=GradcamPolicy.REVIEW)
    asked_threshold: Mapped[float | None]  # what its client wanted, and a retry takes over
    review_threshold: Mapped[float | None]  # what holds; pinned with the model version when the job is planned
    model_version: Mapped[str | None]
    reason: Mapped[str | None] = mapped_column(String(64))
    detail: Mapped[str | None]

    total: Mapped[int] = mapped_column(default=0)
    succeeded: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    handwritten: Mapped[int] = mapped_column(default=0)
    printed: Mapped[int] = mapped_column(default=0)
    needs_review: Mapped[int] = mapped_column(default=0)

    attempt: Mapped[int] = mapped_column(default=0)
    losses: Mapped[int] = mapped_column(default=0, server_default="0")  # planners that died with it in hand, as for chunks
    lost_token: Mapped[uuid.UUID | None]  # of the lease that ran out last: its holder may live on, and say so
    lease_token: Mapped[uuid.UUID | None]
    lease_until: Mapped[datetime | None]
    hinted_at: Mapped[datetime] = mapped_column(server_default=func.now())

    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    cancel_after: Mapped[datetime | None]  # then it is cancelled, unless it has ended
    retention_seconds: Mapped[
        int | None
    ]  # how long it is kept once it has ended, settled at acceptance; None keeps it for ever
    expires_at: Mapped[datetime | None]  # set when it ends; then uploads and results are purged
    purged_at: Mapped[datetime | None]  # when the last of them was
    retry_of: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))

    webhook_endpoint_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("webhook_endpoints.id"))
    webhook_events: Mapped[list[str] | None]  # the types of events that its client wants

    uploads: Mapped[list["Upload"]] = relationship(order_by="Upload.position")

    @property
    def processed(self) -> int:
        """Items that have their row."""
        return self.succeeded + self.failed + self.skipped


class Upload(Base):
    """One file as a client sent it: an archive or a single image. Images sent to `/predict/` belong to no job."""

    __tablename__ = "uploads"
    __table_args__ = (
        Index(None, "job_id"),
        Index(None, "blob_key"),
        Index(None, "owner_id", postgresql_include=["size_bytes"]),
        Index("ix_uploads_single_created_at", "created_at", postgresql_where=text("job_id IS NULL")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    job_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    owner_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("keys.id"))
    position: Mapped[int] = mapped_column(default=0)
    name: Mapped[str]
    is_archive: Mapped[bool]
    blob_key: Mapped[str]
    size_bytes: Mapped[int]
    members: Mapped[list[int] | None]  # places in the archive's directory that a retry takes; None takes all
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Chunk(Base):
    """A few items that one worker takes at once, under a lease.

    `members` lists them as {"ordinal", "upload", "index", "file"}: place in the job, upload id, place in the archive's
    directory (None for a single image), and name as shown.
    """

    __tablename__ = "chunks"
    __table_args__ = (Index(None, "job_id", "state"), Index(None, "state", "hinted_at"))

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    state: Mapped[ChunkState] = mapped_column(enum_of(ChunkState, "chunk_state"), default=ChunkState.READY)
    members: Mapped[list[dict[str, Any]]]
    attempt: Mapped[int] = mapped_column(default=0)
    losses: Mapped[int] = mapped_column(
        default=0, server_default="0"
    )  # workers that died with it in hand, whoever was to blame
    lost_token: Mapped[uuid.UUID | None]  # of the lease that ran out last: its holder may live on, and say so
    lease_token: Mapped[uuid.UUID | None]
    lease_until: Mapped[datetime | None]
    hinted_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]


class Prediction(Base):
    """One page's answer, written once and never updated. `reason` says why an item has no class, or why a person should look
    at the one that it has: a succeeded item needs review exactly when it has a reason.
    """

    __tablename__ = "predictions"
    __table_args__ = (UniqueConstraint("job_id", "ordinal", "page"), Index(None, "upload_id"))

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    job_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    upload_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"))
    ordinal: Mapped[int]
    member_index: Mapped[int | None]
    file: Mapped[str]
    page: Mapped[int]
    status: Mapped[ItemStatus] = mapped_column(enum_of(ItemStatus, "item_status"))
    reason: Mapped[str | None] = mapped_column(String(64))
    detail: Mapped[str | None]
    predicted_class: Mapped[str | None] = mapped_column(String(32))
    confidence: Mapped[float | None]
    p_handwritten: Mapped[float | None]
    p_printed: Mapped[float | None]
    needs_review: Mapped[bool] = mapped_column(default=False)
    model_version: Mapped[str | None]
    cam: Mapped[bytes | None] = mapped_column(deferred=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    has_cam: Mapped[bool] = column_property(cam.isnot(None))  # known without reading the map


class IdempotencyKey(Base):
    """A client's own name for one submission, and the answer that it got: the same request again gets the same answer.

    `client` is the id of a key, or `anonymous`; `fingerprint` the SHA-256 of what was sent. Without `status` the first request
    still runs, or died: then its lease runs out.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("client", "key"), Index(None, "created_at"))

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    client: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(255))
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    job_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    status: Mapped[int | None]
    answer: Mapped[dict[str, Any] | None]
    lease_token: Mapped[uuid.UUID | None]
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class WebhookHost(Base):
    """Where a client's endpoints are, `name` with its port: what is down is down for all of them, be there one for each job."""

    __tablename__ = "webhook_hosts"
    __table_args__ = (UniqueConstraint("owner_id", "name", postgresql_nulls_not_distinct=True),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    owner_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("keys.id"))
    name: Mapped[str]
    failing_since: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class WebhookEndpoint(Base):
    """An address that a client wants its jobs' events sent to; switched off when it says so or its host has failed for days."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (UniqueConstraint("owner_id", "url", postgresql_nulls_not_distinct=True), Index(None, "host_id"))

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    owner_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("keys.id"))
    host_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_hosts.id"))
    url: Mapped[str]
    failing_since: Mapped[datetime | None] = column_property(
        select(WebhookHost.failing_since).where(WebhookHost.id == host_id).scalar_subquery()
    )
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class WebhookEvent(Base):
    """Something that happened to a job, to be told once: written in the transaction in which it happened.

    `sequence` is 0 but for progress, of which a job may have several. `id` is the `webhook-id` of every attempt.
    """

    __tablename__ = "webhook_events"
    __table_args__ = (
        UniqueConstraint("job_id", "type", "sequence"),
        Index(None, "endpoint_id", "state"),
        Index(None, "host_id", "state", "next_at"),
        # A few rows however many wait, so that what is in deliverers' hands is counted at each claim.
        Index("ix_webhook_events_held", "host_id", postgresql_where=text("lease_token IS NOT NULL")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    endpoint_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    host_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_hosts.id"))  # its endpoint's
    type: Mapped[str] = mapped_column(String(32))
    sequence: Mapped[int] = mapped_column(default=0)
    payload: Mapped[dict[str, Any]]
    state: Mapped[EventState] = mapped_column(enum_of(EventState, "event_state"), default=EventState.PENDING)
    attempt: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime] = mapped_column(server_default=func.now())
    lease_token: Mapped[uuid.UUID | None]
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]


class WebhookAttempt(Base):
    """One try to deliver an event: the log that its client may read."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (Index(None, "event_id", "id"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    event_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_events.id", ondelete="CASCADE"))
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    milliseconds: Mapped[int]
    status: Mapped[int | None]
    error: Mapped[str | None]


class SweepCount(Base):
    """How often each rule of the sweep has put something right, since ever."""

    __tablename__ = "sweep_counts"

    rule: Mapped[str] = mapped_column(String(64), primary_key=True)
    count: Mapped[int] = mapped_column(default=0)


# Now, and not at the first query: a worker forks while its watch asks one, and the lock for this would never open in the child.
configure_mappers()
