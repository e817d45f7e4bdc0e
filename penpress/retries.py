"""When to ask a service again: what passes by itself, and after how long."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import httpx

from penpress.errors import ClientError, Refused, Unreachable

LONGEST_DELAY_SECONDS = 60.0
_PASSING = frozenset(
    {
        httpx.codes.TOO_MANY_REQUESTS,
        httpx.codes.BAD_GATEWAY,
        httpx.codes.SERVICE_UNAVAILABLE,
        httpx.codes.GATEWAY_TIMEOUT,
    }
)
_STILL_RUNNING = "idempotency_key_in_use"

Answer = TypeVar("Answer")


def passes(error: ClientError) -> bool:
    """Whether the same request may succeed later: nobody answered, or whoever did was busy."""
    if isinstance(error, Refused):
        return error.status in _PASSING or error.reason == _STILL_RUNNING
    return isinstance(error, Unreachable)


def delay_after(error: ClientError, usual_seconds: float) -> float:
    """`usual_seconds`, or longer where the service asked for it."""
    asked = error.retry_after if isinstance(error, Refused) else None
    return min(max(usual_seconds, asked or 0.0), LONGEST_DELAY_SECONDS)


def with_retries(ask: Callable[[], Answer], delays: Iterator[float]) -> Answer:
    """What `ask` gives; where it fails in passing, it is called again after each of `delays`. Raises the last `ClientError`."""
    while True:
        try:
            return ask()
        except ClientError as error:
            delay = next(delays, None)
            if delay is None or not passes(error):
                raise
            time.sleep(delay_after(error, delay))


def until(seconds: float, delay: float) -> Iterator[float]:
    """`delay`, again and again, for as long as `seconds` from now."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield delay
