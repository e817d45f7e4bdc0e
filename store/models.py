"""The tables, and the states that their rows can be in. Rows are the truth; messages are hints.

Times are aware and the database's own; ids are UUIDv7, so that they sort by creation.
"""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Enum, ForeignKey, Index, MetaData, String, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column, relationship
from uuid_utils import compat as uuid_utils


class JobState(StrEnum):
    """Where a job stands.

    queued → planning → running → completed | failed, with cancelled and expired for jobs that were given up.
    """

    QUEUED = "queued"  # accepted and durable; nobody has looked inside yet
    PLANNING = "planning"  # a worker reads the archives' directories
    RUNNING = "running"  # chunks are being classified
    COMPLETED = "completed"  # every item has its row; some may have failed
    FAILED = "failed"  # no result could be produced
    CANCELLING = "cancelling"  # somebody asked to stop it, and the chunks in workers' hands are waited for
    CANCELLED = "cancelled"  # it was stopped; what was classified before stays
    EXPIRED = "expired"  # it was kept for as long as it should be, and its uploads are gone


FINISHED_STATES = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED})


PREDICTED_CLASSES = ("handwritten", "printed")
"""What a model may answer, so that a row of predictions can hold it."""


class ChunkState(StrEnum):
    """ready → leased → done; an expired lease leads back to ready."""

    READY = "ready"
    LEASED = "leased"
    DONE = "done"


class ItemStatus(StrEnum):
    """What became of one item."""

    SUCCEEDED = "succeeded"  # it has a class and a confidence
    FAILED = "failed"  # it has a reason instead
    SKIPPED = "skipped"  # it was no scan to begin with, such as a file manager's thumbnail cache


class GradcamPolicy(StrEnum):
    """For which predictions the class activation map is kept."""

    REVIEW = "review"  # where a person should look
    ALWAYS = "always"
    NEVER = "never"


def new_id() -> uuid.UUID:
    """A UUIDv7."""
    return uuid_utils.uuid7()


class Base(DeclarativeBase):
    """Constraint names are derived, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy declares it as an instance attribute
        datetime: DateTime(timezone=True),
        int: BigInteger,
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
    }


def _enum(kind: type[StrEnum], name: str) -> Enum:
    return Enum(kind, native_enum=False, length=16, name=name, values_callable=lambda members: [m.value for m in members])


class Job(Base):
    """One batch. `lease_token` and `lease_until` guard its planning; the counts equal its prediction rows."""

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "state", "hinted_at"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    state: Mapped[JobState] = mapped_column(_enum(JobState, "job_state"), default=JobState.QUEUED)
    gradcam: Mapped[GradcamPolicy] = mapped_column(_enum(GradcamPolicy, "gradcam_policy"), default=GradcamPolicy.REVIEW)
    review_threshold: Mapped[float | None]  # as asked for; pinned with the model version when the job is planned
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
    lease_token: Mapped[uuid.UUID | None]
    lease_until: Mapped[datetime | None]
    hinted_at: Mapped[datetime] = mapped_column(server_default=func.now())

    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    uploads: Mapped[list["Upload"]] = relationship(order_by="Upload.position")

    @property
    def processed(self) -> int:
        """Items that have their row."""
        return self.succeeded + self.failed + self.skipped


class Upload(Base):
    """One file as a client sent it: an archive or a single image. Images sent to `/predict/` belong to no job."""

    __tablename__ = "uploads"
    __table_args__ = (Index(None, "job_id"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    job_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(default=0)
    name: Mapped[str]
    is_archive: Mapped[bool]
    blob_key: Mapped[str]
    size_bytes: Mapped[int]
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
    state: Mapped[ChunkState] = mapped_column(_enum(ChunkState, "chunk_state"), default=ChunkState.READY)
    members: Mapped[list[dict[str, Any]]]
    attempt: Mapped[int] = mapped_column(default=0)
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
    status: Mapped[ItemStatus] = mapped_column(_enum(ItemStatus, "item_status"))
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
