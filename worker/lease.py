"""Hold a chunk's lease while it is worked on: a thread renews it, and says when it was lost."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from store import chunks
from store.chunks import Claim
from worker.runtime import Runtime

_log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """The chunk was given to another worker; what this one found out is thrown away."""


class Lease:
    """Ask `check` between two items."""

    def __init__(self) -> None:
        self._lost = threading.Event()

    def mark_lost(self) -> None:
        """Say that somebody else has the chunk."""
        self._lost.set()

    def check(self) -> None:
        """Raises `LeaseLost`."""
        if self._lost.is_set():
            raise LeaseLost


@contextmanager
def held_lease(runtime: Runtime, claim: Claim) -> Iterator[Lease]:
    """Renew the claim's lease every `heartbeat_seconds` until the block ends."""
    lease, ended = Lease(), threading.Event()
    thread = threading.Thread(target=_renew, args=(runtime, claim, lease, ended), name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        ended.set()
        thread.join()


def _renew(runtime: Runtime, claim: Claim, lease: Lease, ended: threading.Event) -> None:
    settings = runtime.settings
    while not ended.wait(settings.heartbeat_seconds):
        try:
            with runtime.database.transaction() as session:
                held = chunks.renew_lease(session, claim.chunk_id, claim.token, lease_seconds=settings.lease_seconds)
        except SQLAlchemyError as error:
            _log.warning("lease not renewed, will try again: %s", error)
            continue
        if not held:
            lease.mark_lost()
            return
