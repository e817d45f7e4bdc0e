import io
import threading
import uuid
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from inference import items
from inference.items import PreparedPage
from registry.current import LoadedModel
from store import chunks, jobs, planning
from store.base import new_id
from store.database import Database
from store.models import Chunk, Job
from store.states import ChunkState, JobState
from tests.pictures import png, zip_of
from tests.worker.conftest import HandQueue, MakeRuntime
from tests.worker.looks import read_chunks, read_job, read_rows, wait_until
from worker import lease as lease_module
from worker.classify import classify_chunk
from worker.lease import Lease
from worker.plan import plan_job
from worker.runtime import Runtime

Submit = Callable[..., uuid.UUID]
LEASE_SECONDS = 0.5


@pytest.fixture
def runtime(make_runtime: MakeRuntime) -> Runtime:
    return make_runtime(lease_seconds=LEASE_SECONDS, heartbeat_seconds=0.05)


@pytest.fixture
def planned(runtime: Runtime, submit: Submit, hand_queue: HandQueue) -> tuple[uuid.UUID, uuid.UUID]:
    """A job of two items in one chunk."""
    job_id = submit({"a.png": png(), "b.png": png()})
    plan_job(runtime, job_id)
    [chunk_id] = hand_queue.chunks
    return job_id, chunk_id


