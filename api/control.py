"""What a client may do to a job that it has submitted: stop it."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.exc import OperationalError

from api.deps import ServicesDep
from api.documented import problems
from api.errors import InvalidRequest, JobExpired, JobFinished, NotFound
from api.identity import CallerDep
from api.jobs import found_job
from api.schemas import JobView
from store import jobs
from store.models import JobState

router = APIRouter(tags=["jobs"])

_STOPPING: dict[int | str, dict[str, Any]] = {
    202: {"model": JobView, "description": "Workers still hold chunks of it and stop after their page; ask again."}
}


@router.post(
    "/jobs/{job_id}/cancel",
    summary="Stop a job",
    responses=_STOPPING | problems(NotFound, JobExpired, InvalidRequest, JobFinished, OperationalError),
)
def cancel_job(job_id: UUID, services: ServicesDep, caller: CallerDep, response: Response) -> JobView:
    """What was classified before stays. 200 when the job is cancelled, also if it was before; 202 while it is `cancelling`."""
    with services.database.transaction() as session:
        found_job(session, job_id, caller)
        job = jobs.request_cancel(session, job_id, reason="cancelled", detail="Its client cancelled it.")
    if job.state not in (JobState.CANCELLING, JobState.CANCELLED):
        raise JobFinished(f"The job is {job.state.value} and cannot be cancelled any more.")
    response.status_code = HTTPStatus.OK if job.state == JobState.CANCELLED else HTTPStatus.ACCEPTED
    return JobView.of(job)
