"""Work that waits although nobody may know of it: its message was lost, or was never sent.

Redis drops no message to make room, so a queue that nobody empties must not grow for ever, however many sweeps go by.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from store import hints
from store.hints import Work
from store.models import Chunk, Job
from store.queue import CLASSIFY_QUEUE, PLAN_QUEUE
from worker.rules.rule import LIMIT, Tools

_LIMIT_WITH_BACKLOG = 100
_MOST_SPARE = 1000
_MOST = 100_000  # some 125 MB of the 256 that Redis has in docker-compose.yml


class UnsentHints:
    """Two rules, which share what they know of Redis.

    A message is taken for lost when nobody has followed it for `hint_seconds`. Where Redis was away or has lost what it held,
    all are: whatever waits is announced as soon as Redis is back, however lately that was tried.
    """

    def __init__(self) -> None:
        self._plans = _Hints(Job, PLAN_QUEUE)
        self._chunks = _Hints(Chunk, CLASSIFY_QUEUE)

    def announce_plans(self, tools: Tools) -> int:
        """Announce jobs that wait to be planned."""
        return self._announce(self._plans, tools, tools.queue.plan_jobs)

    def announce_chunks(self, tools: Tools) -> int:
        """Announce chunks that wait to be classified."""
        return self._announce(self._chunks, tools, tools.queue.classify_chunks)

    def _announce(self, kind: "_Hints", tools: Tools, send: Callable[..., None]) -> int:
        with kind.distrusted_until_sent():
            if tools.queue.has_lost_messages():
                self._plans.are_lost = self._chunks.are_lost = True
            recovered = _announce_recovered(kind, tools, send)
            due = _take_due(kind, tools, recovered)
            send(due)
        return len(recovered) + len(due)


class _Hints:
    """One kind of work, and whether its messages were lost, as far as the sweep knows."""

    def __init__(self, work: Work, queue: str) -> None:
        self.work, self.queue = work, queue
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


def _announce_recovered(kind: _Hints, tools: Tools, send: Callable[..., None]) -> Sequence[UUID]:
    """What was taken from lost workers, ahead of all else, and however long the queue is: each was in somebody's hands."""
    with tools.database.transaction() as session:
        recovered = hints.unannounced(session, kind.work, limit=LIMIT)
    send(recovered, ahead=True)
    return recovered


def _take_due(kind: _Hints, tools: Tools, recovered: Sequence[UUID]) -> Sequence[UUID]:
    hint_seconds = 0.0 if kind.are_lost else tools.settings.hint_seconds
    backlog = tools.queue.backlog(kind.queue)
    with tools.database.transaction() as session:
        hints.note_announced(session, kind.work, recovered)
        room = _room(backlog, hints.count_waiting(session, kind.work))
        return hints.due(session, kind.work, hint_seconds=hint_seconds, limit=room)


def _room(backlog: int, waiting: int) -> int:
    """How many messages may be sent, where `backlog` messages are in the queue for `waiting` rows.

    As many as are missing. A few even where none is, since a queue that is never empty must not hide a chunk whose message was
    lost behind messages of others that were sent twice. Each of those costs a claim that fails; so there are never more than
    `_MOST_SPARE` of them, until a worker has taken some away.
    """
    missing = waiting - backlog
    wanted = min(max(missing, _LIMIT_WITH_BACKLOG), LIMIT)
    return max(0, min(wanted, missing + _MOST_SPARE, _MOST - backlog))
