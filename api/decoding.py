"""Decode what strangers send, in processes that may be lost: each takes one image at a time, and is replaced when it dies.

An image that crashes its process, or keeps it for longer than it may, is refused; nobody else's is.
"""

import logging
import math
import mmap
import os
import queue
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from api.refusals import DecoderUnavailable
from inference import decoder, errors
from inference.deaths import describe, hung
from inference.decoder import Wanted
from inference.errors import ImageError, ProcessLost
from inference.images import ImageLimits
from inference.look import Look
from inference.preprocess import Pixels

_START_SECONDS = 30.0
# The kernel ends in time what hangs; what was frozen is ended from here.
_PATIENCE_SECONDS = 2.0
_HEAD_BYTES = 64 * 1024
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """A decoded page: its pixels, which others may write over after the block, and how many pages its document has.

    `look`, of a stretched page and once, waits until it is known how that looks; it raises `ProcessLost`.
    """

    pixels: Pixels
    pages: int
    look: Callable[[], Look]


class Decoders:
    """At most `count` processes, each started when it is needed, or by `start`. Safe between threads."""

    def __init__(self, count: int, limits: ImageLimits, *, seconds: float, memory_bytes: int) -> None:
        """A page may take so long, and a process so much memory."""
        self._limits, self._seconds, self._memory_bytes = limits, seconds, memory_bytes
        # The last one used is the first to be used again: the others need not even be there.
        self._free: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(count):
            self._free.put(None)

    def start(self) -> None:
        """Start them all, and wait for none."""
        free = [self._free.get() for _ in range(self._free.qsize())]
        for process in free:
            self._free.put(process or self._launch())

    @contextmanager
    def decoded(self, data: bytes, wanted: Wanted) -> Iterator[Page]:
        """One page of `data`, and a process that looks at it meanwhile. Raises an `ImageError`, or `DecoderUnavailable`."""
        process = self._free.get()
        try:
            process = process or self._launch()
            yield process.decode(data, wanted)
        finally:
            self._free.put(None if process is None or not process.is_free() else process)

    def close(self) -> None:
        """End those that nobody uses; the others end when they have answered, since nobody hears them."""
        while not self._free.empty():
            process = self._free.get()
            if process is not None:
                process.end()

    def _launch(self) -> "_Process":
        return _Process(self._limits, seconds=self._seconds, memory_bytes=self._memory_bytes)


class _Process:
    def __init__(self, limits: ImageLimits, *, seconds: float, memory_bytes: int) -> None:
        self._seconds = seconds
        self._stream, theirs = socket.socketpair()
        memory = decoder.share_memory()
        self._memory = mmap.mmap(memory, 0)
        inherited = (theirs.fileno(), memory)
        command = decoder.arguments(*inherited, limits, seconds=seconds, memory_bytes=memory_bytes)
        try:
            self._child = subprocess.Popen(command, pass_fds=inherited, stdin=subprocess.DEVNULL)  # noqa: S603  # our own
        finally:
            theirs.close()
            os.close(memory)
        self._is_ready = False
        self._is_gone = False
        self._owes_look = False

    def decode(self, data: bytes, wanted: Wanted) -> Page:
        self._wait_until_ready()
        self._stream.settimeout(self._seconds + _PATIENCE_SECONDS)
        with self._survived():
            decoder.send(self._stream, asdict(wanted), data)
            most = _HEAD_BYTES + 3 * wanted.width * wanted.height
            page = _page(*decoder.receive(self._stream, at_most=most), self._memory, self._look)
            self._owes_look = wanted.stretched
            return page

    def _look(self) -> Look:
        assert self._owes_look
        with self._survived():
            head, _ = decoder.receive(self._stream, at_most=_HEAD_BYTES)
            self._owes_look = False
            return Look(*map(float, head["look"]))

    @contextmanager
    def _survived(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError, ValueError, LookupError, TypeError) as error:
            how = self._epitaph(error)
            _log.error("a process that decoded an image was lost: %s", how)
            raise ProcessLost(f"{ProcessLost.__doc__} It was lost because {how}.") from error

    def is_free(self) -> bool:
        """Whether it can take another page; nobody asked for the look that it still tells of, perhaps."""
        if self._owes_look and not self._is_gone:
            with suppress(ProcessLost):
                self._look()
        return not self._is_gone

    def _wait_until_ready(self) -> None:
        if self._is_ready:
            return
        self._stream.settimeout(_START_SECONDS)
        try:
            decoder.receive(self._stream, at_most=_HEAD_BYTES)
        except (EOFError, OSError, ValueError) as error:
            _log.error("no process that decodes images can be started: %s", self._epitaph(error))
            raise DecoderUnavailable from error
        self._is_ready = True

    def _epitaph(self, error: Exception) -> str:
        exit_code = self.end()
        if isinstance(error, TimeoutError) or exit_code == -signal.SIGALRM:
            return describe(exit_code, hung(self._seconds))
        made_no_sense = not isinstance(error, (EOFError, OSError))
        return describe(exit_code, "gave an answer that makes no sense" if made_no_sense else "")

    def end(self) -> int:
        """The exit code; of one that is still there, as if it had been killed."""
        self._is_gone = True
        self._stream.close()
        with suppress(subprocess.TimeoutExpired):
            return self._child.wait(_PATIENCE_SECONDS)
        self._child.kill()
        return self._child.wait()


def _page(head: dict[str, Any], pixels: bytearray, memory: mmap.mmap, look: Callable[[], Look]) -> Page:
    """Raises the `ImageError` that the process met; `ValueError`, `LookupError` or `TypeError` where it made no sense."""
    if "error" in head:
        raise _known_error(head["error"])(head["detail"])
    shape = head["shape"]
    shaped = np.frombuffer(pixels or memory, dtype=np.uint8, count=math.prod(shape)).reshape(shape)
    return Page(shaped, int(head["pages"]), look)


def _known_error(name: str) -> type[ImageError]:
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, ImageError):
        return kind
    raise LookupError(f"{name} is no error of images")
