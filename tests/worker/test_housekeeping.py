import signal
import threading
import uuid
from collections.abc import Callable, Iterable

import pytest
from kombu.exceptions import OperationalError
from sqlalchemy import select, update

from store import chunks, jobs
from store import sweep as store_sweep
from store.database import Database
from store.locks import try_sweep_lock
from store.models import Chunk, Job
from store.settings import Settings
from store.states import ChunkState, JobState
from tests.pictures import png
from tests.worker.conftest import HandQueue
from tests.worker.looks import age, read_chunks, read_job
from worker import housekeeping
from worker.classify import classify_chunk
from worker.housekeeping import Sweep
from worker.plan import plan_job
from worker.rules import make_rules, unsent_hints
from worker.rules.rule import Rule, Tools
from worker.runtime import Runtime

Submit = Callable[..., uuid.UUID]


@pytest.fixture
def sweep(settings: Settings, database: Database, hand_queue: HandQueue) -> Sweep:
    return Sweep(settings, database, hand_queue)  # type: ignore[arg-type]  # stands in for a Queue


@pytest.fixture
def planned(runtime: Runtime, submit: Submit, hand_queue: HandQueue) -> uuid.UUID:
    """A job of three items in two chunks, whose messages were lost."""
    job_id = submit({f"{name}.png": png() for name in "abc"})
    plan_job(runtime, job_id)
    hand_queue.chunks.clear()
    return job_id


def age_all(database: Database, table: type[Chunk] | type[Job], column: str) -> None:
    with database.transaction() as session:
        age(session, table, column)


def test_a_job_whose_message_was_lost_is_announced_again(
    sweep: Sweep, submit: Submit, hand_queue: HandQueue, database: Database
) -> None:
    job_id = submit({"a.png": png()})
    sweep.run_once()
    assert hand_queue.plans == []  # its own message may be on the way
    age_all(database, Job, "hinted_at")
    sweep.run_once()
    sweep.run_once()
    assert hand_queue.plans == [job_id]


def test_lost_chunks_are_announced_a_few_at_a_time_while_others_wait_and_all_once_the_queue_is_dry(
    sweep: Sweep, planned: uuid.UUID, hand_queue: HandQueue, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsent_hints, "_LIMIT_WITH_BACKLOG", 1)
    both = {chunk.id for chunk in read_chunks(database, planned)}
    age_all(database, Chunk, "hinted_at")
    hand_queue.chunks.append(uuid.uuid4())
    sweep.run_once()
    assert len(hand_queue.chunks) == 2
    sweep.run_once()
    sweep.run_once()
    assert set(hand_queue.chunks[1:]) == both
    assert len(hand_queue.chunks) == 3  # none is announced twice within hint_seconds
    hand_queue.chunks.clear()
    age_all(database, Chunk, "hinted_at")
    sweep.run_once()
    assert set(hand_queue.chunks) == both


def test_a_chunk_whose_worker_fell_silent_is_announced_at_once(
    sweep: Sweep, planned: uuid.UUID, hand_queue: HandQueue, database: Database
) -> None:
    lost, held = (chunk.id for chunk in read_chunks(database, planned))
    with database.transaction() as session:
        assert chunks.claim_chunk(session, lost, lease_seconds=60)
    age_all(database, Chunk, "lease_until")
    with database.transaction() as session:
        assert chunks.claim_chunk(session, held, lease_seconds=60)
    sweep.run_once()
    assert hand_queue.chunks == [lost]
    assert [chunk.state for chunk in read_chunks(database, planned)] == [ChunkState.READY, ChunkState.LEASED]


def test_a_job_that_nobody_closed_is_closed(sweep: Sweep, planned: uuid.UUID, runtime: Runtime, database: Database) -> None:
    for chunk in read_chunks(database, planned):
        classify_chunk(runtime, chunk.id)
    with database.transaction() as session:
        session.execute(update(Job).values(state=JobState.RUNNING, finished_at=None))
    sweep.run_once()
    job = read_job(database, planned)
    assert job.state == JobState.COMPLETED
    assert job.finished_at


def test_a_cancelled_job_whose_worker_died_comes_to_its_end(sweep: Sweep, planned: uuid.UUID, database: Database) -> None:
    held, _ = (chunk.id for chunk in read_chunks(database, planned))
    with database.transaction() as session:
        assert chunks.claim_chunk(session, held, lease_seconds=60)
        assert jobs.request_cancel(session, planned, reason="cancelled", detail="Enough.").state == JobState.CANCELLING
    sweep.run_once()
    assert read_job(database, planned).state == JobState.CANCELLING  # the worker may have it yet
    age_all(database, Chunk, "lease_until")
    sweep.run_once()
    assert read_job(database, planned).state == JobState.CANCELLED


