"""Worker processes that are really killed."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable

import pytest

from store.database import Database
from store.settings import Settings
from store.states import ChunkState, JobState
from tests.pictures import png
from tests.worker.conftest import HandQueue
from tests.worker.looks import read_chunks, read_job, read_rows, wait_until
from worker.classify import classify_chunk
from worker.housekeeping import Sweep
from worker.plan import plan_job
from worker.runtime import Runtime

Submit = Callable[..., uuid.UUID]


@pytest.fixture
def start_worker(settings: Settings) -> Callable[..., subprocess.Popen[str]]:
    """Start a process that claims the chunk, renews its lease, and hangs in the middle of its work."""
    environment = os.environ | {
        "PENPRESS_HOME": str(settings.home),
        "PENPRESS_DATABASE_URL": str(settings.database_url),
        "PENPRESS_REDIS_URL": str(settings.redis_url),
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        "PENPRESS_LEASE_SECONDS": "1",
        "PENPRESS_HEARTBEAT_SECONDS": "0.2",
    }

    def start_worker(chunk_id: uuid.UUID, **more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.worker.deadly_worker", str(chunk_id)]
        process = subprocess.Popen(command, env=environment | more, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout
        if process.stdout.readline() != "claimed\n":
            pytest.fail(process.communicate()[1])
        return process

    return start_worker


def test_a_killed_workers_chunk_is_finished_by_another_with_one_row_for_each_item(
    runtime: Runtime,
    settings: Settings,
    submit: Submit,
    hand_queue: HandQueue,
    database: Database,
    start_worker: Callable[..., subprocess.Popen[str]],
) -> None:
    job_id = submit({"a.png": png(), "b.png": png()})
    plan_job(runtime, job_id)
    chunk_id = hand_queue.chunks.pop()
    with start_worker(chunk_id) as worker:
        worker.kill()
    assert read_chunks(database, job_id)[0].state == ChunkState.LEASED

    sweep = Sweep(settings, database, hand_queue)  # type: ignore[arg-type]  # stands in for a Queue
    wait_until(lambda: sweep.run_once() or bool(hand_queue.chunks))
    assert hand_queue.chunks == [chunk_id]
    classify_chunk(runtime, chunk_id)
    job = read_job(database, job_id)
    assert (job.state, job.total, job.succeeded) == (JobState.COMPLETED, 2, 2)
    assert [row.file for row in read_rows(database, job_id)] == ["a.png", "b.png"]
    assert read_chunks(database, job_id)[0].attempt == 2


def test_a_page_that_hangs_its_worker_ends_that_process(
    runtime: Runtime,
    submit: Submit,
    hand_queue: HandQueue,
    database: Database,
    start_worker: Callable[..., subprocess.Popen[str]],
) -> None:
    job_id = submit({"a.png": png()})
    plan_job(runtime, job_id)
    with start_worker(hand_queue.chunks.pop(), PENPRESS_PAGE_SECONDS="0.5") as worker:
        _, log = worker.communicate(timeout=20)
    assert worker.returncode == -signal.SIGKILL
    assert "hung this worker process" in log
    assert read_chunks(database, job_id)[0].state == ChunkState.LEASED  # until the sweep finds that nobody renews it
