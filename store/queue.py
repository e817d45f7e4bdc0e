"""Messages on Redis: their names, and one typed function to send each. A message is a hint and carries an id, nothing else.

Losing one costs time, never work: the sweep announces again whatever the rows say is due.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Iterable
from functools import partial
from queue import SimpleQueue
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from store.settings import Settings

PLAN_JOB = "plan_job"
CLASSIFY_CHUNK = "classify_chunk"

PLAN_QUEUE = "plan"
CLASSIFY_QUEUE = "classify"

# The smaller number goes first, whatever queue it is in. Kombu keeps a list for each of 0, 3, 6 and 9.
_AHEAD_PRIORITY = 0
_USUAL_PRIORITY = 3

_Send = Callable[[Iterable[uuid.UUID]], None]
_ROUTES = {PLAN_JOB: {"queue": PLAN_QUEUE}, CLASSIFY_CHUNK: {"queue": CLASSIFY_QUEUE}}
_log = logging.getLogger(__name__)


class QueueNotConfigured(Exception):
    """PENPRESS_REDIS_URL is not set; start everything with `penpress up`, or name a Redis."""


def make_celery(settings: Settings) -> Celery:
    """The Celery app that workers run and senders publish with. Raises `QueueNotConfigured`."""
    if not settings.redis_url:
        raise QueueNotConfigured(QueueNotConfigured.__doc__)
    app = Celery("penpress", broker=settings.redis_url, set_as_current=False)
    app.conf.update(
        task_routes=_ROUTES,
        task_acks_late=True,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        accept_content=["json"],
        task_serializer="json",
        worker_prefetch_multiplier=1,
        worker_proc_alive_timeout=60,  # a pool process loads a model before it answers
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_acquire_timeout=5,
        broker_transport_options={
            "socket_timeout": 5,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 10,
            # Not a recovery bound: a short one runs one task several times at once. Leases recover.
            "visibility_timeout": 3600,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
        },
    )
    return app


class Queue:
    """Sends hints, and says how many wait."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery

    @classmethod
    def from_settings(cls, settings: Settings) -> "Queue":
        """Raises `QueueNotConfigured`."""
        return cls(make_celery(settings))

    def plan_jobs(self, job_ids: Iterable[uuid.UUID], *, ahead: bool = False) -> None:
        """Ask some worker to plan each job; `ahead` of what waits, where a worker had begun with it and was lost."""
        self._send(PLAN_JOB, job_ids, ahead=ahead)

    def classify_chunks(self, chunk_ids: Iterable[uuid.UUID], *, ahead: bool = False) -> None:
        """Ask some worker to classify each chunk; `ahead` as in `plan_jobs`."""
        self._send(CLASSIFY_CHUNK, chunk_ids, ahead=ahead)

    def backlog(self, queue: str) -> int:
        """Messages that wait in `queue`, of every priority. Raises kombu's `OperationalError` or redis-py's errors."""
        with self._celery.connection_for_read() as connection:
            return int(connection.default_channel.queue_declare(queue).message_count)

    def has_lost_messages(self) -> bool:
        """Whether Redis has lost what it held, messages too, since this was asked last; true when first asked of a new Redis.

        Raises as `backlog` does.
        """
        with self._celery.connection_for_read() as connection:
            return bool(connection.default_channel.client.set("penpress.kept", "", nx=True))

    def ping(self) -> None:
        """Raises when Redis does not answer."""
        self.backlog(CLASSIFY_QUEUE)

    def _send(self, name: str, ids: Iterable[uuid.UUID], *, ahead: bool) -> None:
        priority = _AHEAD_PRIORITY if ahead else _USUAL_PRIORITY
        with self._celery.producer_or_acquire() as producer:
            for identifier in ids:
                self._celery.send_task(name, args=[str(identifier)], producer=producer, priority=priority, retry=False)


class LateSender:
    """Sends hints from a thread of its own, after the answer: a Redis that hangs must not hold up a request.

    Nor the process's end, so the thread is a daemon, which those of an executor are not.
    """

    _MAX_WAITING = 1000

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._waiting: SimpleQueue[tuple[_Send, list[uuid.UUID]] | None] = SimpleQueue()
        self._places = threading.Semaphore(self._MAX_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def plan_job(self, job_id: uuid.UUID, *, ahead: bool = False) -> None:
        """Hand the hint over and return at once. Past a thousand waiting hints it is dropped: the sweep finds the row."""
        self._hand_over(partial(self._queue.plan_jobs, ahead=ahead), [job_id])

    def classify_chunks(self, chunk_ids: Iterable[uuid.UUID], *, ahead: bool = False) -> None:
        """As `plan_job`."""
        self._hand_over(partial(self._queue.classify_chunks, ahead=ahead), list(chunk_ids))

    def close(self) -> None:
        """Send what waits no more."""
        self._is_closed = True
        self._waiting.put(None)

    def _hand_over(self, send: _Send, ids: list[uuid.UUID]) -> None:
        if ids and self._places.acquire(blocking=False):
            self._waiting.put((send, ids))
            self._start()

    def _start(self) -> None:
        """At the first hint, since threads do not survive a fork."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hints", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (hint := self._waiting.get()) is not None and not self._is_closed:
            self._try(*hint)
            self._places.release()

    def _try(self, send: _Send, ids: list[uuid.UUID]) -> None:
        try:
            send(ids)
        except (OperationalError, RedisError, OSError) as error:
            _log.warning("hint not sent, the sweep will: %s", error)
        except Exception:
            _log.exception("hint not sent, the sweep will")


def task_names() -> dict[str, Any]:
    """Every message name with its route, for the test that each has a task."""
    return dict(_ROUTES)
