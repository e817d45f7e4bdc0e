"""Faults from inside: a program dies at a named point of its code (`store/faults.py`)."""

import itertools
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from store import faults
from tests.chaos.arena import Arena, Struck
from tests.chaos.signals import send
from tests.chaos.stack import WORKERS

_REACHED_SECONDS = 30.0
_POLL_SECONDS = 0.02
_numbers = itertools.count()


def die_at(point: str) -> Callable[[Arena], Struck | None]:
    """Let the next process that comes to `point` kill itself there; None when none did."""

    def strike(arena: Arena) -> Struck | None:
        return Struck(time.monotonic()) if _fires(arena, point, "kill") else None

    return strike


def freeze_at(point: str) -> Callable[[Arena], Struck | None]:
    """Let the next process that comes to `point` stop itself there, with a chunk in its hands, for longer than its lease; when
    it wakes it goes on as if nothing had been.
    """

    def strike(arena: Arena) -> Struck | None:
        if not _fires(arena, point, "stop", item=arena.frozen_items or ""):
            return None
        since = time.monotonic()

        def wake() -> None:
            time.sleep(max(0.0, since + arena.pace.freeze - time.monotonic()))
            send(signal.SIGCONT, [pid for name in WORKERS for pid in arena.stack.children(name)])

        if not arena.frozen_items:
            return Struck(since, wake)
        thread = threading.Thread(target=wake, daemon=True)
        thread.start()
        return Struck(since, thread.join)

    return strike


def _fires(arena: Arena, point: str, action: str, *, item: str = "") -> bool:
    armed = faults.arm(arena.stack.faults, point, action, label=f"once-{next(_numbers)}", item=item)
    fired = _has_fired(armed)
    armed.unlink(missing_ok=True)
    return fired


def _has_fired(armed: Path) -> bool:
    fired = armed.parent / "fired" / armed.name
    deadline = time.monotonic() + _REACHED_SECONDS
    while time.monotonic() < deadline:
        if fired.exists():
            return True
        time.sleep(_POLL_SECONDS)
    return False
