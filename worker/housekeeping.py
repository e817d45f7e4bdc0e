"""The sweep: every few seconds it finds what was lost and announces it again. `python -m worker.housekeeping`.

Rows are the truth: whether Redis was flushed, a worker killed or a message dropped, the rows say what is due. One sweep works
at a time, under an advisory lock, however many are running.
"""

import logging
import signal
import threading
import uuid
from types import FrameType

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from store import chunks, jobs
from store.database import Database
from store.locks import try_sweep_lock
from store.queue import Queue
from store.settings import Settings

_LIMIT = 1000
_LIMIT_WITH_BACKLOG = 100
_log = logging.getLogger(__name__)


class Sweep:
    """The rules, each one a small transaction."""

    def __init__(self, settings: Settings, database: Database, queue: Queue) -> None:
        self._settings, self._database, self._queue = settings, database, queue

    def run_once(self) -> None:
        """Apply every rule, if no other sweep is at it."""
        with self._database.transaction() as session:
            if not try_sweep_lock(session):
                return
            recovered = self._recover_expired_chunks()
            self._close_finished_jobs()
            # Messages last: a Redis that is down must not keep rows from being put right.
            self._queue.classify_chunks(recovered)
            self._announce_plans()
            self._announce_chunks()

    def _recover_expired_chunks(self) -> list[uuid.UUID]:
        """The chunks to announce."""
        with self._database.transaction() as session:
            expired = chunks.expired_chunks(session, limit=_LIMIT)
        due: list[uuid.UUID] = []
        for chunk_id in expired:
            with self._database.transaction() as session:
                due += chunks.recover_chunk(session, chunk_id, max_attempts=self._settings.max_attempts)
            _log.warning("chunk %s was taken from a silent worker", chunk_id)
        return due

    def _close_finished_jobs(self) -> None:
        with self._database.transaction() as session:
            unclosed = jobs.unclosed_jobs(session, limit=_LIMIT)
        for job_id in unclosed:
            with self._database.transaction() as session:
                jobs.close_if_done(session, job_id)

    def _announce_plans(self) -> None:
        with self._database.transaction() as session:
            due = jobs.due_plans(session, hint_seconds=self._settings.hint_seconds, limit=_LIMIT)
        self._queue.plan_jobs(due)

    def _announce_chunks(self) -> None:
        """A few while messages wait, among which a ready chunk's own probably is: one too many costs a claim that fails, but a
        queue that is never empty must not hide a chunk whose message was lost. Many once the queue has run dry.
        """
        limit = _LIMIT_WITH_BACKLOG if self._queue.backlog() > 0 else _LIMIT
        with self._database.transaction() as session:
            due = chunks.due_chunks(session, hint_seconds=self._settings.hint_seconds, limit=limit)
        self._queue.classify_chunks(due)


def main() -> None:
    """Sweep until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = Settings()
    sweep = Sweep(settings, Database.from_settings(settings, pool_size=2), Queue.from_settings(settings))
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not stopped.is_set():
        try:
            sweep.run_once()
        except (SQLAlchemyError, RedisError, OperationalError, OSError) as error:
            _log.warning("sweep cut short, will try again: %s", error)
        stopped.wait(settings.sweep_seconds)


if __name__ == "__main__":
    main()
