"""What is missing around a worker costs its work nothing but time."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import DataError, OperationalError

from inference.classifier import DeviceUnavailable, OutOfMemory, WrongGraph
from inference.errors import BundleMissing, ChecksumMismatch
from inference.golden import GoldenMismatch
from registry.errors import NoModel, NoSuchVersion, RegistryUnavailable
from store import jobs
from store.blobs import Blobs, BlobsUnavailable
from store.database import Database
from store.states import ChunkState, JobState
from tests.pictures import png, zip_of
from tests.worker.conftest import HandQueue
from tests.worker.looks import read_chunks, read_job, read_rows, read_uploads
from worker import setbacks
from worker.classify import classify_chunk
from worker.marks import Mark, Marked, read_marks
from worker.plan import plan_job
from worker.runtime import Runtime

Submit = Callable[..., uuid.UUID]
Carry = Callable[[uuid.UUID], None]


def failing(error: Exception) -> Callable[..., object]:
    def fail(*_: object) -> object:
        raise error

    return fail


DATA_WRONG = DataError("UPDATE", {}, Exception("a number is out of range"))
DATABASE_GONE = OperationalError("UPDATE", {"secret": 1}, Exception("the server went away"))


@pytest.mark.parametrize(
    "error", [NoModel(), RegistryUnavailable(), DeviceUnavailable(), OutOfMemory(), GoldenMismatch(), DATABASE_GONE]
)
def test_a_chunk_waits_for_its_model_without_blame(
    runtime: Runtime,
    submit: Submit,
    hand_queue: HandQueue,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    job_id = submit({"a.png": png()})
    plan_job(runtime, job_id)
    with monkeypatch.context() as patch:
        patch.setattr(runtime.models, "load", failing(error))
        with pytest.raises(type(error)):
            classify_chunk(runtime, hand_queue.chunks[0])
    [chunk] = read_chunks(database, job_id)
    assert (chunk.state, chunk.attempt, chunk.lease_token) == (ChunkState.READY, 0, None)
    shown = "The database did not answer." if error is DATABASE_GONE else type(error).__doc__
    assert (read_job(database, job_id).state, read_job(database, job_id).detail) == (JobState.RUNNING, shown)
    classify_chunk(runtime, hand_queue.chunks[0])
    assert (read_job(database, job_id).state, read_job(database, job_id).detail) == (JobState.COMPLETED, None)


@pytest.mark.parametrize("error", [NoSuchVersion(), BundleMissing(), ChecksumMismatch(), WrongGraph()])
def test_a_job_whose_model_is_gone_for_good_fails_and_says_so(
    runtime: Runtime,
    submit: Submit,
    hand_queue: HandQueue,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    job_id = submit({f"{name}.png": png() for name in "abc"})
    plan_job(runtime, job_id)
    with monkeypatch.context() as patch:
        patch.setattr(runtime.models, "load", failing(error))
        classify_chunk(runtime, hand_queue.chunks[0])
    classify_chunk(runtime, hand_queue.chunks[1])
    job = read_job(database, job_id)
    assert (job.state, job.reason, job.processed) == (JobState.FAILED, "model_gone", 0)
    assert job.detail == f"Version 1 of the model, which this job was planned with, cannot be used: {type(error).__doc__}"
    assert job.finished_at


def test_a_database_that_fails_at_the_end_of_a_chunk_blames_no_item(
    runtime: Runtime, submit: Submit, hand_queue: HandQueue, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit({"a.png": png()})
    plan_job(runtime, job_id)
    monkeypatch.setattr(setbacks, "_RETRY_AFTER_SECONDS", (0.0, 0.0))
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "finish_chunk", failing(DATABASE_GONE))
        tries = [failing(DATABASE_GONE), jobs.note_waiting]  # the first attempt to give the chunk back fails, too
        patch.setattr(jobs, "note_waiting", lambda *arguments: tries.pop(0)(*arguments))
        with pytest.raises(OperationalError):
            classify_chunk(runtime, hand_queue.chunks[0])
    [chunk] = read_chunks(database, job_id)
    assert (chunk.state, chunk.attempt) == (ChunkState.READY, 0)


def test_work_is_given_back_however_long_the_database_is_away(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setbacks, "_RETRY_AFTER_SECONDS", (0.0, 0.0))
    tries = [failing(DATABASE_GONE)] * 20 + [lambda _: None]
    setbacks.give_back(runtime, lambda session: tries.pop(0)(session))
    assert tries == []


@pytest.mark.parametrize(("error", "stopping", "number"), [(DATABASE_GONE, 60.0, 1), (DATA_WRONG, None, 2)])
def test_a_worker_that_stops_and_one_that_is_refused_leave_their_work_to_the_lease(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, error: Exception, stopping: float | None, number: int
) -> None:
    monkeypatch.setattr(setbacks, "_RETRY_AFTER_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(Mark, "stopping_seconds", lambda _: stopping)
    tries = [failing(error)] * 5
    setbacks.give_back(runtime, lambda session: tries.pop(0)(session))
    assert len(tries) == 5 - number


def test_a_process_that_is_ended_while_it_waits_to_give_back_blames_no_item(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mark = Mark.open(tmp_path)
    mark.hold([0])
    seen: list[Marked] = []
    setbacks.give_back(replace(runtime, mark=mark), lambda _: seen.extend(read_marks(tmp_path).values()))
    assert [(marked.suspects, marked.since) for marked in seen] == [((), None)]


def test_an_exception_that_nobody_foresaw_counts_as_an_attempt(
    runtime: Runtime, submit: Submit, hand_queue: HandQueue, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit({"a.png": png()})
    plan_job(runtime, job_id)
    monkeypatch.setattr(runtime.models, "load", failing(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        classify_chunk(runtime, hand_queue.chunks[0])
    [chunk] = read_chunks(database, job_id)
    assert (chunk.state, chunk.attempt) == (ChunkState.LEASED, 1)  # until the lease runs out


def test_a_job_waits_for_a_model_without_blame(
    runtime: Runtime, submit: Submit, carry: Carry, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit({"a.png": png()})
    with monkeypatch.context() as patch:
        patch.setattr(runtime.models, "catch_up", failing(NoModel()))
        with pytest.raises(NoModel):
            plan_job(runtime, job_id)
    job = read_job(database, job_id)
    assert (job.state, job.attempt, job.lease_token, job.detail) == (JobState.QUEUED, 0, None, NoModel.__doc__)
    carry(job_id)
    assert read_job(database, job_id).state == JobState.COMPLETED


def test_a_blob_store_that_does_not_answer_blames_no_item(
    runtime: Runtime, submit: Submit, carry: Carry, hand_queue: HandQueue, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit({"box.zip": zip_of({"a.png": png()}), "b.png": png()})
    with monkeypatch.context() as patch:
        patch.setattr(Blobs, "open", failing(BlobsUnavailable()))
        with pytest.raises(BlobsUnavailable):
            plan_job(runtime, job_id)
        assert (read_job(database, job_id).state, read_job(database, job_id).attempt) == (JobState.QUEUED, 0)
    plan_job(runtime, job_id)
    with monkeypatch.context() as patch:
        patch.setattr(runtime.sources, "read", failing(BlobsUnavailable()))
        with pytest.raises(BlobsUnavailable):
            classify_chunk(runtime, hand_queue.chunks[0])
    assert list(read_rows(database, job_id)) == []
    classify_chunk(runtime, hand_queue.chunks[0])
    assert read_job(database, job_id).succeeded == 2


def test_an_upload_that_is_gone_fails_its_items_alone(
    runtime: Runtime, submit: Submit, carry: Carry, database: Database
) -> None:
    job_id = submit({"box.zip": zip_of({"a.png": png()}), "b.png": png(), "c.png": png()})
    uploads = {upload.name: upload for upload in read_uploads(database, job_id)}
    blobs = Blobs(runtime.settings.blobs)
    blobs.delete(uploads["box.zip"].blob_key)
    blobs.delete(uploads["b.png"].blob_key)
    carry(job_id)
    assert [(row.file, row.reason) for row in read_rows(database, job_id)] == [
        ("box.zip", "missing_upload"),
        ("b.png", "missing_upload"),
        ("c.png", None),
    ]
