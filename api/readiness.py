"""Whether what the service needs is there: one look at a time, in threads of its own, shared by all who ask within a second.

Everybody may ask, so asking often costs nothing, and the words are fixed: what drivers say of hosts and users is for the log.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from api.room import require_room
from registry.current import CurrentModel
from store.blobs import Blobs
from store.database import Database
from store.queue import Queue

_log = logging.getLogger(__name__)


class Need(NamedTuple):
    """Something that must be there: `probe` raises when it is not, and `missing` is what is said of it then."""

    probe: Callable[[], object]
    missing: str


class Needs:
    """What must be there, by name. For one event loop."""

    def __init__(self, needs: Mapping[str, Need], *, patience_seconds: float = 1.0, fresh_seconds: float = 1.0) -> None:
        """What has not answered after `patience_seconds` counts as missing; a look is good for `fresh_seconds`."""
        self._needs = needs
        self._patience_seconds, self._fresh_seconds = patience_seconds, fresh_seconds
        self._threads = CapacityLimiter(len(needs))
        self._probes: dict[str, asyncio.Task[object]] = {}
        self._look: asyncio.Task[Mapping[str, str]] | None = None
        self._looked_at = 0.0
        self._faults: dict[str, str | None] = {}

    async def check(self) -> Mapping[str, str]:
        """For each of them `ok`, or what is wrong."""
        is_old = time.monotonic() - self._looked_at >= self._fresh_seconds
        if self._look is None or (self._look.done() and is_old):
            self._look = asyncio.create_task(self._look_at_all())
        return await asyncio.shield(self._look)

    async def _look_at_all(self) -> Mapping[str, str]:
        for name, need in self._needs.items():
            if name not in self._probes:  # else the last one still waits, and another would too
                self._probes[name] = asyncio.create_task(run_sync(need.probe, abandon_on_cancel=True, limiter=self._threads))
        await asyncio.wait(self._probes.values(), timeout=self._patience_seconds)
        self._looked_at = time.monotonic()
        return {name: self._finding(name, need) for name, need in self._needs.items()}

    def _finding(self, name: str, need: Need) -> str:
        fault: str | None = f"no answer within {self._patience_seconds:g} s"
        if self._probes[name].done():
            error = self._probes.pop(name).exception()
            fault = None if error is None else f"{type(error).__name__}: {error}"
        if fault != self._faults.get(name):
            _log.warning("%s: %s", name, fault or "is there again")
        self._faults[name] = fault
        return need.missing if fault else "ok"

    async def close(self) -> None:
        """Wait a little for probes under way: their threads would go on with connections of pools that are closed."""
        if self._probes:
            await asyncio.wait(self._probes.values(), timeout=self._patience_seconds)


def needs_of_service(
    *, database: Database, queue: Queue, models: CurrentModel, blobs: Blobs, min_free_bytes: int
) -> Mapping[str, Need]:
    """Without these no job can be accepted and worked at."""
    return {
        "database": Need(database.ping, "does not answer, or has no tables yet"),
        "redis": Need(queue.ping, "does not answer"),
        "model": Need(models.get, "none is loaded yet"),
        "disk": Need(lambda: require_room(blobs, min_free_bytes=min_free_bytes, to_spool=0), "has too little room for uploads"),
    }
