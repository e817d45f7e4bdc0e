"""Jobs: made, planned, closed. Every move between a job's states is here, each in one function."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Update, exists, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session, selectinload

from store import predictions, webhooks
from store.models import FINISHED_STATES, NEVER_HINTED, Chunk, ChunkState, GradcamPolicy, Job, JobState, Upload, new_id
from store.predictions import NewPrediction

_QUEUED_AT_ONCE = {"state": JobState.QUEUED, "lease_token": None, "lease_until": None, "hinted_at": NEVER_HINTED}


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


def begin_planning(session: Session, job_id: uuid.UUID, *, lease_seconds: float, token: uuid.UUID | None = None) -> Job | None:
    """queued → planning, or take over from a planner whose lease ran out. None when there is nothing to do."""
    claimable = (Job.state == JobState.QUEUED) | ((Job.state == JobState.PLANNING) & (Job.lease_until < func.now()))
    return session.scalars(
        update(Job)
        .where(Job.id == job_id, claimable)
        .values(
            state=JobState.PLANNING,
            attempt=Job.attempt + 1,
            lease_token=token or new_id(),
            lease_until=func.now() + timedelta(seconds=lease_seconds),
        )
        .returning(Job)
        .options(selectinload(Job.uploads))
    ).one_or_none()


@dataclass(frozen=True, slots=True)
class Plan:
    """What planning found: items to classify, grouped into chunks, and items that were refused unread."""

    model_version: str
    review_threshold: float
    chunks: Sequence[Sequence[dict[str, Any]]]
    refused: Sequence[NewPrediction]


def finish_planning(session: Session, job_id: uuid.UUID, token: uuid.UUID, plan: Plan) -> list[uuid.UUID]:
    """planning → running (or closed at once when nothing is left to classify). The chunk ids; none when the lease was lost."""
    job = _lock_job(session, job_id)
    if job.state != JobState.PLANNING or job.lease_token != token:
        return []
    job.state = JobState.RUNNING
    job.model_version = plan.model_version
    job.review_threshold = plan.review_threshold
    job.started_at = func.now()
    job.lease_token = job.lease_until = None
    job.detail = None  # nothing is waited for any more
    job.total = len(plan.refused) + sum(len(members) for members in plan.chunks)
    rows = [Chunk(id=new_id(), job_id=job_id, members=list(members)) for members in plan.chunks]
    session.add_all(rows)
    _record(session, job, plan.refused)
    session.flush()
    webhooks.record_started(session, job)
    _close_if_done(session, job)
    return [row.id for row in rows]


def renew_planning(session: Session, job_id: uuid.UUID, token: uuid.UUID, *, lease_seconds: float) -> bool:
    """Plan for another `lease_seconds`; False when the job was given to somebody else."""
    renewed = session.scalars(
        update(Job)
        .where(Job.id == job_id, Job.lease_token == token, Job.state == JobState.PLANNING)
        .values(lease_until=func.now() + timedelta(seconds=lease_seconds))
        .returning(Job.id)
    )
    return renewed.one_or_none() is not None


def is_planning_wanted(session: Session, job_id: uuid.UUID, token: uuid.UUID) -> bool:
    """Whether whoever holds `token` still plans the job."""
    planned = (Job.id == job_id) & (Job.lease_token == token) & (Job.state == JobState.PLANNING)
    return bool(session.scalar(select(exists().where(planned))))


def take_planning(session: Session, job_id: uuid.UUID, token: uuid.UUID) -> int | None:
    """planning → queued, from a process that died under `token`; how many attempts there were. None when it had lost it."""
    return session.scalar(_planned_under(job_id, token).values(**_QUEUED_AT_ONCE).returning(Job.attempt))


def hand_back_planning(session: Session, job_id: uuid.UUID, token: uuid.UUID) -> None:
    """planning → queued without blame: its worker stops."""
    session.execute(_planned_under(job_id, token).values(**_QUEUED_AT_ONCE, attempt=Job.attempt - 1))


def _planned_under(job_id: uuid.UUID, token: uuid.UUID) -> Update:
    return update(Job).where(Job.id == job_id, Job.state == JobState.PLANNING, Job.lease_token == token)


def release_planning(session: Session, job_id: uuid.UUID, token: uuid.UUID, *, waits_for: str) -> None:
    """planning → queued: the planner is well but cannot plan now; the sweep sends the hint again. The job shows the cause."""
    detail = predictions.shown_detail(waits_for)
    session.execute(
        update(Job)
        .where(Job.id == job_id, Job.state == JobState.PLANNING, Job.lease_token == token)
        .values(
            state=JobState.QUEUED,
            lease_token=None,
            lease_until=None,
            attempt=Job.attempt - 1,
            hinted_at=func.now(),
            detail=detail,
        )
    )


def fail_planning(session: Session, job_id: uuid.UUID, token: uuid.UUID, *, reason: str, detail: str) -> bool:
    """planning → failed: nothing can come of this job. False when somebody else plans it now."""
    job = _lock_job(session, job_id)
    if job.state != JobState.PLANNING or job.lease_token != token:
        return False
    _end(session, job, JobState.FAILED, reason=reason, detail=detail)
    return True


def fail_job(session: Session, job_id: uuid.UUID, *, reason: str, detail: str) -> bool:
    """running → failed, and none of its chunks is claimed or finished after this. False when it has ended."""
    job = _lock_job(session, job_id)
    if job.state != JobState.RUNNING:
        return False
    _end(session, job, JobState.FAILED, reason=reason, detail=detail)
    return True


def _end(session: Session, job: Job, state: JobState, *, reason: str | None = None, detail: str | None = None) -> None:
    """The one way into a finished state, of which the job's client is told; from here on counts how long the job is kept."""
    job.state, job.reason, job.detail = state, reason, predictions.shown_detail(detail) if detail else None
    job.finished_at = func.now()
    job.lease_token = job.lease_until = None
    if job.retention_seconds is not None:
        job.expires_at = func.now() + timedelta(seconds=job.retention_seconds)
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
    job = _lock_job(session, job_id)
    chunk = session.get(Chunk, chunk_id, populate_existing=True, with_for_update=True)
    is_open = job.state in (JobState.RUNNING, JobState.CANCELLING)
    if not is_open or chunk is None or chunk.state != ChunkState.LEASED or chunk.lease_token != token:
        return False
    job.total += len(rows) - len(chunk.members)  # a document of n pages is planned as one item and answered as n
    chunk.state = ChunkState.DONE
    chunk.lease_token = chunk.lease_until = None
    chunk.finished_at = func.now()
    _record(session, job, rows)
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
    _close_if_done(session, _lock_job(session, job_id))


