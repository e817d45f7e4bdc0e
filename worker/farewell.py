"""A worker that was asked to stop ends, whatever happens: Celery's own shutdown can hang when the broker was lost just before.

Nothing is lost by it. Chunks are finished or given back long before, and what is not runs out with its lease.
"""

import logging
import os
import threading

_GRACE_SECONDS = 30.0
_log = logging.getLogger(__name__)


def end_at_last(stop_seconds: float, *, grace_seconds: float = _GRACE_SECONDS) -> None:
    """End this process, with exit code 75, once it has had `stop_seconds` and the grace to end by itself."""
    timer = threading.Timer(stop_seconds + grace_seconds, _end)
    timer.daemon = True  # a worker that ends by itself does not wait for it
    timer.start()


def _end() -> None:
    _log.error("the worker was asked to stop and has not; it ends now")
    logging.shutdown()
    os._exit(os.EX_TEMPFAIL)
