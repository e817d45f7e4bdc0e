"""`python -m tests.worker.deadly_worker CHUNK`: a worker process that claims a chunk, says so, and hangs."""

import sys
import threading
import uuid
from collections.abc import Iterator

from inference import items
from inference.items import PreparedPage
from store.settings import Settings
from worker.classify import classify_chunk
from worker.runtime import Runtime


def _hang(*_: object) -> Iterator[PreparedPage]:
    sys.stdout.write("claimed\n")
    sys.stdout.flush()
    threading.Event().wait()
    yield from ()


if __name__ == "__main__":
    items.prepare_pages = _hang  # type: ignore[assignment]  # whatever it is given, it hangs
    classify_chunk(Runtime.from_settings(Settings()), uuid.UUID(sys.argv[1]))
