"""What a worker must have before it takes a message: found out once, before the fork, so that it refuses to start instead."""

import logging
import os
import signal
from typing import NoReturn

from inference.classifier import DeviceUnavailable, require_device
from store.blobs import BlobsUnusable, require_driver
from store.database import DatabaseNotConfigured
from store.settings import Settings

_log = logging.getLogger(__name__)


def refuse_if_unfit(settings: Settings) -> None:
    """Raises `SystemExit` with one sentence: Celery logs any other exception of a signal handler, and starts all the same."""
    try:
        _check(settings)
    except (DatabaseNotConfigured, BlobsUnusable, DeviceUnavailable) as error:
        raise SystemExit(f"The worker does not start: {error}") from error


def _check(settings: Settings) -> None:
    if not settings.database_url:
        raise DatabaseNotConfigured(DatabaseNotConfigured.__doc__)
    require_driver(settings.blobs)
    require_device(settings.device)


def end_worker(error: Exception) -> NoReturn:
    """End this pool process and the worker that it belongs to, which would start the next one into the same fault.

    SIGQUIT is Celery's cold shutdown: it waits for no other process, which has the same fault. (Its exit code is 1, but 0 while
    the worker still starts; the log says why it ended.)
    """
    _log.critical("this worker cannot work here and ends: %s: %s", type(error).__name__, error)
    os.kill(os.getppid(), signal.SIGQUIT)
    os._exit(1)
