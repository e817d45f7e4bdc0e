"""`python -m tests.api.deadly_decoder`: a decoder that some files kill. In a module of its own: it is a process of its own."""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from inference import decoder, images, look
from inference.images import Document, ImageLimits
from inference.look import Look
from inference.preprocess import Prepared

DEADLY_TO_LOOK_AT = (13, 17)


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


def _measure(page: Prepared) -> Look:
    if (page.width, page.height) == DEADLY_TO_LOOK_AT:
        os.kill(os.getpid(), signal.SIGKILL)
    return look.measure(page)


if __name__ == "__main__":
    decoder.open_document, decoder.measure = _open, _measure
    decoder.main()
