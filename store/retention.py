"""Retention: what was kept for long enough goes, rows first and files after.

Whoever dies in between leaves files without rows, which the sweep finds; never rows without their files.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, select
from sqlalchemy.orm import Session

from store import jobs, webhooks
from store.models import Chunk, Job, Prediction, Upload
from store.states import JobState

_ENDED = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)
_STEP_ROWS = 10_000  # some hundredths of a second
_STEP_FILES = 20  # an object store takes tens of milliseconds for one


@dataclass(frozen=True, slots=True)
class Step:
    """What one step leaves to do: blobs to delete after its commit, and more steps unless it was the last."""

    blob_keys: Sequence[str]
    is_last: bool


def expired_jobs(session: Session, *, limit: int) -> Sequence[uuid.UUID]:
    """Ended jobs whose time is over and of which something is left, the longest first."""
    is_left = Job.purged_at.is_(None) & Job.state.in_([*_ENDED, JobState.EXPIRED])
    over = select(Job.id).where(Job.expires_at < func.now(), is_left)
    return session.scalars(over.order_by(Job.expires_at).limit(limit)).all()


def expire_job(session: Session, job_id: uuid.UUID, *, rows: int = _STEP_ROWS, files: int = _STEP_FILES) -> Step:
    """completed | failed | cancelled → expired, with webhook events deleted, and `rows` of its results and chunks; once none is
    left, `files` of its uploads. Call it until it was the last step: `purged_at` says so, and the state all along that nothing
    of the job is shown any more. The job's own row stays, so that whoever asks learns what became of it.
    """
    job = jobs.lock_job(session, job_id)
    if job.state in _ENDED:
        job.state = JobState.EXPIRED
        webhooks.forget(session, job)
    if job.state != JobState.EXPIRED:
        return Step([], is_last=True)
    if any(_delete_some(session, table, job_id, rows) == rows for table in (Prediction, Chunk)):
        return Step([], is_last=False)
    due = select(Upload.id).where(Upload.job_id == job_id).limit(files)
    keys = session.scalars(delete(Upload).where(Upload.id.in_(due)).returning(Upload.blob_key)).all()
    is_last = len(keys) < files
    if is_last:
        job.purged_at = func.now()
    return Step(_unreferenced(session, keys), is_last)


def _delete_some(session: Session, table: type[Prediction | Chunk], job_id: uuid.UUID, limit: int) -> int:
    some = select(table.id).where(table.job_id == job_id).limit(limit)
    deleted = session.execute(delete(table).where(table.id.in_(some)), execution_options={"synchronize_session": False})
    return cast(CursorResult[Any], deleted).rowcount


def expire_singles(session: Session, *, retention_seconds: int, limit: int = _STEP_FILES) -> Sequence[str]:
    """Delete images that belong to no job and are older than `retention_seconds`, with their predictions; the keys of the blobs
    to delete after the commit.
    """
    over = Upload.job_id.is_(None) & (Upload.created_at < func.now() - timedelta(seconds=retention_seconds))
    due = select(Upload.id).where(over).order_by(Upload.created_at).limit(limit).with_for_update(skip_locked=True)
    keys = session.scalars(delete(Upload).where(Upload.id.in_(due)).returning(Upload.blob_key)).all()
    return _unreferenced(session, keys)


def _unreferenced(session: Session, keys: Iterable[str]) -> Sequence[str]:
    """Those that no upload names: a retry shares the blobs of the job whose items it tries again."""
    wanted = set(keys)
    still_named = session.scalars(select(Upload.blob_key).where(Upload.blob_key.in_(wanted))).all()
    return sorted(wanted.difference(still_named))
