"""What a worker's parent sends when it has seen one of its processes die."""

import os
import uuid
from collections.abc import Callable

import pytest
from celery import Celery

from store import chunks, planning
from store.base import new_id
from store.database import Database
from store.queue import CLASSIFY_CHUNK, CLASSIFY_QUEUE, PLAN_JOB, PLAN_QUEUE, Queue
from store.settings import Settings
from tests.pictures import png
from tests.worker.conftest import HandQueue
from tests.worker.looks import wait_until
from worker.marks import Mark
from worker.plan import plan_job
from worker.runtime import Runtime
from worker.watch import Watch

Submit = Callable[..., uuid.UUID]


@pytest.fixture
def a_chunk(runtime: Runtime, submit: Submit, hand_queue: HandQueue) -> uuid.UUID:
    plan_job(runtime, submit({"a.png": png()}))
    return hand_queue.chunks.pop()


def die(settings: Settings, work: str, identifier: uuid.UUID, token: uuid.UUID) -> None:
    """A process of the pool dies, with no item in hand, before its parent's eyes."""
    watch = Watch(settings, lambda: None)
    Mark.open(watch.folder).begin(work, identifier, token)
    watch.note_death(os.getpid(), -9)
    watch.start()
    wait_until(lambda: not (watch.folder / str(os.getpid())).exists())
    watch.stop()


def test_the_chunk_of_a_process_that_died_is_the_next_to_be_consumed(
    settings: Settings, celery: Celery, database: Database, a_chunk: uuid.UUID
) -> None:
    token = new_id()
    with database.transaction() as session:
        assert chunks.claim_chunk(session, a_chunk, lease_seconds=60, token=token)
    queue = Queue(celery)
    queue.classify_chunks(new_id() for _ in range(200))
    die(settings, CLASSIFY_CHUNK, a_chunk, token)
    wait_until(lambda: queue.backlog(CLASSIFY_QUEUE) == 201)
    assert next_in(celery, CLASSIFY_QUEUE) == str(a_chunk)


def test_the_job_of_a_planner_that_died_is_the_next_to_be_consumed(
    settings: Settings, celery: Celery, database: Database, submit: Submit
) -> None:
    job_id, token = submit({"a.png": png()}), new_id()
    with database.transaction() as session:
        assert planning.begin_planning(session, job_id, lease_seconds=60, token=token)
    queue = Queue(celery)
    queue.plan_jobs(new_id() for _ in range(200))
    die(settings, PLAN_JOB, job_id, token)
    wait_until(lambda: queue.backlog(PLAN_QUEUE) == 201)
    assert next_in(celery, PLAN_QUEUE) == str(job_id)


def next_in(celery: Celery, name: str) -> str:
    with celery.connection_for_read() as connection:
        message = connection.SimpleQueue(name).get(timeout=5)
        message.ack()
        return str(message.payload[0][0])
