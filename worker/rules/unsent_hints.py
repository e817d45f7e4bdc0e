"""Work that waits although nobody may know of it: its message was lost, or was never sent."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from store import chunks, planning
from worker.rules.rule import LIMIT, Tools

_LIMIT_WITH_BACKLOG = 100


class UnsentHints:
    """Two rules, which share what they know of Redis.

    A message is taken for lost when nobody has followed it for `hint_seconds`. Where Redis was away or has lost what it held,
    all are: whatever waits is announced as soon as Redis is back, however lately that was tried.
    """

    def __init__(self) -> None:
        self._plans = _Hints()
        self._chunks = _Hints()

    def announce_plans(self, tools: Tools) -> int:
        """Announce jobs that wait to be planned."""
        return self._announce(self._plans, tools, planning.due_plans, tools.queue.plan_jobs, limit=lambda: LIMIT)

    def announce_chunks(self, tools: Tools) -> int:
        """Announce chunks that wait to be classified.

        A few while messages wait, among which a ready chunk's own probably is: one too many costs a claim that fails, but a
        queue that is never empty must not hide a chunk whose message was lost. Many once the queue has run dry.
        """

        def limit() -> int:
            return _LIMIT_WITH_BACKLOG if tools.queue.backlog() > 0 else LIMIT

        return self._announce(self._chunks, tools, chunks.due_chunks, tools.queue.classify_chunks, limit=limit)

    def _announce(
        self,
        hints: "_Hints",
        tools: Tools,
        find_due: Callable[..., Sequence[UUID]],
        send: Callable[[Sequence[UUID]], None],
        *,
        limit: Callable[[], int],
    ) -> int:
        with hints.distrusted_until_sent():
            if tools.queue.has_lost_messages():
                self._plans.are_lost = self._chunks.are_lost = True
            hint_seconds = 0.0 if hints.are_lost else tools.settings.hint_seconds
            most = limit()
            with tools.database.transaction() as session:
                due = find_due(session, hint_seconds=hint_seconds, limit=most)
            send(due)
        return len(due)


class _Hints:
    """Whether the messages of one kind were lost, as far as the sweep knows."""

    def __init__(self) -> None:
        self.are_lost = False

    @contextmanager
    def distrusted_until_sent(self) -> Iterator[None]:
        """Unless the block ends well, the next sweep starts over."""
        try:
            yield
        except BaseException:
            self.are_lost = True
            raise
        self.are_lost = False
