"""Keep programs running: one that dies is started again, later each time, and one that keeps dying ends everything."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from penpress.errors import ServiceFailed
from penpress.processes import Program, created_at, end, start, stop
from penpress.state import Started

_QUICK_SECONDS = 20.0
_QUICK_DEATHS = 5
_FIRST_DELAY_SECONDS = 0.5
_POLL_SECONDS = 0.05


@dataclass(slots=True)
class _Charge:
    """A program in our care."""

    program: Program
    child: subprocess.Popen[bytes]
    created: float
    keep: bool
    started: float = field(default_factory=time.monotonic)
    quick_deaths: int = 0
    start_again_at: float | None = None


class Supervisor:
    """The programs of one `up`; `on_change` gets the list of what runs, whenever it changes. Threads may share it."""

    def __init__(self, on_change: Callable[[list[Started]], None]) -> None:
        self._on_change = on_change
        self._charges: dict[str, _Charge] = {}
        self._lock = threading.RLock()
        self._stopping = False

    def start(self, program: Program, *, keep: bool = True) -> subprocess.Popen[bytes]:
        """Start `program`, and again whenever it dies unless `keep` is false. Raises `ServiceFailed`."""
        with self._lock:
            if self._stopping:
                raise ServiceFailed(f"{program.name} was not started: Penpress is stopping.")
            child = self._launch(program)
            self._charges[program.name] = _Charge(program, child, created_at(child.pid), keep)
            self._note()
            return child

    def run(self, program: Program) -> None:
        """Run `program` to its end. Raises `ServiceFailed` if it fails."""
        child = self.start(program, keep=False)
        while child.poll() is None:
            time.sleep(_POLL_SECONDS)
        with self._lock:
            self._charges.pop(program.name, None)
            self._note()
        if child.returncode != 0:
            raise ServiceFailed(f"{program.name} failed with status {child.returncode}; see {program.log}.")

    def check(self) -> None:
        """Start again what has died. Raises `ServiceFailed` when something dies time and again."""
        with self._lock:
            for charge in [charge for charge in self._charges.values() if charge.keep]:
                if charge.start_again_at is not None:
                    self._start_again(charge)
                elif charge.child.poll() is not None:
                    self._bury(charge)

    def stop(self, groups: Iterable[Iterable[str]]) -> None:
        """Stop everything, the named groups one after the other, what is in none of them first."""
        with self._lock:
            self._stopping = True
        wanted = [list(group) for group in groups]
        named = {name for group in wanted for name in group}
        for group in ([name for name in self._charges if name not in named], *wanted):
            charges = [self._charges[name] for name in group if name in self._charges]
            with ThreadPoolExecutor(max_workers=max(1, len(charges))) as executor:
                list(executor.map(lambda charge: stop(charge.child, charge.program), charges))

    def _bury(self, charge: _Charge) -> None:
        # Its children may live on, and would hold the socket or go on working beside the next one.
        end(charge.child.pid, charge.program.stop_signal, seconds=0)
        was_quick = time.monotonic() - charge.started < _QUICK_SECONDS
        charge.quick_deaths = charge.quick_deaths + 1 if was_quick else 1
        if charge.quick_deaths >= _QUICK_DEATHS:
            name, log = charge.program.name, charge.program.log
            raise ServiceFailed(f"{name} died {_QUICK_DEATHS} times in a row (status {charge.child.returncode}); see {log}.")
        charge.start_again_at = time.monotonic() + _FIRST_DELAY_SECONDS * 2 ** (charge.quick_deaths - 1)

    def _start_again(self, charge: _Charge) -> None:
        if charge.start_again_at is None or time.monotonic() < charge.start_again_at:
            return
        charge.child = self._launch(charge.program)
        charge.created, charge.started, charge.start_again_at = created_at(charge.child.pid), time.monotonic(), None
        self._note()

    def _launch(self, program: Program) -> subprocess.Popen[bytes]:
        try:
            return start(program)
        except OSError as error:
            raise ServiceFailed(f"{program.name} could not be started: {error}.") from error

    def _note(self) -> None:
        self._on_change(
            [
                Started(name=name, pid=charge.child.pid, created=charge.created, stop_signal=charge.program.stop_signal)
                for name, charge in self._charges.items()
            ]
        )
