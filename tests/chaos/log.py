"""The load client's own log: what it sent, what it was promised, what it saw. The verdict is computed from nothing else."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


class Log:
    """One JSON object a line, only ever appended to. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")

    def note(self, event: str, **facts: Any) -> None:
        """`event` happened now; times are seconds on the monotonic clock."""
        line = json.dumps({"at": round(time.monotonic(), 4), "event": event, **facts})
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()

    def entries(self, event: str) -> Iterator[Entry]:
        """What was noted under that name, in order."""
        with self.path.open(encoding="utf-8") as lines:
            yield from (entry for entry in map(json.loads, lines) if entry["event"] == event)

    def close(self) -> None:
        """Note no more."""
        self._file.close()
