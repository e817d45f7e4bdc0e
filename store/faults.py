"""Faults on purpose, for tests: named points in the code where a process can be made to die, hang or fail.

Nothing happens unless `PENPRESS_FAULTS` names a folder. There a fault is armed by a file `{point}.{action}.{label}`, whose
content is a pattern that the item's name must match (empty: any). It strikes once, in whichever process comes first, and its
file is then moved to `fired/`, where its modification time says when. A label that begins with `always` strikes every time.
"""

import ctypes
import os
import signal
import threading
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

_FOLDER = os.environ.get("PENPRESS_FAULTS")


class InjectedFault(Exception):
    """A test asked for this fault."""


def reach(point: str, *, item: str = "") -> None:
    """The code came to `point`, with `item` in hand; what is armed for that strikes now."""
    if _FOLDER:
        _strike(Path(_FOLDER), point, item)


def arm(folder: Path, point: str, action: str, *, label: str = "once", item: str = "") -> Path:
    """Let `action` strike at `point`; the file that says so. Raises `KeyError` for an action that there is not."""
    _ACTIONS[action]
    (folder / "fired").mkdir(parents=True, exist_ok=True)
    armed, unnamed = folder / f"{point}.{action}.{label}", folder / f".{os.getpid()}.{threading.get_ident()}"
    unnamed.write_text(item)
    return unnamed.rename(armed)


def _strike(folder: Path, point: str, item: str) -> None:
    for armed in sorted(folder.glob(f"{point}.*")):
        if _is_ours(armed, item):
            _ACTIONS[armed.name.split(".")[1]]()


def _is_ours(armed: Path, item: str) -> bool:
    try:
        pattern = armed.read_text()
        if pattern and not fnmatch(item, pattern):
            return False
        if not armed.name.split(".", 2)[2].startswith("always"):
            armed.touch()
            armed.rename(armed.parent / "fired" / armed.name)
    except FileNotFoundError:
        return False  # another process was first
    return True


def _segfault() -> None:
    ctypes.string_at(0)


def _exhaust_memory() -> None:
    hoard = []
    while True:
        hoard.append(bytearray(64 * 1024**2))


def _raise_exception() -> None:
    raise InjectedFault(InjectedFault.__doc__)


def _raise_system_exit() -> None:
    raise SystemExit(3)


_ACTIONS: dict[str, Callable[[], object]] = {
    "segfault": _segfault,
    "abort": os.abort,
    "exit": lambda: os._exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "kill_parent": lambda: os.kill(os.getppid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "hang": lambda: threading.Event().wait(),
    "hang_in_c": lambda: ctypes.PyDLL(None).sleep(3600),  # keeps Python's lock, so that no thread of this process runs
    "slow": lambda: threading.Event().wait(0.25),
    "memory": _exhaust_memory,
    "exception": _raise_exception,
    "system_exit": _raise_system_exit,
}
