"""What `penpress up` notes in its home: the lock that only one holds, and where the others find it.

The lock falls with its process, however that ends; the note may outlive it, so the note counts only while the lock is held.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ValidationError

from penpress.errors import AlreadyRunning


class Started(BaseModel):
    """A process that `up` started; `created` (seconds since the epoch) tells it from a later one with the same number."""

    name: str
    pid: int
    created: float
    stop_signal: int


class State(BaseModel):
    """`up.json`: where the service answers, what it stands on, and which processes it consists of."""

    url: str
    pid: int
    database_url: str
    redis_url: str
    processes: list[Started] = []


def read_state(home: Path) -> State | None:
    """The last note of an `up` on this home, which may be over; None if there is none that can be read."""
    try:
        return State.model_validate_json(_note(home).read_bytes())
    except (OSError, ValidationError):
        return None


def write_state(home: Path, state: State) -> None:
    """Note `state`, in one step. Only its owner may read it: the addresses of configured services hold passwords."""
    draft = _note(home).with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(state.model_dump_json(indent=2))
    draft.replace(_note(home))


def remove_state(home: Path) -> None:
    """Forget the note, at the end of `up`."""
    _note(home).unlink(missing_ok=True)


def running_state(home: Path) -> State | None:
    """The note of the `up` on this home, if one is running."""
    state = read_state(home)
    return state if state and _is_locked(home) else None


def service_url(home: Path) -> str | None:
    """Where the `up` on this home answers, if one is running."""
    state = running_state(home)
    return state.url if state else None


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the home's lock. Raises `AlreadyRunning` with the address and pid of the one that has it."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _lock_path(home).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            state = read_state(home)
            where = f" at {state.url} (pid {state.pid})" if state else ""
            raise AlreadyRunning(f"Penpress is running already in {home}{where}.") from None
        yield


def _is_locked(home: Path) -> bool:
    try:
        with _lock_path(home).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _lock_path(home: Path) -> Path:
    return home / "up.lock"


def _note(home: Path) -> Path:
    return home / "up.json"
