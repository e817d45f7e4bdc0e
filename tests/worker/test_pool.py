"""A real Celery worker whose processes really die, without a sweep: what its parent sees it gives back itself."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from celery import Celery

from store import faults
from store.database import Database
from store.queue import Queue
from store.settings import Settings
from store.states import ChunkState, JobState
from tests.pictures import png, zip_of
from tests.worker.looks import read_chunks, read_job, read_rows, wait_until
from worker.runtime import Runtime

Submit = Callable[..., uuid.UUID]
StartWorker = Callable[..., subprocess.Popen[bytes]]

Send = Callable[[dict[str, bytes]], uuid.UUID]

ENDINGS = {
    "segfault": ("worker_lost", "it was killed by SIGSEGV."),
    "abort": ("worker_lost", "it was killed by SIGABRT."),
    "exit": ("worker_lost", "it ended with exit code 3."),
    "kill": ("worker_lost", "it was killed by SIGKILL."),
    "memory": ("not_enough_memory", "There was not enough memory to decode the image."),
    "exception": ("worker_lost", "it raised InjectedFault."),
    "system_exit": ("worker_lost", "it ended with exit code 3."),
    "hang": ("worker_lost", "it hung for more than 3 seconds."),
    "hang_in_c": ("worker_lost", "it hung for more than 3 seconds."),
}
HANGING = ("hang", "hang_in_c")
QUICK = tuple(kind for kind in ENDINGS if kind not in HANGING)


@pytest.fixture
def armed(tmp_path: Path) -> Path:
    """The folder of faults."""
    folder = tmp_path / "faults"
    (folder / "fired").mkdir(parents=True)
    return folder


@pytest.fixture
def start_worker(settings: Settings, armed: Path, celery: Celery, tmp_path: Path) -> Iterator[StartWorker]:
    """A worker of one process; its log is in `worker.log`."""
    started: list[subprocess.Popen[bytes]] = []
    quick = {
        "PENPRESS_HOME": str(settings.home),
        "PENPRESS_DATABASE_URL": str(settings.database_url),
        "PENPRESS_REDIS_URL": str(settings.redis_url),
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        "PENPRESS_FAULTS": str(armed),
        "PENPRESS_HEARTBEAT_SECONDS": "0.5",
        "PENPRESS_MODEL_POLL_SECONDS": "0.2",
        "PENPRESS_BROKEN_WORKER_PAUSE_SECONDS": "0",
        "PENPRESS_WORKER_MEMORY_BYTES": str(1024**3),
    }

    def start_worker(**changes: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "celery", "-A", "worker.app", "worker", "--concurrency", "1"]
        quiet = ["--queues", "plan,classify", "--without-mingle", "--without-gossip", "--loglevel", "WARNING"]
        with (tmp_path / "worker.log").open("wb") as log:
            environment = os.environ | quick | changes
            worker = subprocess.Popen([*command, *quiet], env=environment, stdout=log, stderr=log, start_new_session=True)
        started.append(worker)
        return worker

    yield start_worker
    for worker in started:
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


@pytest.fixture
def send(submit: Submit, celery: Celery) -> Send:
    """Submit images in one archive, and announce the job."""

    def send(images: dict[str, bytes]) -> uuid.UUID:
        job_id = submit({"box.zip": zip_of(images)})
        Queue(celery).plan_jobs([job_id])
        return job_id

    return send


@pytest.mark.parametrize(
    ("kinds", "attempts", "page_seconds"), [(QUICK, "2", "60"), (HANGING, "1", "3")], ids=["that dies", "that hangs"]
)
def test_items_that_end_their_process_fail_alone(
    start_worker: StartWorker,
    send: Send,
    armed: Path,
    database: Database,
    kinds: tuple[str, ...],
    attempts: str,
    page_seconds: str,
) -> None:
    """The leases last for minutes, so that nothing is found by their end."""
    for kind in kinds:
        faults.arm(armed, "before_decode", kind, label=f"always-{kind}", item=f"*{kind}.png")
    names = [f"{place:02}-{name}.png" for place, name in enumerate(name for kind in kinds for name in ("good", "fine", kind))]
    start_worker(PENPRESS_LEASE_SECONDS="300", PENPRESS_PAGE_SECONDS=page_seconds, PENPRESS_MAX_ATTEMPTS=attempts)
    job_id = send({name: png() for name in names})
    wait_until(lambda: read_job(database, job_id).state == JobState.COMPLETED, seconds=120)
    rows = read_rows(database, job_id)
    assert [row.file for row in rows] == names
    found = {row.file[3:-4]: (row.reason, (row.detail or "").rpartition("the last time ")[2]) for row in rows}
    assert found == {"good": (None, ""), "fine": (None, "")} | {kind: ENDINGS[kind] for kind in kinds}
    assert all(row.reason is None for row in rows if "good" in row.file or "fine" in row.file)


def test_a_worker_that_crashes_whatever_it_takes_stops_and_blames_nobody(
    start_worker: StartWorker, send: Send, armed: Path, database: Database, tmp_path: Path
) -> None:
    faults.arm(armed, "before_decode", "segfault", label="always", item="*.png")
    worker = start_worker(PENPRESS_LEASE_SECONDS="300", PENPRESS_BROKEN_WORKER_CRASHES="3")
    job_id = send({f"{place}.png": png() for place in range(8)})
    assert worker.wait(60) == os.EX_SOFTWARE
    assert "3 different items in a row crashed it, and it finished none in between" in (tmp_path / "worker.log").read_text()
    assert list(read_rows(database, job_id)) == []
    assert {(chunk.state, chunk.attempt) for chunk in read_chunks(database, job_id)} == {(ChunkState.READY, 0)}
    assert sorted(chunk.losses for chunk in read_chunks(database, job_id)) == [0, 1, 1, 1]


def test_a_worker_whose_every_plan_dies_stops_and_blames_no_job(
    start_worker: StartWorker, send: Send, armed: Path, database: Database, tmp_path: Path
) -> None:
    faults.arm(armed, "before_plan_commit", "segfault", label="always")
    worker = start_worker(PENPRESS_LEASE_SECONDS="300", PENPRESS_BROKEN_WORKER_CRASHES="3")
    job_ids = [send({"a.png": png()}) for _ in range(4)]
    assert worker.wait(60) == os.EX_SOFTWARE
    assert "3 different jobs in a row crashed it, and it finished none in between" in (tmp_path / "worker.log").read_text()
    left = [read_job(database, job_id) for job_id in job_ids]
    assert {(job.state, job.attempt) for job in left} == {(JobState.QUEUED, 0)}
    assert sorted(job.losses for job in left) == [0, 1, 1, 1]


def test_an_upload_that_kills_each_planner_fails_its_job_alone(
    start_worker: StartWorker, submit: Submit, celery: Celery, armed: Path, database: Database
) -> None:
    faults.arm(armed, "before_list", "abort", label="always", item="deadly.zip")
    names = ("deadly.zip", "fine.zip", "good.zip")
    deadly, *others = job_ids = [submit({name: zip_of({"a.png": png()})}) for name in names]
    Queue(celery).plan_jobs(job_ids)
    start_worker(PENPRESS_LEASE_SECONDS="300", PENPRESS_MAX_ATTEMPTS="2", PENPRESS_BROKEN_WORKER_CRASHES="2")
    wait_until(lambda: read_job(database, deadly).state == JobState.FAILED, seconds=60)
    failed = read_job(database, deadly)
    assert (failed.reason, failed.attempt, failed.losses) == ("worker_lost", 3, 2)
    for job_id in others:
        job = read_job(database, job_id)
        assert (job.state, job.attempt) == (JobState.COMPLETED, 1)


def test_a_job_whose_planner_is_killed_is_planned_again_at_once(
    start_worker: StartWorker, send: Send, armed: Path, database: Database
) -> None:
    faults.arm(armed, "before_plan_commit", "kill")
    start_worker(PENPRESS_LEASE_SECONDS="300")
    job_id = send({"a.png": png()})
    wait_until(lambda: read_job(database, job_id).state == JobState.COMPLETED, seconds=30)
    job = read_job(database, job_id)
    assert (job.attempt, job.losses) == (2, 1)


def test_a_plan_is_held_until_its_worker_is_asked_to_stop_and_then_waits_without_blame(
    start_worker: StartWorker, send: Send, armed: Path, database: Database
) -> None:
    faults.arm(armed, "before_plan_commit", "kill")
    worker = start_worker(PENPRESS_LEASE_SECONDS="300", PENPRESS_HEARTBEAT_SECONDS="0.1")
    job_id = send({"a.png": png()})
    wait_until(lambda: read_job(database, job_id).losses == 1, seconds=30)
    assert read_job(database, job_id).state == JobState.PLANNING
    until = lease_end(database, job_id)
    wait_until(lambda: lease_end(database, job_id) > until)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    job = read_job(database, job_id)
    assert (job.state, job.attempt, job.losses) == (JobState.QUEUED, 0, 1)


def lease_end(database: Database, job_id: uuid.UUID) -> datetime:
    lease_until = read_job(database, job_id).lease_until
    assert lease_until
    return lease_until


@pytest.mark.parametrize(("point", "known"), [("before_decode", "known picture"), ("before_list", "known archive")])
def test_a_worker_whose_processes_cannot_read_what_is_known_takes_no_work(
    start_worker: StartWorker, send: Send, armed: Path, database: Database, runtime: Runtime, point: str, known: str
) -> None:
    runtime.models.catch_up()  # this machine knows a model from now on
    faults.arm(armed, point, "abort", label="always", item=known)
    worker = start_worker(PENPRESS_BROKEN_WORKER_CRASHES="3")
    job_id = send({"a.png": png()})
    assert worker.wait(60) == os.EX_SOFTWARE
    assert read_job(database, job_id).attempt == 0


@pytest.mark.parametrize(("patience", "finished"), [("0", 0), ("60", 6)])
def test_a_worker_that_is_asked_to_stop_finishes_its_chunk_or_gives_it_back(
    start_worker: StartWorker, send: Send, armed: Path, database: Database, patience: str, finished: int
) -> None:
    faults.arm(armed, "before_decode", "slow", label="always", item="*.png")
    worker = start_worker(PENPRESS_WARM_STOP_SECONDS=patience, PENPRESS_LEASE_SECONDS="300", PENPRESS_CHUNK_ITEMS="6")
    job_id = send({f"{place}.png": png() for place in range(12)})
    wait_until(lambda: ChunkState.LEASED in states(database, job_id), seconds=60)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert ChunkState.LEASED not in states(database, job_id)
    assert {chunk.attempt for chunk in read_chunks(database, job_id) if chunk.state == ChunkState.READY} == {0}
    assert len(read_rows(database, job_id)) == finished


def states(database: Database, job_id: uuid.UUID) -> list[ChunkState]:
    return [chunk.state for chunk in read_chunks(database, job_id)]
