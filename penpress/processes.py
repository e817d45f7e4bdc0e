"""Start a program in a session of its own, and end it with everything that it started.

A session outlives its leader, so the pool children of a killed worker are still found. Postgres backends leave the session,
but they are children of its leader, and end by themselves once that is gone.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

_LOG_BYTES = 10 * 1024**2
_TERMINATE_SECONDS = 3.0
_KILL_SECONDS = 5.0
_POLL_SECONDS = 0.02
# The creation time is reckoned from the time of boot, which moves when the clock is set.
_CLOCK_TOLERANCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and where its output goes.

    `user` is a uid and gid to run as. `stop_signal` goes to the leader alone and asks it to finish what it is at, for at
    most `stop_seconds`.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    user: tuple[int, int] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0


def start(program: Program) -> subprocess.Popen[bytes]:
    """Start `program`, its output appended to its log. Raises `OSError` when the binary cannot be run."""
    uid, gid = program.user or (None, None)
    _rotate(program.log)
    with program.log.open("ab") as log:
        return subprocess.Popen(  # noqa: S603  # the commands are ours, no shell
            program.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=program.environment,
            cwd=program.folder,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            start_new_session=True,
        )


def stop(child: subprocess.Popen[bytes], program: Program) -> None:
    """Ask `child` to leave, then make it and everything that it started leave. Returns when nothing of it is left."""
    end(child.pid, program.stop_signal, seconds=program.stop_seconds)
    child.wait()


def end(leader: int, stop_signal: signal.Signals, *, seconds: float) -> None:
    """`stop_signal` to `leader` for `seconds`; to what is then left of its session SIGTERM; and to what is left, SIGKILL."""
    family = _family(leader)
    _send(stop_signal, (process for process in family if process.pid == leader))
    _wait([process for process in family if process.pid == leader], seconds)
    for last_signal, patience in ((signal.SIGTERM, _TERMINATE_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
        family = [process for process in {*family, *_family(leader)} if is_alive(process)]
        _send(last_signal, family)
        _wait(family, patience)


def end_orphan(pid: int, created: float, stop_signal: signal.Signals = signal.SIGTERM, *, seconds: float = 5.0) -> None:
    """End what a killed parent left behind: the session of `pid`, if that number still means what it meant at `created`
    (seconds since the epoch).
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        if abs(psutil.Process(pid).create_time() - created) > _CLOCK_TOLERANCE_SECONDS:
            return
    end(pid, stop_signal, seconds=seconds)


def created_at(pid: int) -> float:
    """When process `pid` was made, in seconds since the epoch; 0 if it is gone already."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return 0.0


def is_alive(process: psutil.Process) -> bool:
    """Whether the process still runs; one that has ended but was not waited for does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _rotate(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))


def _family(leader: int) -> list[psutil.Process]:
    """Every living process in the leader's session or below the leader."""
    found = {pid for pid in psutil.pids() if _session(pid) == leader}
    with contextlib.suppress(psutil.NoSuchProcess):
        found.update(process.pid for process in psutil.Process(leader).children(recursive=True))
    processes = []
    for pid in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))
    return [process for process in processes if is_alive(process)]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _send(number: signal.Signals, processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _wait(processes: list[psutil.Process], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(is_alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
