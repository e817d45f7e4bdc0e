"""A worker that one item kills. In a module of its own: spawned processes import it by name."""

import os
import signal

from penpress.local_worker import LocalItem, LocalWorker
from penpress.results import Result


class LethalWorker(LocalWorker):
    """Dies of the item called `lethal.png`, as a decoder that crashes would."""

    def classify(self, item: LocalItem) -> list[Result]:
        """Classify `item` or be killed."""
        if item.name == "lethal.png":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().classify(item)
