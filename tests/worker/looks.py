"""What the rows of a job say, read in a transaction of its own."""

import time
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from store import jobs, predictions
from store.database import Database
from store.models import Chunk, Job, Prediction, Upload
from store.predictions import Filters


def read_job(database: Database, job_id: uuid.UUID) -> Job:
    with database.transaction() as session:
        job = jobs.get_job(session, job_id, owner_id=None)
        assert job
        return job


def read_uploads(database: Database, job_id: uuid.UUID) -> Sequence[Upload]:
    with database.transaction() as session:
        return session.scalars(select(Upload).where(Upload.job_id == job_id)).all()


def read_rows(database: Database, job_id: uuid.UUID) -> Sequence[Prediction]:
    with database.transaction() as session:
        job = session.get_one(Job, job_id)
        return predictions.list_results(session, job, filters=Filters(), limit=1000)


def read_chunks(database: Database, job_id: uuid.UUID) -> Sequence[Chunk]:
    with database.transaction() as session:
        return session.scalars(select(Chunk).where(Chunk.job_id == job_id).order_by(Chunk.id)).all()


def age(session: Session, table: type[Chunk] | type[Job], column: str) -> None:
    """Let every row's `hinted_at` or `lease_until` lie in the past."""
    session.execute(update(table).values({column: func.now() - timedelta(days=1)}))


def wait_until(holds: Callable[[], bool], *, seconds: float = 20) -> None:
    """Look again until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.01)
