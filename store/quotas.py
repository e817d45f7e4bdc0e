"""How much work waits, and how much of the service one client takes up. Cheap enough to ask before every submission.

`owner_id` is a key's id; None stands for all who use a service that knows no keys.
"""

import uuid
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.orm import InstrumentedAttribute, Session

from store.models import Job, Upload
from store.states import JobState

_WAITING = (JobState.QUEUED, JobState.PLANNING)
_OPEN = (*_WAITING, JobState.RUNNING, JobState.CANCELLING)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits: items of planned jobs, jobs whose items nobody has counted yet, and one client's jobs that have not ended."""

    items: int
    unplanned_jobs: int
    own_jobs: int


def backlog(session: Session, *, owner_id: uuid.UUID | None) -> Backlog:
    """The whole queue, and what of it is that client's."""
    left = func.coalesce(func.sum(Job.total - Job.succeeded - Job.failed - Job.skipped), 0)
    unplanned = func.count().filter(Job.state.in_(_WAITING))
    own = func.count().filter(_of(Job.owner_id, owner_id))
    items, unplanned_jobs, own_jobs = session.execute(select(left, unplanned, own).where(Job.state.in_(_OPEN))).one()
    return Backlog(int(items), unplanned_jobs, own_jobs)


def stored_bytes(session: Session, *, owner_id: uuid.UUID | None) -> int:
    """Bytes of that client's uploads; what a retry shares with the job before counts once.

    All are added up from an index alone; only those of retries are looked at one by one, since nothing else shares.
    """
    mine = _of(Upload.owner_id, owner_id)
    retried = select(Upload.blob_key).join(Job, Upload.job_id == Job.id)
    retried = retried.where(_of(Job.owner_id, owner_id), Job.retry_of.is_not(None))
    twice = (func.count() - 1) * func.max(Upload.size_bytes)
    shared = select(twice.label("size")).where(mine, Upload.blob_key.in_(retried)).group_by(Upload.blob_key).subquery()
    every = select(func.coalesce(func.sum(Upload.size_bytes), 0)).where(mine).scalar_subquery()
    again = select(func.coalesce(func.sum(shared.c.size), 0)).scalar_subquery()
    return int(session.scalar(select(every - again)) or 0)


def lock_client(session: Session, *, owner_id: uuid.UUID | None) -> None:
    """One submission of a client commits at a time, else two at once would each find room for one."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:client, 0))"), {"client": f"quota:{owner_id}"})


def _of(column: InstrumentedAttribute[uuid.UUID | None], owner_id: uuid.UUID | None) -> ColumnElement[bool]:
    return column.is_(None) if owner_id is None else column == owner_id
