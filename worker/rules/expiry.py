"""What was kept for long enough: ended jobs, images sent to `/predict/`, idempotency keys.

Rows are committed before the first file is deleted. A file that is left over has no row, and the rule for such files finds it.
"""

import logging
from collections.abc import Iterable

from store import idempotency, retention
from store.blobs import Blobs
from worker.rules.rule import LIMIT, Tools

_log = logging.getLogger(__name__)


def expire_jobs(tools: Tools) -> int:
    """Delete uploads and results of each in a transaction of its own: a job may have a hundred thousand rows."""
    with tools.database.transaction() as session:
        expired = retention.expired_jobs(session, limit=LIMIT)
    for job_id in expired:
        with tools.database.transaction() as session:
            blob_keys = retention.expire_job(session, job_id)
        _delete(tools, blob_keys)
    return len(expired)


def expire_singles(tools: Tools) -> int:
    """Delete images that belong to no job, with their predictions."""
    if tools.settings.retention_seconds is None:
        return 0
    with tools.database.transaction() as session:
        blob_keys = retention.expire_singles(session, retention_seconds=tools.settings.retention_seconds, limit=LIMIT)
    _delete(tools, blob_keys)
    return len(blob_keys)


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
