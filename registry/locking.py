"""One process at a time: advisory locks on files, given back by the kernel if their holder dies."""

import fcntl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO

from registry.tracking import local_store


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file at `path`, made if need be, waiting for whoever holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def one_at_a_time(tracking_uri: str) -> AbstractContextManager[None]:
    """Hold the lock of a local store for what must not happen twice at once; not to be taken again by whoever holds it.

    A tracking server has none: what is done there at once must do no harm.
    """
    store = local_store(tracking_uri)
    return locked(store.with_name(f".{store.name}.lock")) if store else nullcontext()


class Leadership:
    """What one process of a machine has at a time, until it resigns or dies. Not to be carried over a fork."""

    def __init__(self, path: Path) -> None:
        """Nothing is claimed yet; `path` is the lock file."""
        self._path = path
        self._held: IO[str] | None = None

    def claim(self) -> bool:
        """Whether this object has it, now or already; does not wait."""
        if self._held is None:
            self._held = self._try(fcntl.LOCK_EX)
        return self._held is not None

    def is_taken(self) -> bool:
        """Whether anybody has it."""
        if self._held is not None:
            return True
        probe = self._try(fcntl.LOCK_SH)
        if probe is None:
            return True
        probe.close()
        return False

    def resign(self) -> None:
        """Let another process have it."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def _try(self, kind: int) -> IO[str] | None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a")
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file
