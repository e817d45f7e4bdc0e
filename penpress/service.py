"""A program that others depend on: how it is started, when it is ready, and at which URL."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from penpress.errors import ServiceFailed
from penpress.processes import Program, start, stop

_POLL_SECONDS = 0.02
_READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Service:
    """`prepare` makes what the program needs before it starts (call it from one thread); `is_ready` is asked with the pid of
    the started program; `url` is where it can then be reached.
    """

    program: Program
    url: str
    prepare: Callable[[], None]
    is_ready: Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Configured:
    """A service that somebody else runs, at `url`."""

    url: str


def wait_until_ready(service: Service, child: subprocess.Popen[bytes], *, seconds: float = _READY_SECONDS) -> None:
    """Return as soon as the service is ready. Raises `ServiceFailed` if it dies before, or takes longer than `seconds`."""
    name, log = service.program.name, service.program.log
    deadline = time.monotonic() + seconds
    while not service.is_ready(child.pid):
        if child.poll() is not None:
            raise ServiceFailed(f"{name} ended with status {child.returncode} while it started; see {log}.")
        if time.monotonic() > deadline:
            raise ServiceFailed(f"{name} was not ready after {seconds:.0f} s; see {log}.")
        time.sleep(_POLL_SECONDS)


@contextmanager
def running(service: Service) -> Iterator[str]:
    """Run the service for the length of a `with` block and give its URL. Nothing of it is left afterwards."""
    service.prepare()
    child = start(service.program)
    try:
        wait_until_ready(service, child)
        yield service.url
    finally:
        stop(child, service.program)
