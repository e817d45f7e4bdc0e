"""A second try for what failed: a new job over the failed items of one that has ended, sharing its uploads' blobs."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from store import jobs
from store.jobs import NewUpload
from store.models import Job, Prediction, Upload
from store.states import FINISHED_STATES, ItemStatus, JobState


class JobNotFinished(Exception):
    """The job has not ended yet; wait for that, or cancel it."""


class NothingFailed(Exception):
    """No item of the job failed, so there is nothing to try again."""


class SourceExpired(Exception):
    """The job was kept for as long as it should be; its uploads and results are deleted."""


def retry_failed(session: Session, job_id: uuid.UUID, *, cancel_after: datetime | timedelta | None) -> Job:
    """A queued job over the failed items of `job_id`, done as that one was but with the model then in production.

    A document of which one page failed is tried again as a whole. Raises `JobNotFinished`, `NothingFailed` or `SourceExpired`.
    """
    source = jobs.lock_job(session, job_id)  # it must not expire meanwhile
    if source.state not in FINISHED_STATES:
        raise JobNotFinished(f"The job is {source.state.value}. {JobNotFinished.__doc__}")
    if source.state == JobState.EXPIRED:
        raise SourceExpired(SourceExpired.__doc__)
    failed = _failed_members(session, job_id)
    if not failed:
        raise NothingFailed(NothingFailed.__doc__)
    job = jobs.create_job(
        session,
        name=source.name,
        uploads=[_shared(upload, failed) for upload in source.uploads],
        gradcam=source.gradcam,
        review_threshold=source.asked_threshold,
        owner_id=source.owner_id,
        cancel_after=cancel_after,
        retention_seconds=source.retention_seconds,
    )
    job.retry_of = source.id
    job.webhook_endpoint_id, job.webhook_events = source.webhook_endpoint_id, source.webhook_events
    session.flush()
    return job


def _failed_members(session: Session, job_id: uuid.UUID) -> Mapping[uuid.UUID, set[int | None]]:
    """Upload → places in its directory; None stands for the upload itself."""
    wanted = (Prediction.job_id == job_id) & (Prediction.status == ItemStatus.FAILED)
    failed: dict[uuid.UUID, set[int | None]] = {}
    for upload_id, index in session.execute(select(Prediction.upload_id, Prediction.member_index).where(wanted)):
        failed.setdefault(upload_id, set()).add(index)
    return failed


def _shared(upload: Upload, failed: Mapping[uuid.UUID, set[int | None]]) -> NewUpload:
    """An upload of which nothing failed comes along too, so that items keep the names that they have among several archives."""
    found = failed.get(upload.id, set())
    members = upload.members if None in found else sorted(index for index in found if index is not None)
    return NewUpload(
        name=upload.name,
        is_archive=upload.is_archive,
        blob_key=upload.blob_key,
        size_bytes=upload.size_bytes,
        members=members,
    )