def test_planning_whose_worker_died_is_taken_over(
    sweep: Sweep, runtime: Runtime, submit: Submit, hand_queue: HandQueue, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit({"a.png": png()})
    die_while_planning(runtime, job_id, monkeypatch)
    age_all(database, Job, "lease_until")
    sweep.run_once()
    assert hand_queue.plans == [job_id]
    plan_job(runtime, job_id)
    job = read_job(database, job_id)
    assert (job.state, job.attempt, job.total) == (JobState.RUNNING, 2, 1)


def test_a_job_whose_planning_kills_every_worker_is_given_up(
    sweep: Sweep, runtime: Runtime, submit: Submit, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit({"a.png": png()})
    for _ in range(runtime.settings.max_attempts):
        die_while_planning(runtime, job_id, monkeypatch)
        for _ in range(2):  # the last planner gets a while to show that it lives
            age_all(database, Job, "lease_until")
            sweep.run_once()
    plan_job(runtime, job_id)
    job = read_job(database, job_id)
    assert (job.state, job.reason) == (JobState.FAILED, "worker_lost")
    assert job.detail == "The worker was lost or failed 3 times while it read this job's uploads."


def die_while_planning(runtime: Runtime, job_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    def die() -> str:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(runtime.models, "catch_up", die)
        with pytest.raises(SystemExit):
            plan_job(runtime, job_id)


def test_a_second_sweep_at_the_same_time_does_nothing(
    sweep: Sweep, planned: uuid.UUID, hand_queue: HandQueue, database: Database
) -> None:
    age_all(database, Chunk, "hinted_at")
    with database.transaction() as session:
        assert try_sweep_lock(session)
        sweep.run_once()
        assert hand_queue.chunks == []
    sweep.run_once()
    assert len(hand_queue.chunks) == 2


class DeadQueue(HandQueue):
    """A Redis that is down."""

    def classify_chunks(self, chunk_ids: Iterable[uuid.UUID], *, ahead: bool = False) -> None:
        raise OperationalError("refused")


def test_a_redis_that_is_down_does_not_keep_rows_from_being_put_right(
    settings: Settings, planned: uuid.UUID, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with database.transaction() as session:
        for chunk_id in session.scalars(select(Chunk.id)).all():
            assert chunks.claim_chunk(session, chunk_id, lease_seconds=60)
    age_all(database, Chunk, "lease_until")
    Sweep(settings, database, DeadQueue()).run_once()  # type: ignore[arg-type]  # stands in for a Queue
    assert {chunk.state for chunk in read_chunks(database, planned)} == {ChunkState.READY}
    assert "rule unsent_chunks was cut short, will try again: refused" in caplog.text


def counts(database: Database) -> dict[str, int]:
    with database.transaction() as session:
        return store_sweep.counts(session)


def test_what_each_rule_puts_right_is_counted_from_0(sweep: Sweep, planned: uuid.UUID, database: Database) -> None:
    sweep.run_once()
    assert counts(database) == {rule.name: 0 for rule in make_rules()}
    lost, _ = (chunk.id for chunk in read_chunks(database, planned))
    for _ in range(2):
        with database.transaction() as session:
            assert chunks.claim_chunk(session, lost, lease_seconds=-1)
        sweep.run_once()
    found = counts(database)
    assert (found["expired_leases"], found["unsent_chunks"], found["unsent_plans"]) == (2, 3, 0)  # halved at the second loss


@pytest.mark.parametrize("error", [OperationalError("refused"), ZeroDivisionError()])
def test_a_rule_that_fails_keeps_no_other_from_running(
    settings: Settings, database: Database, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail(_: Tools) -> int:
        raise error

    rules = [Rule("first", lambda _: 2), Rule("broken", fail), Rule("last", lambda _: 3)]
    sweep = Sweep(settings, database, HandQueue(), rules)  # type: ignore[arg-type]  # stands in for a Queue
    sweep.run_once()
    sweep.run_once()
    assert counts(database) == {"first": 4, "last": 6}
    assert "rule broken" in caplog.text


def test_the_program_goes_on_after_a_failure_and_ends_on_sigterm(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []

    def run_once(_: Sweep) -> None:
        runs.append(1)
        if len(runs) == 1:
            raise OperationalError("refused")
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Sweep, "run_once", run_once)
    monkeypatch.setattr(housekeeping, "Settings", lambda: settings.model_copy(update={"sweep_seconds": 0.01}))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert threading.current_thread() is threading.main_thread()
        housekeeping.main()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert len(runs) == 2
