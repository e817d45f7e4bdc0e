"""`penpress up --detach` and `penpress down`: a service that outlives the terminal, and its end."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from penpress.errors import NotRunning, ServiceFailed
from penpress.processes import is_alive
from penpress.state import read_state, service_url
from penpress.up import answers, end_orphans

_POLL_SECONDS = 0.1
_START_SECONDS = 180.0
_STOP_SECONDS = 90.0


def start_in_background(home: Path, options: Sequence[str]) -> str:
    """Run `penpress up` with these options apart from this terminal, and give its address once it is ready.

    One that is running already is as good. Raises `ServiceFailed` with the sentence that it ended with.
    """
    running = service_url(home)
    if running:
        return running
    log = home / "logs" / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        command = [sys.executable, "-m", "penpress", "up", *options]
        child = subprocess.Popen(  # noqa: S603  # our own command line, no shell
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )

    def has_started() -> bool:
        if child.poll() is not None:
            raise ServiceFailed(_last_line(log) or f"Penpress ended with status {child.returncode}; see {log}.")
        url = service_url(home)
        return url is not None and answers(f"{url}/readyz")

    _wait(has_started, _START_SECONDS, f"Penpress was not ready after {_START_SECONDS:.0f} s; see {log}.")
    return str(service_url(home))


def stop_in_background(home: Path) -> None:
    """End the `up` on this home, wherever it was started, or what one that was killed has left running.

    Raises `NotRunning`, or `ServiceFailed` if it does not end.
    """
    state = read_state(home)
    if state is None:
        raise NotRunning(f"Penpress is not running in {home}.")
    if service_url(home) is None:
        end_orphans(home)
        return
    # The lock falls a moment before its process has left; only then is nothing of it left.
    with contextlib.suppress(psutil.NoSuchProcess):
        running = psutil.Process(state.pid)
        running.terminate()
        _wait(lambda: not is_alive(running), _STOP_SECONDS, f"Penpress (pid {state.pid}) does not end.")


def _wait(condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ServiceFailed(otherwise)
        time.sleep(_POLL_SECONDS)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
