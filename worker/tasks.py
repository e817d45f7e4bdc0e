"""The tasks behind the messages. Each takes an id, looks again, returns early, and is safe to run twice."""

import uuid

from celery import Celery

from store.queue import CLASSIFY_CHUNK, PLAN_JOB
from store.settings import Settings
from worker.classify import classify_chunk
from worker.plan import plan_job
from worker.runtime import Runtime

_runtime: Runtime | None = None


def register(app: Celery) -> None:
    """Give every message name its task."""
    app.task(_plan_job, name=PLAN_JOB)
    app.task(_classify_chunk, name=CLASSIFY_CHUNK)


def open_runtime(settings: Settings) -> None:
    """Make this process's runtime and load the model; jobs name their versions, so none is followed."""
    global _runtime
    _runtime = Runtime.from_settings(settings)
    _runtime.models.warm_up()


def close_runtime() -> None:
    """Close what `open_runtime` opened."""
    global _runtime
    if _runtime:
        _runtime.close()
        _runtime = None


def _plan_job(job_id: str) -> None:
    plan_job(_opened(), uuid.UUID(job_id))


def _classify_chunk(chunk_id: str) -> None:
    classify_chunk(_opened(), uuid.UUID(chunk_id))


def _opened() -> Runtime:
    if _runtime is None:
        raise RuntimeError("This process has no runtime; Celery's pool must be prefork.")
    return _runtime
