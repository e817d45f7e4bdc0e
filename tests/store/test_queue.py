import contextlib
import logging
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu import Consumer, Message
from kombu import Queue as KombuQueue
from redis.exceptions import ConnectionError as RedisConnectionError

from store import queue
from store.database import Database, DatabaseNotConfigured
from store.queue import CLASSIFY_CHUNK, PLAN_JOB, LateSender, Queue, QueueNotConfigured, make_celery, task_names
from store.settings import Settings
from worker import tasks

ROOT = Path(__file__).parents[2]


def finish(sender: LateSender) -> None:
    """Wait until it has sent what waits."""
    assert sender._thread
    sender._waiting.put(None)
    sender._thread.join()


@pytest.fixture
def hanging_redis() -> Iterator[str]:
    """The address of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_every_message_has_a_task_and_a_queue(celery: Celery) -> None:
    tasks.register(celery)
    ours = {name for name in celery.tasks if not name.startswith("celery.")}
    names = {
        value for name, value in vars(queue).items() if name.isupper() and isinstance(value, str) and not name.endswith("QUEUE")
    }
    assert ours == set(task_names()) == names == {PLAN_JOB, CLASSIFY_CHUNK}
    assert {route["queue"] for route in task_names().values()} == {queue.PLAN_QUEUE, queue.CLASSIFY_QUEUE}


def test_messages_reach_their_queues_and_carry_ids_only(celery: Celery) -> None:
    job_id, chunk_id = uuid.uuid4(), uuid.uuid4()
    sender = Queue(celery)
    sender.plan_jobs([job_id])
    sender.classify_chunks([chunk_id])
    with celery.connection_for_read() as connection:
        for name, identifier in ((queue.PLAN_QUEUE, job_id), (queue.CLASSIFY_QUEUE, chunk_id)):
            message = connection.SimpleQueue(name).get(timeout=5)
            message.ack()
            assert (message.content_type, message.payload[0]) == ("application/json", [str(identifier)])


def test_what_was_taken_from_a_lost_worker_goes_ahead_of_what_waits(celery: Celery) -> None:
    usual, recovered = [uuid.uuid4() for _ in range(200)], [uuid.uuid4(), uuid.uuid4()]
    sender = Queue(celery)
    sender.classify_chunks(usual)
    sender.classify_chunks(recovered, ahead=True)
    assert consume_all(celery) == [str(identifier) for identifier in recovered + usual]


def test_what_was_taken_from_a_lost_worker_goes_ahead_of_the_other_queue_too_and_else_the_queues_take_turns(
    celery: Celery,
) -> None:
    jobs, chunks = [uuid.uuid4(), uuid.uuid4()], [uuid.uuid4(), uuid.uuid4()]
    recovered_job, recovered_chunk = uuid.uuid4(), uuid.uuid4()
    sender = Queue(celery)
    sender.plan_jobs(jobs)
    sender.classify_chunks(chunks)
    sender.plan_jobs([recovered_job], ahead=True)
    sender.classify_chunks([recovered_chunk], ahead=True)
    order = consume_all(celery)
    assert set(order[:2]) == {str(recovered_job), str(recovered_chunk)}
    assert [identifier in map(str, jobs) for identifier in order[2:]] in ([True, False] * 2, [False, True] * 2)


def consume_all(celery: Celery) -> list[str]:
    """The ids in the order in which a worker of both queues gets them, one at a time."""
    order: list[str] = []

    def take(body: Any, message: Message) -> None:
        order.append(body[0][0])
        message.ack()

    queues = [KombuQueue(name) for name in (queue.PLAN_QUEUE, queue.CLASSIFY_QUEUE)]
    with (
        celery.connection_for_read() as connection,
        Consumer(connection, queues, callbacks=[take], prefetch_count=1),
        contextlib.suppress(TimeoutError),
    ):
        while True:
            connection.drain_events(timeout=1)
    return order


def test_the_backlog_counts_what_waits(celery: Celery) -> None:
    sender = Queue(celery)
    assert sender.backlog(queue.CLASSIFY_QUEUE) == 0
    sender.classify_chunks([uuid.uuid4(), uuid.uuid4()])
    sender.classify_chunks([uuid.uuid4()], ahead=True)
    sender.plan_jobs([uuid.uuid4()])
    assert (sender.backlog(queue.CLASSIFY_QUEUE), sender.backlog(queue.PLAN_QUEUE)) == (3, 1)


def test_a_redis_that_lost_what_it_held_is_found_out_once(celery: Celery) -> None:
    sender = Queue(celery)
    assert sender.has_lost_messages()  # it has never been asked
    assert not sender.has_lost_messages()
    sender.plan_jobs([uuid.uuid4()])
    assert not sender.has_lost_messages()
    with celery.connection_for_write() as connection:
        connection.default_channel.client.flushall()
    assert sender.has_lost_messages()
    assert not sender.has_lost_messages()


def test_losing_a_worker_or_its_connection_costs_no_message() -> None:
    configuration = make_celery(Settings(redis_url="redis://localhost")).conf
    assert configuration.task_acks_late
    assert configuration.task_ignore_result
    assert configuration.worker_prefetch_multiplier == 1
    assert configuration.accept_content == ["json"]
    assert configuration.broker_transport_options["visibility_timeout"] >= 3600


def test_services_that_are_not_configured_say_so() -> None:
    with pytest.raises(QueueNotConfigured, match="PENPRESS_REDIS_URL"):
        Queue.from_settings(Settings(redis_url=None))
    with pytest.raises(DatabaseNotConfigured, match="PENPRESS_DATABASE_URL"):
        Database.from_settings(Settings(database_url=None))


def test_a_hint_is_sent_behind_the_answer(celery: Celery) -> None:
    sender = LateSender(Queue(celery))
    sender.plan_job(uuid.uuid4())
    finish(sender)
    assert Queue(celery).backlog(queue.PLAN_QUEUE) == 1


def test_a_redis_that_hangs_holds_up_nobody(hanging_redis: str) -> None:
    sender = LateSender(Queue.from_settings(Settings(redis_url=hanging_redis)))
    with contextlib.closing(sender):
        before = time.monotonic()
        for _ in range(LateSender._MAX_WAITING + 500):
            sender.plan_job(uuid.uuid4())
        assert time.monotonic() - before < 2  # one publish alone waits for seconds


class StuckQueue:
    """Sends nothing before it is told to, and then as told."""

    def __init__(self, raised: Exception | None = None) -> None:
        self.go_on = threading.Event()
        self.sent: list[uuid.UUID] = []
        self._raised = raised

    def plan_jobs(self, job_ids: list[uuid.UUID], *, ahead: bool) -> None:
        self.go_on.wait()
        if self._raised:
            raise self._raised
        self.sent += job_ids


def test_past_a_thousand_waiting_hints_they_are_dropped_and_later_ones_sent_again() -> None:
    stuck = StuckQueue()
    sender = LateSender(stuck)  # type: ignore[arg-type]  # stands in for a Queue
    for _ in range(LateSender._MAX_WAITING + 10):
        sender.plan_job(uuid.uuid4())
    stuck.go_on.set()
    while len(stuck.sent) < LateSender._MAX_WAITING:
        time.sleep(0.001)
    sender.plan_job(uuid.uuid4())
    finish(sender)
    assert len(stuck.sent) == LateSender._MAX_WAITING + 1


def test_a_hint_that_cannot_be_sent_is_logged_and_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    broken = StuckQueue(RedisConnectionError("refused"))
    broken.go_on.set()
    sender = LateSender(broken)  # type: ignore[arg-type]  # stands in for a Queue
    with caplog.at_level(logging.WARNING):
        sender.plan_job(uuid.uuid4())
        finish(sender)
    assert "the sweep will" in caplog.text


def test_a_process_ends_at_once_while_a_hint_hangs(hanging_redis: str) -> None:
    program = (
        "import uuid; from store.queue import LateSender, Queue; from store.settings import Settings; "
        f"sender = LateSender(Queue.from_settings(Settings(redis_url={hanging_redis!r}))); "
        "sender.plan_job(uuid.uuid4()); sender.close(); import time; print(time.time(), flush=True)"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60)
    assert time.time() - float(child.stdout) < 3  # a publish waits for five
