"""`python -m tests.api.deadly_decoder`: a decoder that some files kill. In a module of its own: it is a process of its own."""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from inference import decoder, images
from inference.images import Document, ImageLimits


@contextmanager
def _open(data: bytes, limits: ImageLimits) -> Iterator[Document]:
    if data == b"hang in C":
        ctypes.PyDLL(None).sleep(3600)  # keeps Python's lock, so that no thread of this process runs
    if data == b"crash":
        ctypes.string_at(0)
    if data == b"freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    if data == b"hoard":
        bytearray(8 * 1024**3)
    if data == b"babble":
        os.write(int(sys.argv[1]), bytes(1024))
    with images.open_document(data, limits) as document:
        yield document


if __name__ == "__main__":
    decoder.open_document = _open
    decoder.main()
