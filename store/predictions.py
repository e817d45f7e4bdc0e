"""Predictions: one row for each page, written once, read in the order of the job's items."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, bindparam, exists, insert, select, tuple_
from sqlalchemy.orm import Session, undefer

from store.archives import display_name
from store.base import Base, driver_text, new_id
from store.models import Job, Prediction, Upload
from store.states import GradcamPolicy, ItemStatus, JobState

# As tables, not as mapped classes: SQLAlchemy's unit of work costs a millisecond a row that is never read back.
_PREDICTIONS = Base.metadata.tables[Prediction.__tablename__]
_UPLOADS = Base.metadata.tables[Upload.__tablename__]
_IMAGE_COLUMNS = ("id", "owner_id", "position", "name", "is_archive", "blob_key", "size_bytes")
_DETAIL_CHARACTERS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What an answer belongs to: a place in a job, and where its bytes are."""

    ordinal: int
    upload_id: uuid.UUID
    member_index: int | None
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPrediction:
    """A row to be; make it with `succeeded` or `refused`."""

    ordinal: int
    upload_id: uuid.UUID
    member_index: int | None
    file: str
    page: int
    status: ItemStatus
    reason: str | None = None
    detail: str | None = None
    predicted_class: str | None = None
    confidence: float | None = None
    p_handwritten: float | None = None
    p_printed: float | None = None
    needs_review: bool = False
    cam: bytes | None = None


def succeeded(
    item: Item,
    *,
    page: int,
    predicted_class: str,
    confidence: float,
    probabilities: Mapping[str, float],
    review: str | None,
    cam: bytes,
    gradcam: GradcamPolicy,
) -> NewPrediction:
    """A verdict, and why a person should look at it, if so; the packed class activation map stays where the policy says so."""
    needs_review = review is not None
    keep_cam = gradcam == GradcamPolicy.ALWAYS or (gradcam == GradcamPolicy.REVIEW and needs_review)
    return NewPrediction(
        **asdict(item),
        page=page,
        status=ItemStatus.SUCCEEDED,
        reason=review,
        predicted_class=predicted_class,
        confidence=confidence,
        p_handwritten=probabilities["handwritten"],
        p_printed=probabilities["printed"],
        needs_review=needs_review,
        cam=cam if keep_cam else None,
    )


def refused(item: Item, *, reason: str, detail: str, page: int = 1, status: ItemStatus = ItemStatus.FAILED) -> NewPrediction:
    """An item without a verdict, and why."""
    return NewPrediction(**asdict(item), page=page, status=status, reason=reason, detail=shown_detail(detail))


def shown_detail(detail: str) -> str:
    """A sentence fit for a row: it quotes decoders, which quote the file, and Postgres refuses a NUL and with it the chunk."""
    return display_name(detail)[:_DETAIL_CHARACTERS]


def insert_predictions(
    session: Session, rows: Sequence[NewPrediction], *, job_id: uuid.UUID | None, model_version: str | None
) -> list[uuid.UUID]:
    """Write the rows and return their ids, in order. Refused items name no model version."""
    if not rows:
        return []
    values = [
        asdict(row)
        | {"id": new_id(), "job_id": job_id, "model_version": model_version if row.status == ItemStatus.SUCCEEDED else None}
        for row in rows
    ]
    session.execute(insert(_PREDICTIONS), values)
    return [value["id"] for value in values]


_ANSWER_COLUMNS = ("id", "model_version", *(field.name for field in fields(NewPrediction)))


def _make_insert_single() -> str:
    """Both rows in one statement: one round trip, and built once, since building takes longer than Postgres does."""
    image = insert(_UPLOADS).values(_parameters("image", _IMAGE_COLUMNS)).cte("image")
    return driver_text(insert(_PREDICTIONS).values(_parameters("answer", _ANSWER_COLUMNS)).add_cte(image))


def _parameters(prefix: str, columns: Sequence[str]) -> dict[str, BindParameter[Any]]:
    return {column: bindparam(f"{prefix}_{column}") for column in columns}


_INSERT_SINGLE = _make_insert_single()


def insert_single(connection: Connection, upload: Upload, row: NewPrediction, *, model_version: str) -> uuid.UUID:
    """Write an image that belongs to no job, with its answer, and return the prediction's id."""
    prediction_id = new_id()
    answer = asdict(row) | {"id": prediction_id, "model_version": model_version, "status": row.status.value}
    image = {column: getattr(upload, column) for column in _IMAGE_COLUMNS}
    values = {f"answer_{column}": value for column, value in answer.items()}
    connection.exec_driver_sql(_INSERT_SINGLE, values | {f"image_{column}": value for column, value in image.items()})
    return prediction_id


def tally(rows: Sequence[NewPrediction]) -> dict[str, int]:
    """How the rows add to a job's counts, by the names of its columns."""
    return {
        "succeeded": sum(row.status == ItemStatus.SUCCEEDED for row in rows),
        "failed": sum(row.status == ItemStatus.FAILED for row in rows),
        "skipped": sum(row.status == ItemStatus.SKIPPED for row in rows),
        "handwritten": sum(row.predicted_class == "handwritten" for row in rows),
        "printed": sum(row.predicted_class == "printed" for row in rows),
        "needs_review": sum(row.needs_review for row in rows),
    }


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rows of a job to read; None does not filter."""

    predicted_class: str | None = None
    status: ItemStatus | None = None
    min_confidence: float | None = None
    max_confidence: float | None = None
    needs_review: bool | None = None


def get_prediction(
    session: Session, prediction_id: uuid.UUID, *, owner_id: uuid.UUID | None
) -> tuple[Prediction, Upload] | None:
    """A prediction with the upload that it was made from, if that is `owner_id`'s; None sees everybody's. None of a job that
    has expired, whose rows go in steps.
    """
    is_gone = exists().where(Job.id == Prediction.job_id, Job.state == JobState.EXPIRED)
    query = select(Prediction, Upload).join(Upload, Upload.id == Prediction.upload_id)
    query = query.where(Prediction.id == prediction_id, ~is_gone)
    if owner_id is not None:
        query = query.where(Upload.owner_id == owner_id)
    row = session.execute(query.options(undefer(Prediction.cam))).one_or_none()
    return (row[0], row[1]) if row else None


def list_results(
    session: Session, job: Job, *, filters: Filters, limit: int, after: tuple[int, int] | None = None
) -> Sequence[Prediction]:
    """A job's rows in the order of its items; `after` is the (ordinal, page) that the last page ended with."""
    query = _filtered(select(Prediction).where(Prediction.job_id == job.id), filters)
    if after:
        query = query.where(tuple_(Prediction.ordinal, Prediction.page) > after)
    query = query.order_by(Prediction.ordinal, Prediction.page).limit(limit)
    return session.scalars(query).all()


def _filtered(query: Select[Prediction], filters: Filters) -> Select[Prediction]:
    if filters.predicted_class is not None:
        query = query.where(Prediction.predicted_class == filters.predicted_class)
    if filters.status is not None:
        query = query.where(Prediction.status == filters.status)
    if filters.min_confidence is not None:
        query = query.where(Prediction.confidence >= filters.min_confidence)
    if filters.max_confidence is not None:
        query = query.where(Prediction.confidence <= filters.max_confidence)
    if filters.needs_review is not None:
        query = query.where(Prediction.needs_review == filters.needs_review)
    return query
