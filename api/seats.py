"""Seats for those who wait for a job, by `Prefer: wait` or with a stream of events. Each holds a connection open for long, so
they are counted: for each client, that none of them takes all, and in all, that other requests find a connection too.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from api.refusals import Limit, TooManyWaiting, WaitingFull


class Seats:
    """Those of one process. For one event loop; it has no lock."""

    def __init__(self, *, total: int, per_client: int) -> None:
        self._total, self._per_client = total, per_client
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, client: str) -> Iterator[None]:
        """Hold one for the length of the block. Raises `TooManyWaiting` or `WaitingFull`."""
        if self._taken[client] >= self._per_client:
            raise too_many_waiting(self._per_client)
        if self._taken.total() >= self._total:
            raise waiting_full(self._total)
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            self._taken += Counter()  # forgets who holds none


def too_many_waiting(most: int) -> TooManyWaiting:
    """The refusal of a client that waits for as many jobs as it may."""
    limit = Limit(key="max_client_waits", value=most, observed=most, unit="waiting requests")
    return TooManyWaiting(
        f"You wait with {most} requests, which is as many as you may; end one, or ask without waiting.", limit=limit
    )


def waiting_full(most: int) -> WaitingFull:
    """The refusal while all seats are taken."""
    limit = Limit(key="max_waits", value=most, observed=most, unit="waiting requests")
    return WaitingFull(f"{most} requests wait here, which is as many as may; ask without waiting.", limit=limit)


WAIT_REFUSALS = (too_many_waiting(100), waiting_full(500))
"""For the OpenAPI document."""
