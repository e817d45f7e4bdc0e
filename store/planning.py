"""Planning: who looks into a job's uploads, under which lease, and what comes of it. A job's moves to and from planning.

Only the database's clock counts, and only the lease's token opens the way out.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, Update, exists, func, select, update
from sqlalchemy.orm import Session, selectinload

from store import jobs, predictions, webhooks
from store.base import new_id
from store.models import NEVER_HINTED, Chunk, Job
from store.predictions import NewPrediction
from store.states import JobState

_QUEUED = {"state": JobState.QUEUED, "lease_token": None, "lease_until": None}
_SILENT = (Job.state == JobState.PLANNING) & (Job.lease_until < func.now())


def begin_planning(session: Session, job_id: uuid.UUID, *, lease_seconds: float, token: uuid.UUID | None = None) -> Job | None:
    """queued → planning, under `token` or a new one. None when there is nothing to do."""
    return session.scalars(
        update(Job)
        .where(Job.id == job_id, Job.state == JobState.QUEUED)
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


def finish_planning(session: Session, job_id: uuid.UUID, token: uuid.UUID, plan: Plan) -> Sequence[uuid.UUID] | None:
    """planning → running (or closed at once when nothing is left to classify). The chunk ids; None when the lease was lost."""
    job = jobs.lock_job(session, job_id)
    if job.state != JobState.PLANNING or job.lease_token != token:
        return None
    job.state = JobState.RUNNING
    job.model_version = plan.model_version
    job.review_threshold = plan.review_threshold
    job.started_at = func.now()
    job.lease_token = job.lease_until = job.lost_token = None
    job.detail = None  # nothing is waited for any more
    job.total = len(plan.refused) + sum(len(members) for members in plan.chunks)
    rows = [Chunk(id=new_id(), job_id=job_id, members=list(members)) for members in plan.chunks]
    session.add_all(rows)
    jobs.record_results(session, job, plan.refused)
    session.flush()
    webhooks.record_started(session, job)
    if not rows:
        jobs.close_if_done(session, job_id)
    return [row.id for row in rows]


def renew_planning(session: Session, job_id: uuid.UUID, token: uuid.UUID, *, lease_seconds: float) -> bool:
    """Plan for another `lease_seconds`; False when the job was given to somebody else."""
    until = func.now() + timedelta(seconds=lease_seconds)
    return session.scalar(planned_under(job_id, token).values(lease_until=until).returning(Job.id)) is not None


def is_planning_wanted(session: Session, job_id: uuid.UUID, token: uuid.UUID) -> bool:
    """Whether whoever holds `token` still plans the job."""
    planned = (Job.id == job_id) & (Job.lease_token == token) & (Job.state == JobState.PLANNING)
    return bool(session.scalar(select(exists().where(planned))))


def hand_back_planning(session: Session, job_id: uuid.UUID, token: uuid.UUID) -> None:
    """planning → queued without blame: its worker stops. If the lease ran out meanwhile, the loss is forgiven."""
    _give_back(session, job_id, token, hinted_at=NEVER_HINTED)


def release_planning(session: Session, job_id: uuid.UUID, token: uuid.UUID, *, waits_for: str) -> None:
    """planning → queued without blame: the planner is well but cannot plan now; the sweep sends the hint again, and the job
    shows the cause. If the lease ran out meanwhile, the loss is forgiven.
    """
    _give_back(session, job_id, token, hinted_at=func.now(), detail=predictions.shown_detail(waits_for))


def _give_back(session: Session, job_id: uuid.UUID, token: uuid.UUID, **values: Any) -> None:
    _forgive_loss(session, job_id, token)
    others = func.nullif(Job.lost_token, token)  # who lost it before may still come back, but not this one once more
    session.execute(planned_under(job_id, token).values(**_QUEUED, **values, attempt=Job.attempt - 1, lost_token=others))


def _forgive_loss(session: Session, job_id: uuid.UUID, token: uuid.UUID) -> None:
    """As for chunks: who comes back with a lease that ran out was kept from renewing it, by an outage perhaps."""
    lost = (Job.lost_token == token) & Job.lease_token.is_distinct_from(token)
    session.execute(
        update(Job)
        .where(Job.id == job_id, lost, Job.state.in_((JobState.QUEUED, JobState.PLANNING)))
        .values(attempt=func.greatest(Job.attempt - 1, 0), losses=func.greatest(Job.losses - 1, 0), lost_token=None)
    )


def fail_planning(session: Session, job_id: uuid.UUID, token: uuid.UUID, *, reason: str, detail: str) -> bool:
    """planning → failed: nothing can come of this job. False when somebody else plans it now."""
    job = jobs.lock_job(session, job_id)
    if job.state != JobState.PLANNING or job.lease_token != token:
        return False
    jobs.end_job(session, job, JobState.FAILED, reason=reason, detail=detail)
    return True


def recover_planning(session: Session, *, max_attempts: int, grace_seconds: float, limit: int) -> Sequence[uuid.UUID]:
    """planning → queued, for jobs whose planner fell silent; the attempt counts. Each is due to be announced at once.

    After the last attempt the job would be given up, so its planner has `grace_seconds` to show that it lives: nobody has seen
    it die, and after an outage the sweep may be the first to be back.
    """
    last = (Job.attempt >= max_attempts) & Job.lost_token.is_distinct_from(Job.lease_token)
    until = func.now() + timedelta(seconds=grace_seconds)
    spared = _silent(last, limit=limit)
    session.execute(update(Job).where(Job.id.in_(spared)).values(lost_token=Job.lease_token, lease_until=until))
    lost = _silent(~last, limit=limit)
    values = _QUEUED | {"lost_token": Job.lease_token, "losses": Job.losses + 1, "hinted_at": NEVER_HINTED}
    queued = update(Job).where(Job.id.in_(lost)).values(values)
    return session.scalars(queued.returning(Job.id)).all()


def _silent(*conditions: ColumnElement[bool], limit: int) -> Select[uuid.UUID]:
    """Who is at a job just now, such as its planner with the plan in a commit, is not waited for."""
    silent = select(Job.id).where(_SILENT, *conditions)
    return silent.order_by(Job.id).limit(limit).with_for_update(skip_locked=True)


def planned_under(job_id: uuid.UUID, token: uuid.UUID) -> Update:
    """Changes the job if it is planned, or held, under `token`."""
    return update(Job).where(Job.id == job_id, Job.state == JobState.PLANNING, Job.lease_token == token)
