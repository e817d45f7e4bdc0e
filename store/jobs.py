"""Jobs: made, found, ended. Each move between a job's states is one function: here, and for planning in `store/planning.py`."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from store import predictions, webhooks
from store.base import new_id
from store.models import Chunk, Job, Upload
from store.predictions import NewPrediction
from store.states import FINISHED_STATES, ChunkState, GradcamPolicy, JobState


@dataclass(frozen=True, slots=True)
class NewUpload:
    """A file that is already durable in the blob store."""

    name: str
    is_archive: bool
    blob_key: str
    size_bytes: int
    members: list[int] | None = None


def create_job(
    session: Session,
    *,
    name: str,
    uploads: Sequence[NewUpload],
    gradcam: GradcamPolicy,
    review_threshold: float | None,
    owner_id: uuid.UUID | None = None,
    cancel_after: datetime | timedelta | None = None,
    retention_seconds: int | None = None,
) -> Job:
    """A queued job of `owner_id` over `uploads`, in their order. `cancel_after` is a time, or how long from now."""
    deadline = func.now() + cancel_after if isinstance(cancel_after, timedelta) else cancel_after
    job = Job(
        id=new_id(),
        owner_id=owner_id,
        name=name,
        gradcam=gradcam,
        asked_threshold=review_threshold,
        review_threshold=review_threshold,
        cancel_after=deadline,
        retention_seconds=retention_seconds,
    )
    job.uploads = [Upload(position=place, owner_id=owner_id, **asdict(upload)) for place, upload in enumerate(uploads)]
    session.add(job)
    session.flush()
    session.refresh(job)
    return job


def get_job(session: Session, job_id: uuid.UUID, *, owner_id: uuid.UUID | None) -> Job | None:
    """The job of that id, if it is `owner_id`'s; None sees everybody's."""
    job = session.get(Job, job_id)
    return job if job is not None and owner_id in (None, job.owner_id) else None


def is_expired(session: Session, job_id: uuid.UUID) -> bool:
    """Whether it is by now, whatever this session has read of it before."""
    return session.scalar(select(Job.state).where(Job.id == job_id)) == JobState.EXPIRED


def read_jobs(session: Session, job_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Job]:
    """Those of the jobs that are there, by id."""
    return {job.id: job for job in session.scalars(select(Job).where(Job.id.in_(job_ids)))}


def list_jobs(session: Session, *, owner_id: uuid.UUID | None, limit: int, before: uuid.UUID | None = None) -> Sequence[Job]:
    """The newest jobs of `owner_id` (None: of everybody) first, without expired ones; `before` goes on where a page ended."""
    query = select(Job).where(Job.state != JobState.EXPIRED).order_by(Job.id.desc()).limit(limit)
    if owner_id is not None:
        query = query.where(Job.owner_id == owner_id)
    if before:
        query = query.where(Job.id < before)
    return session.scalars(query).all()


def fail_job(session: Session, job_id: uuid.UUID, *, reason: str, detail: str) -> bool:
    """running → failed, and none of its chunks is claimed or finished after this. False when it has ended."""
    job = lock_job(session, job_id)
    if job.state != JobState.RUNNING:
        return False
    end_job(session, job, JobState.FAILED, reason=reason, detail=detail)
    return True


def end_job(session: Session, job: Job, state: JobState, *, reason: str | None = None, detail: str | None = None) -> None:
    """The one way into a finished state, of which the job's client is told; from here on counts how long the job is kept.

    The caller has locked the job. Chunks that nobody holds are deleted: no sweep need look at them again.
    """
    job.state, job.reason, job.detail = state, reason, predictions.shown_detail(detail) if detail else None
    job.finished_at = func.now()
    job.lease_token = job.lease_until = None
    if job.retention_seconds is not None:
        job.expires_at = func.now() + timedelta(seconds=job.retention_seconds)
    session.execute(delete(Chunk).where(Chunk.job_id == job.id, Chunk.state == ChunkState.READY))
    webhooks.record_end(session, job)


def note_waiting(session: Session, job_id: uuid.UUID, cause: str) -> None:
    """Show in the job's detail what its chunks wait for, until one of them is finished."""
    running = update(Job).where(Job.id == job_id, Job.state == JobState.RUNNING)
    session.execute(running.values(detail=predictions.shown_detail(cause)))


