"""The tasks behind the messages. Each takes an id, looks again, returns early, and is safe to run twice."""

import logging
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from celery import Celery
from onnxruntime import get_available_providers

from inference.classifier import DeviceUnavailable, OutOfMemory
from inference.memory import limit_memory
from store import faults
from store.queue import CLASSIFY_CHUNK, PLAN_JOB
from store.settings import Settings
from worker.classify import classify_chunk
from worker.examination import examine
from worker.marks import Mark
from worker.plan import plan_job
from worker.preflight import end_worker
from worker.runtime import Runtime

_runtime: Runtime | None = None
_log = logging.getLogger(__name__)


def register(app: Celery) -> None:
    """Give every message name its task."""
    app.task(_plan_job, name=PLAN_JOB)
    app.task(_classify_chunk, name=CLASSIFY_CHUNK)


def open_runtime(settings: Settings, marks: Path | None = None) -> None:
    """Make this process's runtime, load the model and see that it works; jobs name their versions, so none is followed.

    `marks` is the folder where this process shall say what it is at.
    """
    global _runtime
    _runtime = Runtime.from_settings(settings, Mark.open(marks) if marks else None)
    _runtime.models.warm_up()
    if settings.device == "cpu" or "CUDAExecutionProvider" not in get_available_providers():
        limit_memory(settings.worker_memory_bytes)  # a GPU's driver maps far more than it uses
    examine(_runtime)
    _runtime.mark.rest()


def open_runtime_or_end(settings: Settings, marks: Path | None = None) -> None:
    """Without a runtime the process must not serve."""
    try:
        open_runtime(settings, marks)
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
    runtime = _opened()
    if runtime.mark.stopping_seconds() is not None:
        return  # the rows know that it waits
    try:
        work(runtime, uuid.UUID(identifier))
        faults.reach("after_commit_before_ack")
    except DeviceUnavailable as error:  # a GPU was asked for, and onnxruntime listed one that it cannot use
        end_worker(error)
    except OutOfMemory:
        if runtime.mark.is_read:
            _log.exception("this worker process ends, so that one with all its memory before it goes on")
            os._exit(1)
        raise
    except Exception as error:
        if runtime.mark.is_read and runtime.mark.holds_items:
            _die_of(runtime, error)
        runtime.mark.rest()
        raise


def _die_of(runtime: Runtime, error: Exception) -> NoReturn:
    """An item raised what nobody foresaw. To whoever finds this process, it is one that killed it."""
    _log.exception("this worker process ends: an item raised what nobody foresaw")
    runtime.mark.note(f"raised {type(error).__name__}")
    os._exit(1)


def _opened() -> Runtime:
    if _runtime is None:
        raise RuntimeError("This process has no runtime: `open_runtime` was not called in it, or did not succeed.")
    return _runtime
