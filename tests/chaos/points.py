"""Faults from inside: a program dies at a named point of its code (`store/faults.py`)."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

from store import faults
from tests.chaos.arena import Arena, Struck

_REACHED_SECONDS = 30.0
_POLL_SECONDS = 0.02
_numbers = itertools.count()


def die_at(point: str) -> Callable[[Arena], Struck | None]:
    """Let the next process that comes to `point` kill itself there; None when none did."""

    def strike(arena: Arena) -> Struck | None:
        armed = faults.arm(arena.stack.faults, point, "kill", label=f"once-{next(_numbers)}")
        if _has_fired(armed):
            return Struck(time.monotonic())
        armed.unlink(missing_ok=True)
        return None

    return strike


def _has_fired(armed: Path) -> bool:
    fired = armed.parent / "fired" / armed.name
    deadline = time.monotonic() + _REACHED_SECONDS
    while time.monotonic() < deadline:
        if fired.exists():
            return True
        time.sleep(_POLL_SECONDS)
    return False