def finish_chunk(session: Session, chunk_id: uuid.UUID, token: uuid.UUID, rows: Sequence[NewPrediction]) -> bool:
    """leased → done, with the chunk's predictions; closes the job after its last chunk. False when the lease was lost.

    A job that is being cancelled keeps what its workers had finished; nothing is written for one that has ended.
    """
    job_id = session.scalar(select(Chunk.job_id).where(Chunk.id == chunk_id))
    if job_id is None:
        return False  # it was split meanwhile
    # The job before the chunk, always: two last chunks that commit together would each see the other unfinished.
    job = lock_job(session, job_id)
    chunk = session.get(Chunk, chunk_id, populate_existing=True, with_for_update=True)
    is_open = job.state in (JobState.RUNNING, JobState.CANCELLING)
    if not is_open or chunk is None or chunk.state != ChunkState.LEASED or chunk.lease_token != token:
        return False
    job.total += len(rows) - len(chunk.members)  # a document of n pages is planned as one item and answered as n
    chunk.state = ChunkState.DONE
    chunk.lease_token = chunk.lease_until = None
    chunk.finished_at = func.now()
    record_results(session, job, rows)
    session.flush()
    if job.state == JobState.CANCELLING:
        _settle(session, job)
        return True
    job.detail = None  # it goes on
    if not _close_if_done(session, job):
        webhooks.record_progress(session, job)
    return True


def close_if_done(session: Session, job_id: uuid.UUID) -> None:
    """running → completed | failed, when every chunk is done; the sweep asks for jobs that nobody closed."""
    _close_if_done(session, lock_job(session, job_id))


def lock_job(session: Session, job_id: uuid.UUID) -> Job:
    """The job as it is now, and as it stays until this transaction ends. Whoever closes or counts locks it first."""
    return session.get_one(Job, job_id, populate_existing=True, with_for_update=True)


def record_results(session: Session, job: Job, rows: Sequence[NewPrediction]) -> None:
    """Write the predictions of a locked job, and add them to its counts."""
    predictions.insert_predictions(session, rows, job_id=job.id, model_version=job.model_version)
    tally = predictions.tally(rows)
    for name, count in tally.items():
        setattr(job, name, getattr(job, name) + count)


def _close_if_done(session: Session, job: Job) -> bool:
    unfinished = select(exists().where(Chunk.job_id == job.id, Chunk.state != ChunkState.DONE))
    if job.state != JobState.RUNNING or session.scalar(unfinished):
        return False
    if job.succeeded:
        end_job(session, job, JobState.COMPLETED)
    else:
        why = "The upload holds no items." if job.total == 0 else "Not one item could be classified; each has its reason."
        end_job(session, job, JobState.FAILED, reason="no_result", detail=why)
    return True


def request_cancel(session: Session, job_id: uuid.UUID, *, reason: str, detail: str) -> Job:
    """queued | planning | running → cancelled, by way of cancelling while workers hold chunks. A job that has ended stays.

    A planner finds its lease gone and writes nothing; ready chunks are never claimed again; what is done stays.
    """
    job = lock_job(session, job_id)
    if job.state in (JobState.QUEUED, JobState.PLANNING):
        end_job(session, job, JobState.CANCELLED, reason=reason, detail=detail)
    elif job.state == JobState.RUNNING:
        job.state, job.reason, job.detail = JobState.CANCELLING, reason, predictions.shown_detail(detail)
        _settle(session, job)
    session.flush()
    session.refresh(job)
    return job


def settle_cancelled(session: Session, job_id: uuid.UUID) -> bool:
    """cancelling → cancelled, when no worker holds a chunk any more; whoever gives one back asks for it, and the sweep."""
    return _settle(session, lock_job(session, job_id))


def _settle(session: Session, job: Job) -> bool:
    if job.state != JobState.CANCELLING or session.scalar(select(exists().where(_held_chunks(job.id)))):
        return False
    end_job(session, job, JobState.CANCELLED, reason=job.reason, detail=job.detail)
    return True


def _held_chunks(job_id: uuid.UUID | InstrumentedAttribute[uuid.UUID]) -> ColumnElement[bool]:
    """Chunks in the hands of workers that are not silent."""
    return (Chunk.job_id == job_id) & (Chunk.state == ChunkState.LEASED) & (Chunk.lease_until >= func.now())


def unsettled_jobs(session: Session, *, limit: int) -> Sequence[uuid.UUID]:
    """Jobs that are being cancelled and that no worker is at any more."""
    query = select(Job.id).where(Job.state == JobState.CANCELLING, ~exists().where(_held_chunks(Job.id)))
    return session.scalars(query.limit(limit)).all()


def overdue_jobs(session: Session, *, limit: int) -> Sequence[uuid.UUID]:
    """Jobs whose deadline has passed and that nobody stops yet."""
    is_open = Job.state.not_in([*FINISHED_STATES, JobState.CANCELLING])
    query = select(Job.id).where(Job.cancel_after < func.now(), is_open).order_by(Job.cancel_after)
    return session.scalars(query.limit(limit)).all()


def unclosed_jobs(session: Session, *, limit: int) -> Sequence[uuid.UUID]:
    """Running jobs whose chunks are all done: a fault between two commits left them open."""
    unfinished = exists().where(Chunk.job_id == Job.id, Chunk.state != ChunkState.DONE)
    return session.scalars(select(Job.id).where(Job.state == JobState.RUNNING, ~unfinished).limit(limit)).all()
