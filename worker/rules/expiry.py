"""What was kept for long enough: ended jobs, images sent to `/predict/`, idempotency keys.

Rows are committed before the first file is deleted. A file that is left over has no row, and the rule for such files finds it.
"""

import logging
import uuid
from collections.abc import Iterable

from store import idempotency, retention
from store.blobs import Blobs
from worker.rules.rule import LIMIT, Budget, Tools, find_rows, isolated

_log = logging.getLogger(__name__)


def expire_jobs(tools: Tools) -> int:
    """Delete uploads and results of each, in steps: a job may have a hundred thousand rows. One that is half done when the time
    is over is the first in the next sweep.
    """
    budget, expired = Budget(), 0
    for job_id in find_rows(tools, retention.expired_jobs):
        with isolated(job_id):
            expired += _expire_job(tools, job_id, budget)
        if budget.is_spent:
            break
    return expired


def _expire_job(tools: Tools, job_id: uuid.UUID, budget: Budget) -> bool:
    """Whether nothing of it is left."""
    while True:
        with tools.database.transaction() as session:
            step = retention.expire_job(session, job_id)
        _delete(tools, step.blob_keys)
        if step.is_last or budget.is_spent:
            return step.is_last


def expire_singles(tools: Tools) -> int:
    """Delete images that belong to no job, with their predictions, a few at a time."""
    if (seconds := tools.settings.retention_seconds) is None:
        return 0
    budget, expired = Budget(), 0
    while True:
        with tools.database.transaction() as session:
            blob_keys = retention.expire_singles(session, retention_seconds=seconds)
        _delete(tools, blob_keys)
        expired += len(blob_keys)
        if not blob_keys or budget.is_spent:
            return expired


def forget_idempotency_keys(tools: Tools) -> int:
    """Forget the answers that nobody will ask for again."""
    with tools.database.transaction() as session:
        return idempotency.delete_outdated(session, keep_seconds=tools.settings.idempotency_seconds, limit=LIMIT)


def _delete(tools: Tools, blob_keys: Iterable[str]) -> None:
    blobs = Blobs(tools.settings.blobs)
    for key in blob_keys:
        try:
            blobs.delete(key)
        except Exception:  # each object store's client has errors of its own
            _log.exception("The blob %s has no row any more and could not be deleted", key)
