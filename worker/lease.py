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

from inference.deaths import hung
from worker.marks import Mark
from worker.runtime import Runtime

Wanted = Callable[[Session], bool]
"""Whether the lease is still ours and its job still wants the work: one statement."""

Renew = Callable[[Session], bool]
"""Holds the lease for another while; False when somebody else has it. One statement."""

_log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """The work was given to another worker or is not wanted any more; what this one found out is thrown away."""


class Lease:
    """Ask `check` between two pages; it is the sign of life, too."""

    def __init__(self, mark: Mark | None = None) -> None:
        self.mark = mark or Mark()
        self._lost = threading.Event()
        self._is_waiting = False
        self._checked_at = time.monotonic()

    def mark_lost(self) -> None:
        """Say that the work must not go on."""
        self._lost.set()

    def check(self) -> None:
        """Raises `LeaseLost`."""
        self._checked_at = time.monotonic()
        if self._lost.is_set():
            raise LeaseLost
        self.mark.live()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The block waits for what takes as long as it takes, such as a download or a commit; that is not silence."""
        self._is_waiting = True
        self.mark.wait()
        try:
            yield
        finally:
            self._checked_at = time.monotonic()
            self._is_waiting = False
            self.mark.live()

    def silent_seconds(self) -> float:
        """How long nobody has asked `check`."""
        return 0.0 if self._is_waiting else time.monotonic() - self._checked_at


@contextmanager
def held_lease(runtime: Runtime, renew: Renew, wanted: Wanted, *, stuck_seconds: float) -> Iterator[Lease]:
    """Renew every `heartbeat_seconds` until the block ends, or until it has been silent for `stuck_seconds`.

    In between the thread asks if the work is `wanted`, and looks whether the worker is to stop: then the lease counts as lost.
    """
    lease, ended = Lease(runtime.mark), threading.Event()
    arguments = (runtime, renew, wanted, lease, ended, stuck_seconds)
    thread = threading.Thread(target=_keep_renewing, args=arguments, name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        ended.set()
        thread.join()


def _keep_renewing(
    runtime: Runtime, renew: Renew, wanted: Wanted, lease: Lease, ended: threading.Event, stuck_seconds: float
) -> None:
    heartbeat_seconds = runtime.settings.heartbeat_seconds
    tick_seconds = min(heartbeat_seconds, runtime.settings.cancel_check_seconds)
    renew_at = time.monotonic() + heartbeat_seconds
    while not ended.wait(tick_seconds):
        if lease.silent_seconds() > stuck_seconds:
            _kill_this_process(lease, stuck_seconds)
        if (runtime.mark.stopping_seconds() or 0) > runtime.settings.warm_stop_seconds:
            lease.mark_lost()  # to others it is ours until it is given back
        is_due = time.monotonic() + tick_seconds / 2 >= renew_at
        try:
            with runtime.database.single_statement() as session:
                goes_on = (renew if is_due else wanted)(session)
        except SQLAlchemyError as error:
            _log.warning("lease not renewed, will try again: %s", error)
            continue
        if not goes_on:
            lease.mark_lost()
        if is_due:
            if not goes_on:
                return
            renew_at = time.monotonic() + heartbeat_seconds


def _kill_this_process(lease: Lease, stuck_seconds: float) -> None:
    """A decoder that hangs cannot be interrupted. Who finds this process dead finds in its mark what it had in hand; or else
    its lease runs out. Celery's pool starts another process.
    """
    _log.error("a page or an archive's directory has hung this worker process, which ends now")
    lease.mark.note(hung(stuck_seconds))
    os.kill(os.getpid(), signal.SIGKILL)
