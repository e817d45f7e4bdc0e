"""Jobs over HTTP: submit a batch, ask how far it is."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from api import uploads
from api.backpressure import REFUSALS, check_room, claim_room
from api.bodies import announced_bytes, too_large, too_many_files
from api.deps import Services, ServicesDep, SessionDep
from api.documented import problems
from api.etags import NOT_MODIFIED, is_known, job_tag, not_modified
from api.idempotency import Attempt, IdempotencyKeyDep, attempted
from api.identity import Caller, CallerDep
from api.pages import cut_page, parse_cursor
from api.refusals import (
    BadCursor,
    BadIdempotencyKey,
    BodyTooSlow,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    InvalidRequest,
    JobExpired,
    NoFiles,
    NotAZip,
    NotFound,
    NothingUploaded,
    TooManyWaiting,
    UnsupportedUpload,
    UploadAborted,
    WaitingFull,
)
from api.room import disk_full
from api.schemas import JobList, JobView
from api.seats import WAIT_REFUSALS
from api.subscription import WEBHOOK_REFUSALS, refuse_webhook
from api.terms import CancelAfterDep, Terms, settled_retention
from api.waiting import WaitDep, wait_for_end
from store import faults, jobs, webhooks
from store.blobs import BlobsUnavailable
from store.jobs import NewUpload
from store.models import Job
from store.settings import LONGEST_SECONDS
from store.states import EventType, GradcamPolicy, JobState

router = APIRouter(tags=["jobs"])

POLL_SECONDS = "1"
"""When to ask again."""
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/zip": {"schema": {"type": "string", "format": "binary", "description": "One zip of images."}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "Images, PDFs and zips; the field of each may have any name.",
                        }
                    },
                },
                "encoding": {"files": {"contentType": "image/*, application/pdf, application/zip"}},
            },
        },
    }
}


class JobOptions(BaseModel):
    """How a job is to be done."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, max_length=500, description="Shown with the job; by default the upload's file name.")
    review_threshold: float | None = Field(
        None, ge=0, le=1, description="Confidence below which a person should look; by default as the model says."
    )
    gradcam: GradcamPolicy = Field(GradcamPolicy.REVIEW, description="For which predictions the activation map is kept.")
    retention_seconds: int | None = Field(
        None,
        ge=1,
        le=LONGEST_SECONDS,
        description="How long it is kept once it has ended; by default, and at most, as the service says in `/info`. "
        "Where that keeps jobs for ever, a hundred years at most.",
    )
    webhook_url: str | None = Field(
        None, max_length=2048, description="Told of what happens to the job, signed by Standard Webhooks; see docs/webhooks.md."
    )
    webhook_events: list[EventType] = Field(
        list(webhooks.DEFAULT_EVENTS), min_length=1, max_length=20, description="Of what the webhook is told."
    )


@router.post(
    "/jobs",
    status_code=HTTPStatus.ACCEPTED,
    summary="Submit a batch",
    openapi_extra=_BODY,
    responses=problems(
        too_large("max_upload_bytes", 68_719_476_736, 70_000_000_000),
        too_many_files(500),
        UnsupportedUpload,
        *(InvalidRequest, NotAZip, NoFiles, NothingUploaded),
        *(BadIdempotencyKey, IdempotencyKeyInUse, IdempotencyKeyReused),
        *REFUSALS,
        *WEBHOOK_REFUSALS,
        *(UploadAborted, BodyTooSlow, disk_full(536_870_912, 1_048_576)),
        BlobsUnavailable,
    ),
)
async def submit_job(
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: CallerDep,
    options: Annotated[JobOptions, Query()],
    cancel_after: CancelAfterDep,
    key: IdempotencyKeyDep,
    wait: WaitDep,
) -> JobView:
    """Send one zip as the raw body (`application/zip`, of any size), or images and zips as a multipart form.

    The answer 202 means durable: the files are synced and the rows committed. Poll the address in `Location`, or prefer to
    wait: then the answer, 202 still, shows the job as it is when it has ended or the time is over.
    """
    if options.webhook_url is not None:
        refuse_webhook(options.webhook_url, services.settings, caller)
    asked = {**options.model_dump(), "cancel_after": request.headers.get("cancel-after")}
    terms = Terms(cancel_after, settled_retention(options.retention_seconds, services.settings.retention_seconds))
    async with attempted(request, services, client=caller.client, key=key, options=asked) as attempt:
        view = attempt.first
        if view is None:
            await run_in_threadpool(check_room, services, caller, more_bytes=announced_bytes(request))
            received = await uploads.receive_uploads(attempt.request, services, name=options.name)
            view = await run_in_threadpool(_create_job, services, caller, received, options, terms, attempt)
            services.sender.plan_job(view.id)
    attempt.mark(response)
    response.headers.update({"Location": f"/jobs/{view.id}", "Retry-After": POLL_SECONDS})
    try:
        return await wait_for_end(request, response, services, caller, view, wait)
    except (TooManyWaiting, WaitingFull):
        return view  # it is accepted all the same


