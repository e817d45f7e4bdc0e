"""Hold the lease of a chunk or of a job's planning while it is worked on: a thread renews it, and says when it was lost."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from worker.runtime import Runtime

Renew = Callable[[Session], bool]
"""Holds the lease for another while; False when somebody else has it."""

_log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """The work was given to another worker; what this one found out is thrown away."""


class Lease:
    """Ask `check` between two items."""

    def __init__(self) -> None:
        self._lost = threading.Event()

    def mark_lost(self) -> None:
        """Say that somebody else has the work."""
        self._lost.set()

    def check(self) -> None:
        """Raises `LeaseLost`."""
        if self._lost.is_set():
            raise LeaseLost


@contextmanager
def held_lease(runtime: Runtime, renew: Renew) -> Iterator[Lease]:
    """Renew every `heartbeat_seconds` until the block ends."""
    lease, ended = Lease(), threading.Event()
    thread = threading.Thread(target=_keep_renewing, args=(runtime, renew, lease, ended), name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        ended.set()
        thread.join()


def _keep_renewing(runtime: Runtime, renew: Renew, lease: Lease, ended: threading.Event) -> None:
    while not ended.wait(runtime.settings.heartbeat_seconds):
        try:
            with runtime.database.transaction() as session:
                held = renew(session)
        except SQLAlchemyError as error:
            _log.warning("lease not renewed, will try again: %s", error)
            continue
        if not held:
            lease.mark_lost()
            return