def before_each_item(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    prepare_pages = items.prepare_pages

    def acting(*arguments: object) -> Iterator[PreparedPage]:
        act()
        return prepare_pages(*arguments)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(items, "prepare_pages", acting)


def test_a_slow_chunk_is_kept(
    runtime: Runtime, planned: tuple[uuid.UUID, uuid.UUID], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, chunk_id = planned
    firsts: list[object] = []

    def wait_for_three_renewals() -> None:
        for _ in range(3):
            now = read_chunks(database, job_id)[0].lease_until
            firsts.append(now)
            wait_until(lambda now=now: read_chunks(database, job_id)[0].lease_until != now)  # type: ignore[misc]  # mypy infers no type of a lambda with a default

    before_each_item(monkeypatch, wait_for_three_renewals)
    classify_chunk(runtime, chunk_id)
    assert len(set(firsts)) == 6
    assert read_job(database, job_id).succeeded == 2
    assert read_chunks(database, job_id)[0].attempt == 1


def test_work_whose_lease_was_lost_stops_and_writes_nothing(
    runtime: Runtime, planned: tuple[uuid.UUID, uuid.UUID], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, chunk_id = planned
    noticed, begun = threading.Event(), list[int]()
    mark_lost = Lease.mark_lost
    monkeypatch.setattr(Lease, "mark_lost", lambda lease: (mark_lost(lease), noticed.set()))

    def give_the_chunk_to_another() -> None:
        begun.append(1)
        with database.transaction() as session:
            session.execute(update(Chunk).where(Chunk.id == chunk_id).values(lease_token=new_id()))
        assert noticed.wait(20)

    before_each_item(monkeypatch, give_the_chunk_to_another)
    classify_chunk(runtime, chunk_id)
    assert begun == [1]
    assert list(read_rows(database, job_id)) == []
    assert read_chunks(database, job_id)[0].state == ChunkState.LEASED


def test_work_that_slept_past_its_lease_writes_nothing(
    runtime: Runtime, planned: tuple[uuid.UUID, uuid.UUID], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a worker does whose machine was suspended: its lease thread slept too."""
    job_id, chunk_id = planned
    monkeypatch.setattr(lease_module, "_keep_renewing", lambda *_: None)

    def take_the_chunk_away() -> None:
        with database.transaction() as session:
            session.execute(update(Chunk).where(Chunk.id == chunk_id).values(lease_until=Chunk.hinted_at))
            assert list(chunks.recover_chunk(session, chunk_id, max_attempts=3, grace_seconds=60)) in ([chunk_id], [])

    before_each_item(monkeypatch, take_the_chunk_away)
    classify_chunk(runtime, chunk_id)
    assert list(read_rows(database, job_id)) == []
    [chunk] = read_chunks(database, job_id)
    assert (chunk.state, chunk.attempt, chunk.losses) == (ChunkState.READY, 0, 0)  # the worker lives


def test_an_answer_that_comes_after_the_lease_blames_no_item(
    runtime: Runtime, planned: tuple[uuid.UUID, uuid.UUID], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, chunk_id = planned
    finish = jobs.finish_chunk

    def finish_late(session: Session, *arguments: Any) -> bool:
        with database.transaction() as other:
            other.execute(update(Chunk).where(Chunk.id == chunk_id).values(lease_until=Chunk.hinted_at))
            chunks.recover_chunk(other, chunk_id, max_attempts=3, grace_seconds=60)
        return finish(session, *arguments)

    monkeypatch.setattr(jobs, "finish_chunk", finish_late)
    classify_chunk(runtime, chunk_id)
    [chunk] = read_chunks(database, job_id)
    assert (chunk.state, chunk.attempt, list(read_rows(database, job_id))) == (ChunkState.READY, 0, [])


def test_a_cancelled_job_stops_within_one_image_and_keeps_its_finished_chunks_only(
    make_runtime: MakeRuntime, submit: Submit, hand_queue: HandQueue, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, begun = make_runtime(cancel_check_seconds=0.01, chunk_items=3), list[int]()
    job_id = submit({f"{place}.png": png() for place in range(9)})
    plan_job(runtime, job_id)
    classify_chunk(runtime, hand_queue.chunks.pop(0))
    noticed, mark_lost = threading.Event(), Lease.mark_lost
    monkeypatch.setattr(Lease, "mark_lost", lambda lease: (mark_lost(lease), noticed.set()))

    def cancel() -> None:
        begun.append(1)
        if len(begun) == 2:
            with database.transaction() as session:
                assert jobs.request_cancel(session, job_id, reason="cancelled", detail="").state == JobState.CANCELLING
            assert noticed.wait(20)

    before_each_item(monkeypatch, cancel)
    classify_chunk(runtime, hand_queue.chunks.pop(0))
    classify_chunk(runtime, hand_queue.chunks.pop(0))
    assert len(begun) == 2
    assert (read_job(database, job_id).state, read_job(database, job_id).processed) == (JobState.CANCELLED, 3)
    assert len(read_rows(database, job_id)) == 3
    assert [chunk.state for chunk in read_chunks(database, job_id)].count(ChunkState.LEASED) == 0


def test_a_planner_whose_job_was_cancelled_stops(
    runtime: Runtime, submit: Submit, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit({"a.png": png()})
    catch_up = runtime.models.catch_up

    def cancel() -> LoadedModel:
        with database.transaction() as session:
            jobs.request_cancel(session, job_id, reason="cancelled", detail="")
        return catch_up()

    monkeypatch.setattr(runtime.models, "catch_up", cancel)
    plan_job(runtime, job_id)
    assert (read_job(database, job_id).state, read_job(database, job_id).total) == (JobState.CANCELLED, 0)


def test_a_plan_that_comes_after_the_lease_blames_nobody(
    runtime: Runtime, submit: Submit, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit({"a.png": png()})
    catch_up = runtime.models.catch_up

    def sleep_past_the_lease() -> LoadedModel:
        with database.transaction() as session:
            session.execute(update(Job).where(Job.id == job_id).values(lease_until=func.now() - timedelta(seconds=1)))
        with database.transaction() as session:
            assert planning.recover_planning(session, max_attempts=3, grace_seconds=60, limit=10) == [job_id]
        return catch_up()

    monkeypatch.setattr(runtime.models, "catch_up", sleep_past_the_lease)
    plan_job(runtime, job_id)
    assert (read_job(database, job_id).state, read_job(database, job_id).attempt) == (JobState.QUEUED, 0)


def test_a_renewal_that_fails_is_tried_again(
    runtime: Runtime, planned: tuple[uuid.UUID, uuid.UUID], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, chunk_id = planned
    renew, tries, renewed = chunks.renew_lease, list[int](), threading.Event()

    def fail_once(*arguments: object, **options: object) -> bool:
        tries.append(1)
        if len(tries) == 1:
            raise OperationalError("UPDATE", {}, Exception("the server went away"))
        held = renew(*arguments, **options)  # type: ignore[arg-type]  # passed on
        renewed.set()
        return held

    monkeypatch.setattr(chunks, "renew_lease", fail_once)
    before_each_item(monkeypatch, lambda: renewed.wait(20) and None)
    classify_chunk(runtime, chunk_id)
    assert read_job(database, job_id).state == JobState.COMPLETED


def test_a_slow_planning_is_kept(runtime: Runtime, submit: Submit, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = submit({"a.png": png()})
    catch_up = runtime.models.catch_up

    def slow() -> LoadedModel:
        now = read_job(database, job_id).lease_until
        wait_until(lambda: read_job(database, job_id).lease_until != now)
        with database.transaction() as session:
            assert planning.begin_planning(session, job_id, lease_seconds=60) is None
        return catch_up()

    monkeypatch.setattr(runtime.models, "catch_up", slow)
    plan_job(runtime, job_id)
    job = read_job(database, job_id)
    assert (job.state, job.attempt) == (JobState.RUNNING, 1)


def test_waiting_for_a_model_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(lease_module.time, "monotonic", lambda: now)
    lease = Lease()
    with lease.waiting():
        now = 1000.0
        assert lease.silent_seconds() == 0
    assert lease.silent_seconds() == 0
    now = 1005.0
    assert lease.silent_seconds() == 5


@pytest.mark.parametrize("work", ["planning", "classifying"])
def test_a_model_that_takes_long_to_load_does_not_kill_the_process(
    make_runtime: MakeRuntime, submit: Submit, hand_queue: HandQueue, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    runtime, killed = make_runtime(page_seconds=0.05, heartbeat_seconds=0.02), list[int]()
    monkeypatch.setattr(lease_module, "_kill_this_process", lambda *_: killed.append(1))
    job_id, wanted = submit({"a.png": png()}), "catch_up" if work == "planning" else "load"
    if work == "classifying":
        plan_job(runtime, job_id)

    load = getattr(runtime.models, wanted)

    def slow(*arguments: str) -> LoadedModel:
        threading.Event().wait(0.3)
        return load(*arguments)  # type: ignore[no-any-return]  # one of two methods

    runtime.models.catch_up()
    monkeypatch.setattr(runtime.models, wanted, slow)
    if work == "planning":
        plan_job(runtime, job_id)
    else:
        classify_chunk(runtime, hand_queue.chunks[0])
    assert killed == []


def test_an_archive_that_hangs_its_planner_ends_that_process(
    make_runtime: MakeRuntime, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, killed = make_runtime(page_seconds=0.05, heartbeat_seconds=0.02), threading.Event()
    monkeypatch.setattr(lease_module, "_kill_this_process", lambda *_: killed.set())
    monkeypatch.setattr(runtime.sources, "archive", lambda _: pytest.fail("not killed") if not killed.wait(20) else box)
    with zipfile.ZipFile(io.BytesIO(zip_of({"a.png": png()}))) as box:
        plan_job(runtime, submit({"box.zip": b"PK"}))
    assert killed.is_set()


def test_the_lease_thread_ends_with_the_work(runtime: Runtime, planned: tuple[uuid.UUID, uuid.UUID]) -> None:
    classify_chunk(runtime, planned[1])
    assert [thread.name for thread in threading.enumerate() if thread.name == "lease"] == []
