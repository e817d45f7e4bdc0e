"""Files in the blob store that no row names: an API that was killed in mid-upload left them, or one that lost its answer.

Two installations must not share one blob store: each would take the other's files for orphans.
"""

import logging
import time
from datetime import UTC, datetime, timedelta

from store import uploads
from store.blobs import Blobs
from worker.rules.rule import LIMIT, Budget, Tools

_ROUND_SECONDS = 3600.0
_log = logging.getLogger(__name__)


class OrphanedBlobs:
    """Remove what has lain there for `orphan_seconds`, one day's folder in each sweep and each folder once an hour.

    A folder, or a file, that cannot be dealt with waits for the next round, and keeps no other one.
    """

    def __init__(self) -> None:
        self._days: list[str] = []
        self._old: list[str] = []  # of one day, not looked at yet
        self._orphans: list[str] = []
        self._next_round = 0.0

    def __call__(self, tools: Tools) -> int:
        """How many were removed, until the day's files or the time for it are over."""
        blobs, budget, removed = Blobs(tools.settings.blobs), Budget(), 0
        if not self._old and not self._orphans:
            self._old = self._next_old(tools, blobs)
        while self._old or self._orphans:
            if self._orphans:
                removed += _remove(blobs, self._orphans.pop())
            else:
                looked_at, self._old = self._old[:LIMIT], self._old[LIMIT:]
                self._orphans = _without_row(tools, looked_at)
            if budget.is_spent:
                break
        return removed

    def _next_old(self, tools: Tools, blobs: Blobs) -> list[str]:
        """Of the next day."""
        if not self._days and time.monotonic() >= self._next_round:
            self._days = blobs.days()
            self._next_round = time.monotonic() + _ROUND_SECONDS
        return _old_files(tools, blobs, self._days.pop()) if self._days else []


def _remove(blobs: Blobs, key: str) -> bool:
    """Whether it was possible."""
    try:
        blobs.delete(key)
    except Exception:  # each object store's client has errors of its own
        _log.exception("the file %s, which no upload names, cannot be removed", key)
        return False
    _log.warning("the file %s, which no upload names, was removed", key)
    return True


def _old_files(tools: Tools, blobs: Blobs, day: str) -> list[str]:
    """Rows are committed a moment after their file is whole, so that one without a row for so long will never have one."""
    oldest = datetime.now(UTC) - timedelta(seconds=tools.settings.orphan_seconds)
    return [key for key, modified in blobs.list_day(day) if modified < oldest]


def _without_row(tools: Tools, keys: list[str]) -> list[str]:
    with tools.database.transaction() as session:
        named = uploads.named_blobs(session, keys)
    return [key for key in keys if key not in named]
