"""What a client may do to a job that it has submitted: stop it, try again what failed."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.backpressure import REFUSALS, claim_room
from api.deps import Services, ServicesDep
from api.documented import problems
from api.idempotency import Attempt, IdempotencyKeyDep, attempted
from api.identity import Caller, CallerDep
from api.jobs import POLL_SECONDS, found_job, refuse_expired
from api.refusals import (
    BadIdempotencyKey,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    InvalidRequest,
    JobExpired,
    JobFinished,
    NotFound,
)
from api.schemas import JobView
from api.terms import CancelAfter, CancelAfterDep
from store import jobs, retries
from store.retries import JobNotFinished, NothingFailed
from store.states import JobState

router = APIRouter(tags=["jobs"])

_STOPPING: dict[int | str, dict[str, Any]] = {
    202: {"model": JobView, "description": "Workers still hold chunks of it and stop after their page; ask again."}
}


@router.post(
    "/jobs/{job_id}/cancel",
    summary="Stop a job",
    responses=_STOPPING | problems(NotFound, JobExpired, InvalidRequest, JobFinished),
)
def cancel_job(job_id: UUID, services: ServicesDep, caller: CallerDep, response: Response) -> JobView:
    """What was classified before stays. 200 when the job is cancelled, also if it was before; 202 while it is `cancelling`."""
    with services.database.transaction() as session:
        found_job(session, job_id, caller)
        job = jobs.request_cancel(session, job_id, reason="cancelled", detail="Its client cancelled it.")
    refuse_expired(job)  # it may have been in between
    if job.state not in (JobState.CANCELLING, JobState.CANCELLED):
        raise JobFinished(f"The job is {job.state.value} and cannot be cancelled any more.")
    response.status_code = HTTPStatus.OK if job.state == JobState.CANCELLED else HTTPStatus.ACCEPTED
    return JobView.of(job)


@router.post(
    "/jobs/{job_id}/retry",
    status_code=HTTPStatus.ACCEPTED,
    summary="Try again what failed",
    responses=problems(
        *(NotFound, JobExpired, InvalidRequest, JobNotFinished, NothingFailed),
        *(BadIdempotencyKey, IdempotencyKeyInUse, IdempotencyKeyReused),
        *REFUSALS,
    ),
)
async def retry_job(
    job_id: UUID,
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: CallerDep,
    cancel_after: CancelAfterDep,
    key: IdempotencyKeyDep,
) -> JobView:
    """A new job over the failed items of one that has ended, without sending them again; its `retry_of` names that one.

    It is done as that one was, but with the model that is in production now. Other items keep their results where they are.
    """
    asked = {"cancel_after": request.headers.get("cancel-after")}
    async with attempted(request, services, client=caller.client, key=key, options=asked, has_body=False) as attempt:
        view = attempt.first
        if view is None:
            view = await run_in_threadpool(_retry, services, caller, job_id, cancel_after, attempt)
            services.sender.plan_job(view.id)
    attempt.mark(response)
    response.headers.update({"Location": f"/jobs/{view.id}", "Retry-After": POLL_SECONDS})
    return view


def _retry(services: Services, caller: Caller, job_id: UUID, cancel_after: CancelAfter, attempt: Attempt) -> JobView:
    with services.database.transaction() as session:
        found_job(session, job_id, caller)
        claim_room(session, services, caller, more_bytes=0)
        job = retries.retry_failed(session, job_id, cancel_after=cancel_after)
        attempt.record(session, job, status=HTTPStatus.ACCEPTED)
        return JobView.of(job)
