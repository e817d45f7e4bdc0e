"""Retention: what was kept for long enough goes, rows first and files after.

Whoever dies in between leaves files without rows, which the sweep finds; never rows without their files.
"""

import uuid
from collections.abc import Iterable, Sequence
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from store import jobs, webhooks
from store.models import Chunk, Job, Prediction, Upload
from store.states import JobState

_ENDED = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)


def expired_jobs(session: Session, *, limit: int) -> Sequence[uuid.UUID]:
    """Ended jobs whose time is over, the longest first."""
    over = select(Job.id).where(Job.expires_at < func.now(), Job.state.in_(_ENDED))
    return session.scalars(over.order_by(Job.expires_at).limit(limit)).all()


def expire_job(session: Session, job_id: uuid.UUID) -> Sequence[str]:
    """completed | failed | cancelled → expired. Its results, uploads and webhook events are deleted; the keys of the blobs to
    delete after the commit. The job's own row stays, so that whoever asks learns what became of it.
    """
    job = jobs.lock_job(session, job_id)
    if job.state not in _ENDED:
        return []
    job.state = JobState.EXPIRED
    session.execute(delete(Prediction).where(Prediction.job_id == job_id))
    session.execute(delete(Chunk).where(Chunk.job_id == job_id))
    webhooks.forget(session, job)
    keys = session.scalars(delete(Upload).where(Upload.job_id == job_id).returning(Upload.blob_key)).all()
    return _unreferenced(session, keys)


def expire_singles(session: Session, *, retention_seconds: int, limit: int) -> Sequence[str]:
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
