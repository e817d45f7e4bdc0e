"""What each process of a worker is at, written where its parent finds it when the process has died.

One small file for each process, in a folder of the worker's own. A mark is overwritten in place before every item, without
waiting for the disk: it must outlive the process, not the machine.
"""

import contextlib
import json
import os
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from store.queue import PLAN_JOB

STARTING, IDLE, BUSY = "starting", "idle", "busy"
_STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Marked:
    """What one process is at.

    `work` is the message's name, `identifier` and `token` say which lease the process holds, and `suspects` are the ordinals of
    the items in its hands. `since` and `started` are of the monotonic clock, which all processes share; `since` is None while
    the process waits for what may take long. `finished` counts pages and `planned` plans. `cause` says why it is about to
    die, if it knows.
    """

    state: str = STARTING
    work: str = ""
    identifier: str = ""
    token: str = ""
    suspects: tuple[int, ...] = ()
    since: float | None = None
    finished: int = 0
    planned: int = 0
    cause: str = ""
    started: float = field(default_factory=time.monotonic)

    def done(self, work: str) -> int:
        """How often the process has shown that it is well, where `work` has crashed another: a page shows it for whatever the
        worker does, a plan for plans alone.
        """
        return self.finished + (self.planned if work == PLAN_JOB else 0)


_FIELDS = tuple(field.name for field in fields(Marked))


class Mark:
    """The mark of one process, which alone writes it. Without a file it says nothing to anybody."""

    def __init__(self, file: int | None = None, folder: Path | None = None) -> None:
        self._file, self._folder = file, folder
        self._marked = Marked()

    @classmethod
    def open(cls, folder: Path) -> "Mark":
        """The mark of the process that calls."""
        mark = cls(os.open(folder / str(os.getpid()), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), folder)
        mark._write()
        return mark

    @property
    def is_read(self) -> bool:
        """Whether somebody reads it when this process dies, and starts another one."""
        return self._file is not None

    @property
    def holds_items(self) -> bool:
        """Whether items are in hand."""
        return bool(self._marked.suspects)

    def stopping_seconds(self) -> float | None:
        """How long ago the worker was asked to stop; None if it was not."""
        try:
            return None if self._folder is None else time.time() - (self._folder / _STOPPING).stat().st_mtime
        except FileNotFoundError:
            return None

    def rest(self) -> None:
        """Nothing is in hand."""
        self._write(state=IDLE, work="", identifier="", token="", suspects=(), since=None)

    def begin(self, work: str, identifier: uuid.UUID, token: uuid.UUID) -> None:
        """A lease is about to be taken."""
        self._write(state=BUSY, work=work, identifier=str(identifier), token=str(token), suspects=(), since=None)

    def hold(self, ordinals: Collection[int]) -> None:
        """These items are about to be read or classified."""
        self._write(suspects=tuple(ordinals), since=time.monotonic())

    def drop(self, *, finished: int = 0, planned: int = 0) -> None:
        """So many pages or plans are through, and no item is in hand."""
        marked = self._marked
        self._write(suspects=(), since=time.monotonic(), finished=marked.finished + finished, planned=marked.planned + planned)

    def live(self) -> None:
        """The work goes on."""
        self._write(since=time.monotonic())

    def wait(self) -> None:
        """What comes now may take as long as it takes."""
        self._write(since=None)

    def note(self, cause: str) -> None:
        """Say why this process will die."""
        self._write(cause=cause)

    def _write(self, **changes: object) -> None:
        self._marked = replace(self._marked, **changes)  # type: ignore[arg-type]  # the names are checked when it runs
        if self._file is not None:
            values = {name: getattr(self._marked, name) for name in _FIELDS}
            os.pwrite(self._file, json.dumps(values).encode() + b"\n", 0)


def read_marks(folder: Path) -> dict[int, Marked]:
    """Process id → its mark. One that is being written just now may be missing."""
    marks = {}
    for path in folder.iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError, ValueError, TypeError):
                marks[int(path.name)] = _parse(path.read_text())
    return marks


def _parse(text: str) -> Marked:
    given = json.loads(text.split("\n", 1)[0])
    return Marked(**given | {"suspects": tuple(given["suspects"])})


def ask_to_stop(folder: Path, *, at_once: bool = False) -> None:
    """Tell the worker's processes that it stops, and since when."""
    path = folder / _STOPPING
    path.touch()
    if at_once:
        os.utime(path, (0, 0))
