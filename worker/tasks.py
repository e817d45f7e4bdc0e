"""The tasks behind the messages. Each takes an id, looks again, returns early, and is safe to run twice."""

import uuid
from collections.abc import Callable

from celery import Celery

from inference.classifier import DeviceUnavailable
from store import faults
from store.queue import CLASSIFY_CHUNK, PLAN_JOB
from store.settings import Settings
from worker.classify import classify_chunk
from worker.plan import plan_job
from worker.preflight import end_worker
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


def open_runtime_or_end(settings: Settings) -> None:
    """Without a runtime the process must not serve."""
    try:
        open_runtime(settings)
    except Exception as error:  # Celery would log whatever it is, and go on
        end_worker(error)


def close_runtime() -> None:
    """Close what `open_runtime` opened."""
    global _runtime
    if _runtime:
        _runtime.close()
        _runtime = None


def _plan_job(job_id: str) -> None:
    _carry_out(plan_job, job_id)


def _classify_chunk(chunk_id: str) -> None:
    _carry_out(classify_chunk, chunk_id)


def _carry_out(work: Callable[[Runtime, uuid.UUID], None], identifier: str) -> None:
    try:
        work(_opened(), uuid.UUID(identifier))
        faults.reach("after_commit_before_ack")
    except DeviceUnavailable as error:  # a GPU was asked for, and onnxruntime listed one that it cannot use
        end_worker(error)


def _opened() -> Runtime:
    if _runtime is None:
        raise RuntimeError("This process has no runtime: `open_runtime` was not called in it, or did not succeed.")
    return _runtime