def _lock_job(session: Session, job_id: uuid.UUID) -> Job:
    return session.get_one(Job, job_id, populate_existing=True, with_for_update=True)


def _record(session: Session, job: Job, rows: Sequence[NewPrediction]) -> None:
    predictions.insert_predictions(session, rows, job_id=job.id, model_version=job.model_version)
    tally = predictions.tally(rows)
    for name, count in tally.items():
        setattr(job, name, getattr(job, name) + count)


def _close_if_done(session: Session, job: Job) -> bool:
    unfinished = select(exists().where(Chunk.job_id == job.id, Chunk.state != ChunkState.DONE))
    if job.state != JobState.RUNNING or session.scalar(unfinished):
        return False
    if job.succeeded:
        _end(session, job, JobState.COMPLETED)
    else:
        why = "The upload holds no items." if job.total == 0 else "Not one item could be classified; each has its reason."
        _end(session, job, JobState.FAILED, reason="no_result", detail=why)
    return True


def request_cancel(session: Session, job_id: uuid.UUID, *, reason: str, detail: str) -> Job:
    """queued | planning | running → cancelled, by way of cancelling while workers hold chunks. A job that has ended stays.

    A planner finds its lease gone and writes nothing; ready chunks are never claimed again; what is done stays.
    """
    job = _lock_job(session, job_id)
    if job.state in (JobState.QUEUED, JobState.PLANNING):
        _end(session, job, JobState.CANCELLED, reason=reason, detail=detail)
    elif job.state == JobState.RUNNING:
        job.state, job.reason, job.detail = JobState.CANCELLING, reason, predictions.shown_detail(detail)
        _settle(session, job)
    session.flush()
    session.refresh(job)
    return job


def settle_cancelled(session: Session, job_id: uuid.UUID) -> bool:
    """cancelling → cancelled, when no worker holds a chunk any more; whoever gives one back asks for it, and the sweep."""
    return _settle(session, _lock_job(session, job_id))


def _settle(session: Session, job: Job) -> bool:
    if job.state != JobState.CANCELLING or session.scalar(select(exists().where(_held_chunks(job.id)))):
        return False
    _end(session, job, JobState.CANCELLED, reason=job.reason, detail=job.detail)
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


def recover_planning(session: Session, *, limit: int) -> Sequence[uuid.UUID]:
    """planning → queued, for jobs whose planner fell silent; the attempt counts. Each is due to be announced at once."""
    silent = (Job.state == JobState.PLANNING) & (Job.lease_until < func.now())
    lost = select(Job.id).where(silent).order_by(Job.id).limit(limit).with_for_update(skip_locked=True)
    queued = update(Job).where(Job.id.in_(lost)).returning(Job.id)
    return session.scalars(queued.values(**_QUEUED_AT_ONCE)).all()


def due_plans(session: Session, *, hint_seconds: float, limit: int) -> Sequence[uuid.UUID]:
    """Queued jobs whose planning nobody took up; each is marked as announced again."""
    waiting = Job.hinted_at < func.now() - timedelta(seconds=hint_seconds)
    due = select(Job.id).where(Job.state == JobState.QUEUED, waiting).order_by(Job.id).limit(limit)
    due = due.with_for_update(skip_locked=True)
    return session.scalars(update(Job).where(Job.id.in_(due)).values(hinted_at=func.now()).returning(Job.id)).all()
