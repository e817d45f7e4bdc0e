"""What each client keeps here, for requests that come too often to add it up each time.

The sum is taken anew every few seconds, and before anybody is refused. In between this process adds what it takes itself, so a
client may exceed its quota by what other processes took of it meanwhile.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

_FRESH_SECONDS = 5.0


@dataclass(slots=True)
class _Known:
    size_bytes: int
    until: float


class Usage:
    """`add_up` gives the bytes that a client keeps, by the owner's id. Safe between threads."""

    def __init__(self, add_up: Callable[[UUID | None], int]) -> None:
        self._add_up = add_up
        self._known: dict[UUID | None, _Known] = {}
        self._lock = threading.Lock()

    def exceeding(self, owner_id: UUID | None, more_bytes: int, *, most: int) -> int | None:
        """How many bytes that client would keep with so many more, if that is more than `most`; else None."""
        known = self._find(owner_id)
        if known is None or known + more_bytes > most:
            known = self._renew(owner_id)
        return known + more_bytes if known + more_bytes > most else None

    def add(self, owner_id: UUID | None, more_bytes: int) -> None:
        """That client keeps so many bytes more."""
        with self._lock:
            if owner_id in self._known:
                self._known[owner_id].size_bytes += more_bytes

    def _find(self, owner_id: UUID | None) -> int | None:
        with self._lock:
            known = self._known.get(owner_id)
            return known.size_bytes if known and known.until > time.monotonic() else None

    def _renew(self, owner_id: UUID | None) -> int:
        size_bytes = self._add_up(owner_id)
        with self._lock:
            self._known[owner_id] = _Known(size_bytes, time.monotonic() + _FRESH_SECONDS)
        return size_bytes
