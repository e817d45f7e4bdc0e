"""Files in the blob store that no row names: an API that was killed in mid-upload left them, or one that lost its answer.

Two installations must not share one blob store: each would take the other's files for orphans.
"""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from store import uploads
from store.blobs import Blobs
from worker.rules.rule import LIMIT, Tools

_ROUND_SECONDS = 3600.0
_log = logging.getLogger(__name__)


class OrphanedBlobs:
    """Remove what has lain there for `orphan_seconds`, one day's folder in each sweep and each folder once an hour."""

    def __init__(self) -> None:
        self._days: list[str] = []
        self._next_round = 0.0

    def __call__(self, tools: Tools) -> int:
        """How many were removed, at most as many as a rule may look at."""
        blobs = Blobs(tools.settings.blobs)
        if not self._days:
            if time.monotonic() < self._next_round:
                return 0
            self._days = blobs.days()
            self._next_round = time.monotonic() + _ROUND_SECONDS
        if not self._days:
            return 0
        orphans = _orphans(tools, blobs, self._days[-1])
        for key in orphans[:LIMIT]:
            blobs.delete(key)
            _log.warning("the file %s, which no upload names, was removed", key)
        if len(orphans) <= LIMIT:
            self._days.pop()
        return len(orphans[:LIMIT])


def _orphans(tools: Tools, blobs: Blobs, day: str) -> Sequence[str]:
    """Rows are committed a moment after their file is whole, so that one without a row for so long will never have one."""
    oldest = datetime.now(UTC) - timedelta(seconds=tools.settings.orphan_seconds)
    old = [key for key, modified in blobs.list_day(day) if modified < oldest]
    found: list[str] = []
    for start in range(0, len(old), LIMIT):
        keys = old[start : start + LIMIT]
        with tools.database.transaction() as session:
            named = uploads.named_blobs(session, keys)
        found += [key for key in keys if key not in named]
    return found
