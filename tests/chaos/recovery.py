"""When the product has recovered: one measure for every kind of fault.

Recovery has come when a job of one item, submitted after the fault, has been accepted and has completed, its webhook has been
received, and every chunk, plan and webhook that was in somebody's hands at the fault has been finished or taken over by
another.
"""

import threading
import time
import uuid

import httpx

from tests.chaos.arena import Arena

_PROMISES_WAITED_FOR = 3
_POLL_SECONDS = 0.05
_ANSWER_SECONDS = 5.0


def seconds_until_recovered(
    arena: Arena, key: str, held: frozenset[uuid.UUID], since: float, *, promise: float
) -> float | None:
    """Seconds from `since`; None if it took three times as long as promised. `held` are the tokens at the fault."""
    longest = _PROMISES_WAITED_FOR * promise
    deadline = time.monotonic() + longest
    is_told = arena.receiver.was_told_of
    gave_up = threading.Event()
    timer = threading.Timer(longest, gave_up.set)
    timer.daemon = True
    timer.start()
    job_id = arena.load.submit(key, [0], give_up=gave_up)
    timer.cancel()
    while time.monotonic() < deadline:
        if job_id and is_told(job_id) and _is_completed(arena, job_id) and not (held & arena.held()):
            return time.monotonic() - since
        time.sleep(_POLL_SECONDS)
    return None


def _is_completed(arena: Arena, job_id: str) -> bool:
    try:
        answer = httpx.get(f"{arena.stack.addresses.url}/jobs/{job_id}", timeout=_ANSWER_SECONDS)
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK and answer.json()["state"] == "completed"
