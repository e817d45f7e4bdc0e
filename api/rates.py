"""How many requests a key may send in a minute: a token bucket for each, in the memory of this process.

So with n API processes a key may send up to n times as many; what is limited is the load on each of them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Rates:
    """For one event loop; it has no lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self._buckets: dict[UUID, _Bucket] = {}

    def take(self, key_id: UUID, *, per_minute: int) -> float:
        """Count a request. 0, or the seconds until one is allowed again; a full bucket holds a minute's requests."""
        now, per_second = self._clock(), per_minute / 60
        bucket = self._buckets.setdefault(key_id, _Bucket(per_minute, now))
        bucket.tokens = min(per_minute, bucket.tokens + (now - bucket.at) * per_second)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / per_second
        bucket.tokens -= 1
        return 0.0
