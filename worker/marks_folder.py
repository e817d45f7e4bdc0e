"""The folder for a worker's marks. A worker that is killed leaves its own behind, and the next one on this machine removes it.

A lock says that a folder is in use: the kernel lifts it when the last of the worker's processes, which all hold it, is gone.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

_PREFIX = "penpress-worker-"
_LOCK = "in-use"


class MarksFolder:
    """An empty folder in the temporary one, in use until it is removed. To be made before the worker forks its processes."""

    def __init__(self) -> None:
        _remove_abandoned(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        new = self.path / f"{_LOCK}.new"
        self._lock = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        new.rename(self.path / _LOCK)  # under this name it is never seen without its lock

    def remove(self) -> None:
        """When the worker's processes are gone."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _remove_abandoned(folder: Path) -> None:
    for lock in folder.glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError):  # in use, another user's, or removed by somebody else just now
            if _is_ours(lock.parent.lstat(), stat.S_IFDIR):
                _remove_unused(lock)


def _remove_unused(lock: Path) -> None:
    # Everybody may write into the temporary folder: a pipe that was planted there would make who opens it wait for ever.
    file = os.open(lock, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        if _is_ours(os.fstat(file), stat.S_IFREG):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent)
    finally:
        os.close(file)


def _is_ours(found: os.stat_result, kind: int) -> bool:
    return found.st_uid == os.geteuid() and stat.S_IFMT(found.st_mode) == kind
