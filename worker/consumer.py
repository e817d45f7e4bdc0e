"""Celery's consumer, which comes back sooner: how it waits for a broker that is away is no setting of Celery's."""

from functools import partial
from typing import Any

from celery.worker.consumer import Consumer

_LONGEST_PAUSE_SECONDS = 2


class PromptConsumer(Consumer):  # type: ignore[misc]  # Celery ships no types
    """Tries again every two seconds. Celery's own waits ever longer, up to half a minute, in which Redis may long be back."""

    def ensure_connected(self, conn: Any) -> Any:
        """As Celery's; called for each new connection."""
        conn.ensure_connection = partial(conn.ensure_connection, interval_start=1, interval_max=_LONGEST_PAUSE_SECONDS)
        return super().ensure_connected(conn)
