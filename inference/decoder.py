"""`python -m inference.decoder SOCKET MEMORY OPTIONS`: a process that decodes pages for another one, so that an image that
hangs or crashes its decoder takes down nothing but this.

It answers one request after another over a socket: JSON that says what is wanted, then the file's bytes; back comes JSON, and
the page's pixels lie in memory that both share, or come too where that is too small. How a stretched page looks comes in a
message after it, so that the model can start before that is known. Nothing is pickled. The kernel ends the process when one
page takes too long, whatever holds Python's lock; it ends by itself when the other side is gone.
"""

import fcntl
import json
import mmap
import os
import signal
import socket
import sys
import tempfile
from dataclasses import asdict, astuple, dataclass
from typing import Any

import numpy as np
from PIL import Image

from inference.errors import ImageError, NotEnoughMemory
from inference.images import ImageLimits, open_document
from inference.look import measure
from inference.memory import limit_memory
from inference.preprocess import Pixels, Prepared, stretched

_LENGTH_BYTES = 8
_SHARED_BYTES = 16 * 1024**2  # none of it is taken up before it is written to
READY = {"ready": True}
"""What it says before the first request."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A page, by its number from 1: of `width` x `height` pixels, and how it looks, if it is `stretched`; else no larger."""

    page: int
    width: int
    height: int
    stretched: bool


def serve(stream: socket.socket, memory: mmap.mmap, limits: ImageLimits, *, seconds: float) -> None:
    """Answer until the other side is gone."""
    send(stream, READY, b"")
    while True:
        try:
            wanted, data = receive(stream)
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_REAL, seconds)
        head, pixels = _answer(Wanted(**wanted), data, limits)
        _send_page(stream, memory, head, pixels)
        if "width" in head:
            send(stream, {"look": astuple(measure(Prepared(pixels, head["width"], head["height"])))}, b"")
        signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(wanted: Wanted, data: bytearray, limits: ImageLimits) -> tuple[dict[str, Any], Pixels]:
    try:
        return _decode(wanted, bytes(data), limits)
    except MemoryError:
        error: ImageError = NotEnoughMemory()
    except ImageError as refusal:
        error = refusal
    return {"error": type(error).__name__, "detail": str(error)}, np.empty(0, dtype=np.uint8)


def _decode(wanted: Wanted, data: bytes, limits: ImageLimits) -> tuple[dict[str, Any], Pixels]:
    """The size that a page had before is told where that is not the size of what is sent."""
    size = (wanted.width, wanted.height)
    with open_document(data, limits) as document:
        image = document.page(wanted.page, at_least=size)
        pages = document.page_count
    if wanted.stretched:
        pixels = stretched(image, *size)
        return {"pages": pages, "shape": pixels.shape, "width": image.width, "height": image.height}, pixels
    image.thumbnail(size)
    pixels = np.asarray(image, dtype=np.uint8)
    return {"pages": pages, "shape": pixels.shape}, pixels


def _send_page(stream: socket.socket, memory: mmap.mmap, head: dict[str, Any], pixels: Pixels) -> None:
    data = np.ascontiguousarray(pixels).data.cast("B")
    if len(data) <= len(memory):
        memory[: len(data)] = data
        data = data[:0]
    send(stream, head, data)


def send(stream: socket.socket, head: dict[str, Any], data: bytes | bytearray | memoryview) -> None:
    """One message. Raises `OSError`, and `TimeoutError` among these."""
    text = json.dumps(head).encode()
    stream.sendall(len(text).to_bytes(_LENGTH_BYTES, "big") + len(data).to_bytes(_LENGTH_BYTES, "big") + text)
    stream.sendall(data)


def receive(stream: socket.socket, *, at_most: int | None = None) -> tuple[dict[str, Any], bytearray]:
    """One message. Raises `EOFError` where the other side is gone, `ValueError` where it sends what nobody expects, and
    `OSError`.
    """
    lengths = _exactly(stream, 2 * _LENGTH_BYTES)
    text, data = (int.from_bytes(part, "big") for part in (lengths[:_LENGTH_BYTES], lengths[_LENGTH_BYTES:]))
    if at_most is not None and text + data > at_most:
        raise ValueError(f"a message of {text + data} bytes")
    return json.loads(_exactly(stream, text)), _exactly(stream, data)


def _exactly(stream: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    left = memoryview(data)
    while left:
        read = stream.recv_into(left)
        if not read:
            raise EOFError
        left = left[read:]
    return data


def share_memory() -> int:
    """The descriptor of memory for a page's pixels, which nobody can make smaller under the eyes of the other one."""
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile() as file:
            file.truncate(_SHARED_BYTES)
            return os.dup(file.fileno())
    descriptor = os.memfd_create("pixels", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.truncate(descriptor, _SHARED_BYTES)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return descriptor


def main() -> None:
    """Serve the socket that was inherited."""
    descriptor, memory, options = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    for number in (signal.SIGINT, signal.SIGTERM):  # it ends with its parent, who may still have an answer to give
        signal.signal(number, signal.SIG_IGN)
    limit_memory(options["memory_bytes"])
    Image.init()  # all that Pillow imports late
    with socket.socket(fileno=descriptor) as stream, mmap.mmap(memory, _SHARED_BYTES) as shared:
        try:
            serve(stream, shared, ImageLimits(**options["limits"]), seconds=options["seconds"])
        except ConnectionError:
            return


def arguments(descriptor: int, memory: int, limits: ImageLimits, *, seconds: float, memory_bytes: int) -> list[str]:
    """With what to start it."""
    options = {"limits": asdict(limits), "seconds": seconds, "memory_bytes": memory_bytes}
    return [sys.executable, "-m", "inference.decoder", str(descriptor), str(memory), json.dumps(options)]


if __name__ == "__main__":
    main()
