"""Whether items or their worker are to blame for its crashes. Pure: told what happened, it says what follows.

See docs/decisions/0010-broken-workers.md.
"""

from collections.abc import Hashable


class Suspicion:
    """`finished` is always the number of pages that the whole worker has finished since its start."""

    def __init__(self, limit: int) -> None:
        """So many different items in a row make a broken worker."""
        self._limit = limit
        self._in_a_row: set[Hashable] = set()
        self._finished_at_crash = 0
        self.is_broken = False

    def crashed(self, suspect: Hashable, *, is_first: bool, finished: int) -> None:
        """A process died with `suspect` in hand; `is_first` if nothing spoke against that before."""
        if self.is_cleared(finished):
            self._in_a_row.clear()
        self._finished_at_crash = finished
        if is_first:
            self._in_a_row.add(suspect)
        self.is_broken = self.is_broken or len(self._in_a_row) >= self._limit

    def is_cleared(self, finished: int) -> bool:
        """The worker has finished something since the last crash, so it is well, and what crashed it is to blame."""
        return not self.is_broken and finished > self._finished_at_crash
