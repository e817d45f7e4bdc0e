"""What becomes of a job whose planner's process was seen to die: nobody else plans it until it is clear who is to blame.

As for chunks in `store/losses.py`. Meanwhile whoever saw it holds the job under a lease of its own; should that run out, the
sweep takes the job as from any silent planner. Every move is fenced by the lease's token.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Session

from store.base import new_id
from store.models import NEVER_HINTED, Job
from store.planning import planned_under
from store.states import JobState


@dataclass(frozen=True, slots=True)
class SuspectPlan:
    """A job whose uploads may have killed its planner, held under a lease until somebody settles or forgives it."""

    job_id: uuid.UUID
    token: uuid.UUID
    is_first: bool  # nothing spoke against its uploads before


def take_from_dead(session: Session, job_id: uuid.UUID, token: uuid.UUID, *, lease_seconds: float) -> SuspectPlan | None:
    """Take the job from a process that died under `token` while it planned it; None when it had lost it."""
    held = planned_under(job_id, token).values(
        lease_token=new_id(),
        lease_until=func.now() + timedelta(seconds=lease_seconds),
        losses=Job.losses + 1,
    )
    job = session.execute(held.returning(Job.lease_token, Job.losses, Job.attempt)).one_or_none()
    if job is None:
        return None
    return SuspectPlan(job_id, job.lease_token, is_first=job.losses == 1 and job.attempt <= 1)


def settle(session: Session, suspect: SuspectPlan) -> Sequence[uuid.UUID]:
    """planning → queued; its uploads are to blame and the attempt counts: who plans it after the last one gives it up.

    The ids of the jobs to announce.
    """
    return _offer(session, suspect)


def forgive(session: Session, suspect: SuspectPlan) -> Sequence[uuid.UUID]:
    """planning → queued; its worker is to blame, or it cannot be told. The ids of the jobs to announce."""
    return _offer(session, suspect, attempt=func.greatest(Job.attempt - 1, 0))


def _offer(session: Session, suspect: SuspectPlan, **values: Any) -> Sequence[uuid.UUID]:
    """A planner whose lease ran out before may still come back: `lost_token` stays."""
    queued = {"state": JobState.QUEUED, "lease_token": None, "lease_until": None, "hinted_at": NEVER_HINTED}
    offered = planned_under(suspect.job_id, suspect.token).values(**queued, **values)
    return session.scalars(offered.returning(Job.id)).all()
