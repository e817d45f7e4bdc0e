"""What the service answers, with examples for the OpenAPI document."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.examples import JOB, JOB_ID, PREDICTION, PREDICTION_ID
from inference.review import ReviewReason
from store.models import Job, Prediction
from store.states import FINISHED_STATES, ItemStatus, JobState

PredictedClass = Literal["handwritten", "printed"]
Probability = Annotated[float, Field(ge=0, le=1)]
_REVIEW_REASONS = f"Why a person should look: {', '.join(ReviewReason)}; null if nobody needs to."


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"example": values}, protected_namespaces=())


class Counts(BaseModel):
    """A job's items. `total` grows when a document turns out to have several pages."""

    total: int
    processed: int
    succeeded: int
    failed: int
    skipped: int
    handwritten: int
    printed: int
    needs_review: int


class JobView(BaseModel):
    """A job and how far it is."""

    model_config = _example(**JOB)

    id: UUID
    name: str
    state: JobState
    model_version: str | None = Field(description="Pinned when the job is planned.")
    review_threshold: float | None
    gradcam: str
    counts: Counts
    progress: Probability
    images_per_second: float | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_after: datetime | None = Field(description="Its deadline: what is not done then is cancelled.")
    expires_at: datetime | None = Field(description="When its uploads and results are deleted; known once it has ended.")
    retry_of: UUID | None = Field(description="The job whose failed items this one tries again.")
    reason: str | None
    detail: str | None
    links: dict[str, str]

    @property
    def is_finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in FINISHED_STATES

    @classmethod
    def of(cls, job: Job) -> "JobView":
        """The view of a row."""
        return cls(
            id=job.id,
            name=job.name,
            state=job.state,
            model_version=job.model_version,
            review_threshold=job.review_threshold,
            gradcam=job.gradcam.value,
            counts=Counts(**{name: getattr(job, name) for name in Counts.model_fields}),
            progress=_progress(job),
            images_per_second=_rate(job),
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            cancel_after=job.cancel_after,
            expires_at=job.expires_at,
            retry_of=job.retry_of,
            reason=job.reason,
            detail=job.detail,
            links=_job_links(job),
        )


def _progress(job: Job) -> float:
    if job.state in FINISHED_STATES - {JobState.CANCELLED}:
        return 1.0
    return job.processed / job.total if job.total else 0.0


def _rate(job: Job) -> float | None:
    if job.started_at is None or not job.processed:
        return None
    seconds = ((job.finished_at or datetime.now(UTC)) - job.started_at).total_seconds()
    return round(job.processed / seconds, 2) if seconds > 0 else None


def _job_links(job: Job) -> dict[str, str]:
    here = f"/jobs/{job.id}"
    links = {
        "self": here,
        "events": f"{here}/events",
        "results": f"{here}/results",
        "results_csv": f"{here}/results?format=csv",
        "results_ndjson": f"{here}/results?format=ndjson",
    }
    if job.webhook_endpoint_id is not None:
        links["webhooks"] = f"{here}/webhooks"
    return links


class JobList(BaseModel):
    """The newest jobs first; `next_cursor` leads to older ones."""

    model_config = _example(jobs=[JOB], next_cursor=JOB_ID)

    jobs: list[JobView]
    next_cursor: str | None


class PredictionView(BaseModel):
    """One page's answer."""

    model_config = _example(**PREDICTION)

    id: UUID
    job_id: UUID | None
    file: str
    page: int
    status: ItemStatus
    predicted_class: PredictedClass | None
    confidence: Probability | None
    probabilities: dict[str, float] | None
    needs_review: bool
    model_version: str | None
    reason: str | None = Field(description=f"Why there is no class. Where there is one: {_REVIEW_REASONS}")
    detail: str | None
    created_at: datetime
    links: dict[str, str]

    @classmethod
    def of(cls, row: Prediction) -> "PredictionView":
        """The view of a row."""
        return cls.model_validate(prediction_fields(row))


