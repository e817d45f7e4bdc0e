"""Hold the lease of a chunk or of a job's planning while it is worked on: a thread renews it, and says when it was lost."""

import logging
import os
import signal
import threading
import time
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
    """Ask `check` between two pages; it is the sign of life, too."""

    def __init__(self) -> None:
        self._lost = threading.Event()
        self._is_waiting = False
        self._checked_at = time.monotonic()

    def mark_lost(self) -> None:
        """Say that somebody else has the work."""
        self._lost.set()

    def check(self) -> None:
        """Raises `LeaseLost`."""
        self._checked_at = time.monotonic()
        if self._lost.is_set():
            raise LeaseLost

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The block waits for what takes as long as it takes, such as a download or a commit; that is not silence."""
        self._is_waiting = True
        try:
            yield
        finally:
            self._checked_at = time.monotonic()
            self._is_waiting = False

    def silent_seconds(self) -> float:
        """How long nobody has asked `check`."""
        return 0.0 if self._is_waiting else time.monotonic() - self._checked_at


@contextmanager
def held_lease(runtime: Runtime, renew: Renew, *, stuck_seconds: float) -> Iterator[Lease]:
    """Renew every `heartbeat_seconds` until the block ends, or until it has been silent for `stuck_seconds`."""
    lease, ended = Lease(), threading.Event()
    arguments = (runtime, renew, lease, ended, stuck_seconds)
    thread = threading.Thread(target=_keep_renewing, args=arguments, name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        ended.set()
        thread.join()


def _keep_renewing(runtime: Runtime, renew: Renew, lease: Lease, ended: threading.Event, stuck_seconds: float) -> None:
    while not ended.wait(runtime.settings.heartbeat_seconds):
        if lease.silent_seconds() > stuck_seconds:
            _kill_this_process()
        try:
            with runtime.database.transaction() as session:
                held = renew(session)
        except SQLAlchemyError as error:
            _log.warning("lease not renewed, will try again: %s", error)
            continue
        if not held:
            lease.mark_lost()
            return


def _kill_this_process() -> None:
    """A decoder that hangs cannot be interrupted. Without its process the lease runs out, and the sweep finds the item as it
    finds any that takes its worker down; Celery's pool starts another process.
    """
    _log.error("a page or an archive's directory has hung this worker process, which ends now")
    os.kill(os.getpid(), signal.SIGKILL)