def _create_job(
    services: Services, caller: Caller, received: list[NewUpload], options: JobOptions, terms: Terms, attempt: Attempt
) -> JobView:
    faults.reach("after_blob_before_row")
    kept = uploads.kept_only_if_good(services.blobs, [upload.blob_key for upload in received])
    with kept, services.database.transaction() as session:
        claim_room(session, services, caller, more_bytes=sum(upload.size_bytes for upload in received))
        job = jobs.create_job(
            session,
            owner_id=caller.owner_id,
            name=uploads.clean_name(options.name or received[0].name),
            uploads=received,
            gradcam=options.gradcam,
            review_threshold=options.review_threshold,
            cancel_after=terms.cancel_after,
            retention_seconds=terms.retention_seconds,
        )
        if options.webhook_url is not None:
            webhooks.subscribe(session, job, url=options.webhook_url, events=options.webhook_events)
        attempt.record(session, job, status=HTTPStatus.ACCEPTED)
        return JobView.of(job)


class JobListQuery(BaseModel):
    """Which page of jobs."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=500)
    cursor: str | None = Field(None, description="`next_cursor` of the page before.", json_schema_extra={"format": "uuid"})


@router.get("/jobs", summary="List jobs, the newest first", responses=problems(InvalidRequest, BadCursor))
def list_jobs(session: SessionDep, caller: CallerDep, query: Annotated[JobListQuery, Query()]) -> JobList:
    """A page of jobs; pass `next_cursor` as `cursor` for the next."""
    found = jobs.list_jobs(session, owner_id=caller.owner_id, limit=query.limit + 1, before=parse_cursor(query.cursor))
    page, next_cursor = cut_page(found, query.limit)
    return JobList(jobs=[JobView.of(job) for job in page], next_cursor=next_cursor)


@router.get(
    "/jobs/{job_id}",
    summary="How far a job is",
    response_model=JobView,
    responses=NOT_MODIFIED | problems(NotFound, JobExpired, InvalidRequest, *WAIT_REFUSALS),
)
async def get_job(
    job_id: UUID, request: Request, response: Response, services: ServicesDep, caller: CallerDep, wait: WaitDep
) -> JobView | Response:
    """State, counts, progress and rate; while the job goes on, `Retry-After` says when to ask again."""
    view = await run_in_threadpool(view_job, services, job_id, caller)
    view = await wait_for_end(request, response, services, caller, view, wait)
    if not view.is_finished:
        response.headers["Retry-After"] = POLL_SECONDS
    response.headers["ETag"] = tag = job_tag(view)
    return not_modified(response) if is_known(request, tag) else view


def view_job(services: Services, job_id: UUID, caller: Caller) -> JobView:
    """The job as it is now. Raises what `found_job` raises."""
    with services.database.single_statement() as session:
        return JobView.of(found_job(session, job_id, caller))


def found_job(session: Session, job_id: UUID, caller: Caller) -> Job:
    """The job of that id. Raises `JobExpired`, and `NotFound`, for somebody else's too."""
    job = jobs.get_job(session, job_id, owner_id=caller.owner_id)
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    refuse_expired(job)
    return job


def refuse_expired(job: Job) -> None:
    """Raises `JobExpired`."""
    if job.state == JobState.EXPIRED:
        raise JobExpired(f"The job has expired at {job.expires_at:%Y-%m-%d %H:%M} UTC; its uploads and results are deleted.")