def prediction_fields(row: Prediction) -> dict[str, Any]:
    """A row as JSON-ready names and values, without the cost of validation: streams give a hundred thousand of them."""
    answered = row.predicted_class is not None
    return {
        "id": str(row.id),
        "job_id": str(row.job_id) if row.job_id else None,
        "file": row.file,
        "page": row.page,
        "status": row.status.value,
        "predicted_class": row.predicted_class,
        "confidence": row.confidence,
        "probabilities": {"handwritten": row.p_handwritten, "printed": row.p_printed} if answered else None,
        "needs_review": row.needs_review,
        "model_version": row.model_version,
        "reason": row.reason,
        "detail": row.detail,
        "created_at": row.created_at.isoformat(),
        "links": _prediction_links(row),
    }


def _prediction_links(row: Prediction) -> dict[str, str]:
    here = f"/predictions/{row.id}"
    links = {"self": here}
    if row.predicted_class is not None:
        links["image"] = f"{here}/image"
    if row.has_cam:
        links["gradcam"] = f"{here}/gradcam.png"
    return links


class ResultPage(BaseModel):
    """A page of a job's results, in the order of its items; `next_cursor` leads to the rest."""

    model_config = _example(items=[PREDICTION], next_cursor="NDI6MQ==")

    items: list[PredictionView]
    next_cursor: str | None


class PredictAnswer(BaseModel):
    """The verdict on one image. The first five fields are the contract of the service that Penpress replaces."""

    model_config = _example(
        image_name="letter.jpg",
        predicted_class="handwritten",
        confidence=0.9981,
        model_version="3",
        model_info="Alias: prod",
        id=PREDICTION_ID,
        probabilities={"handwritten": 0.9981, "printed": 0.0019},
        needs_review=False,
        reason=None,
        pages=1,
        links={"self": f"/predictions/{PREDICTION_ID}", "image": f"/predictions/{PREDICTION_ID}/image"},
    )

    image_name: str
    predicted_class: PredictedClass
    confidence: Probability
    model_version: str
    model_info: str
    id: UUID
    probabilities: dict[str, float]
    needs_review: bool
    reason: str | None = Field(description=_REVIEW_REASONS)
    pages: int = Field(description="Pages of the document; the answer is for the first. Send documents to /jobs for all.")
    links: dict[str, str]


class Health(BaseModel):
    """Whether the service can answer. The four fields are the contract of the service that Penpress replaces."""

    model_config = _example(status="healthy", model_status="loaded", model_version="3", model_info="Alias: prod")

    status: Literal["healthy", "unhealthy"]
    model_status: Literal["loaded", "not loaded"]
    model_version: str | None
    model_info: str
    model_error: str | None = Field(None, description="Why the newest version could not be loaded, if it could not.")


class Readiness(BaseModel):
    """Whether each thing that the service needs is there: `ok`, or what is wrong."""

    model_config = _example(ready=True, checks={"database": "ok", "redis": "ok", "model": "ok", "disk": "ok"})

    ready: bool
    checks: dict[str, str]


class Liveness(BaseModel):
    """The process answers."""

    model_config = _example(status="alive")

    status: Literal["alive"] = "alive"


class LimitInfo(BaseModel):
    """A limit, and the environment variable that sets it."""

    value: int | float
    unit: str
    variable: str
    description: str


class Info(BaseModel):
    """Versions and limits."""

    model_config = _example(
        name="penpress",
        version="0.1.0",
        versions={"python": "3.11.7", "onnxruntime": "1.32.0", "pillow": "13.0.0"},
        model_version="3",
        formats=["JPEG", "PNG", "TIFF", "PDF"],
        limits={
            "max_item_pixels": {
                "value": 100000000,
                "unit": "pixels",
                "variable": "PENPRESS_MAX_ITEM_PIXELS",
                "description": "Pixels of one page.",
            }
        },
    )

    name: str
    version: str
    versions: dict[str, str]
    model_version: str | None
    formats: list[str]
    limits: dict[str, LimitInfo]
