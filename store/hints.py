"""Which work waits for somebody to take it, and when it was announced last: jobs to plan and chunks to classify.

What was taken from a lost worker counts as never announced, and is announced ahead of all else. Only the database's clock
counts.
"""

import uuid
from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from store.chunks import RUNNING_JOBS
from store.models import NEVER_HINTED, Chunk, Job
from store.states import ChunkState, JobState

Work = type[Job] | type[Chunk]


def count_waiting(session: Session, work: Work) -> int:
    """How many messages there would be if none were lost and none sent twice."""
    return session.scalar(select(func.count()).select_from(work).where(_waits(work))) or 0


def unannounced(session: Session, work: Work, *, limit: int) -> Sequence[uuid.UUID]:
    """What waits and counts as never announced; it goes on doing so until `note_announced`."""
    never = select(work.id).where(_waits(work), work.hinted_at == NEVER_HINTED)
    return session.scalars(never.order_by(work.id).limit(limit)).all()


def note_announced(session: Session, work: Work, ids: Collection[uuid.UUID]) -> None:
    """Their messages were sent just now. Whatever somebody is at meanwhile is left alone."""
    sent = select(work.id).where(work.id.in_(ids), _waits(work)).with_for_update(skip_locked=True, of=work)
    session.execute(update(work).where(work.id.in_(sent)).values(hinted_at=func.now()))


def due(session: Session, work: Work, *, hint_seconds: float, limit: int) -> Sequence[uuid.UUID]:
    """What waits and whose message seems lost, that first which was announced longest ago; it is marked as announced again."""
    is_old = (work.hinted_at > NEVER_HINTED) & (work.hinted_at < func.now() - timedelta(seconds=hint_seconds))
    oldest = select(work.id).where(_waits(work), is_old).order_by(work.hinted_at, work.id).limit(limit)
    oldest = oldest.with_for_update(skip_locked=True, of=work)
    return session.scalars(update(work).where(work.id.in_(oldest)).values(hinted_at=func.now()).returning(work.id)).all()


def _waits(work: Work) -> ColumnElement[bool]:
    if work is Job:
        return Job.state == JobState.QUEUED
    return (Chunk.state == ChunkState.READY) & Chunk.job_id.in_(RUNNING_JOBS)
