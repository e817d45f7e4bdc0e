"""What only real connections that commit can show."""

import threading
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import func, text, update

from store import chunks, hints, jobs, planning
from store.chunks import Claim
from store.database import Database
from store.locks import try_sweep_lock
from store.models import Chunk, Job
from store.states import JobState
from tests.store.rows import LEASE_SECONDS, begin, chunks_of, claim, finish, lose, make_job, make_running_job

ROUNDS = 50


def at_once(*actions: Callable[[], object]) -> list[object]:
    """Run each action in a thread of its own, all released together; their results in order."""
    results: list[object] = [None] * len(actions)
    start = threading.Barrier(len(actions))

    def run(place: int) -> None:
        start.wait()
        results[place] = actions[place]()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def claimed_job(database: Database, *, chunk_sizes: Sequence[int]) -> tuple[uuid.UUID, list[Claim]]:
    with database.transaction() as session:
        job = make_running_job(session, chunk_sizes=chunk_sizes)
        return job.id, [claim(session, chunk.id) for chunk in chunks_of(session, job)]


def state_of(database: Database, job_id: uuid.UUID) -> tuple[JobState, int, int]:
    with database.transaction() as session:
        job = jobs.get_job(session, job_id, owner_id=None)
        assert job
        return job.state, job.total, job.succeeded


def finish_in_own_transaction(database: Database, claimed: Claim) -> bool:
    with database.transaction() as session:
        return finish(session, claimed)


def test_two_last_chunks_that_end_together_close_their_job(database: Database) -> None:
    for _ in range(ROUNDS):
        job_id, claims = claimed_job(database, chunk_sizes=(1, 1))
        done = at_once(*(lambda c=c: finish_in_own_transaction(database, c) for c in claims))  # type: ignore[misc]  # mypy infers no type of a lambda with a default
        assert done == [True, True]
        assert state_of(database, job_id) == (JobState.COMPLETED, 2, 2)


def test_one_of_two_workers_gets_a_chunk(database: Database) -> None:
    for _ in range(ROUNDS // 5):
        with database.transaction() as session:
            chunk_id = chunks_of(session, make_running_job(session))[0].id

        def take(chunk_id: uuid.UUID = chunk_id) -> Claim | None:
            with database.transaction() as session:
                return chunks.claim_chunk(session, chunk_id, lease_seconds=LEASE_SECONDS)

        assert sorted(claimed is not None for claimed in at_once(take, take, take)) == [False, False, True]


def test_one_of_two_planners_gets_a_job(database: Database) -> None:
    with database.transaction() as session:
        job_id = make_job(session).id

    def take() -> bool:
        with database.transaction() as session:
            return planning.begin_planning(session, job_id, lease_seconds=LEASE_SECONDS) is not None

    assert sorted(map(bool, at_once(take, take, take))) == [False, False, True]


def test_a_finish_and_a_recovery_at_once_leave_every_item_with_one_row(database: Database) -> None:
    """Whoever comes second finds nothing to do, and neither waits for the other for ever."""
    for _ in range(ROUNDS // 5):
        job_id, [claimed] = claimed_job(database, chunk_sizes=(1,))
        with database.transaction() as session:
            lose(session, claimed.chunk_id)

        def recover(chunk_id: uuid.UUID = claimed.chunk_id) -> list[uuid.UUID]:
            with database.transaction() as session:
                for _ in range(2):  # before it is given up its worker has a last chance, which is over at once
                    ready = chunks.recover_chunk(session, chunk_id, max_attempts=1, grace_seconds=-1)
                return list(ready)

        def answer(claimed: Claim = claimed) -> bool:
            return finish_in_own_transaction(database, claimed)

        finished, _ = at_once(answer, recover)
        state, total, succeeded = state_of(database, job_id)
        assert total == 1
        assert (state, succeeded) == ((JobState.COMPLETED, 1) if finished else (JobState.FAILED, 0))


@pytest.mark.parametrize("rival", ["finish", "recover"])
def test_a_release_under_cancellation_and_a_rival_at_once_do_not_wait_for_each_other(database: Database, rival: str) -> None:
    """Each locks the job before the chunk, in whatever state the job is."""
    for _ in range(ROUNDS):
        job_id, [claimed] = claimed_job(database, chunk_sizes=(1,))
        with database.transaction() as session:
            cancelled = jobs.request_cancel(session, job_id, reason="cancelled", detail="Enough.")
            assert cancelled.state == JobState.CANCELLING
            if rival == "recover":
                lose(session, claimed.chunk_id)

        def release(claimed: Claim = claimed) -> None:
            with database.transaction() as session:
                chunks.release_chunk(session, claimed, waits_for="It rains.")

        def recover(claimed: Claim = claimed) -> None:
            with database.transaction() as session:
                chunks.recover_chunk(session, claimed.chunk_id, max_attempts=3, grace_seconds=60)

        def answer(claimed: Claim = claimed) -> None:
            finish_in_own_transaction(database, claimed)

        at_once(release, recover if rival == "recover" else answer)
        with database.transaction() as session:
            jobs.settle_cancelled(session, job_id)
        assert state_of(database, job_id)[0] == JobState.CANCELLED


def test_a_job_that_ends_while_its_chunks_are_taken_and_given_back_keeps_none_that_is_ready(database: Database) -> None:
    for _ in range(ROUNDS):
        job_id, [held] = claimed_job(database, chunk_sizes=(2,))
        with database.transaction() as session:
            lose(session, held.chunk_id)
            chunks.recover_chunk(session, held.chunk_id, max_attempts=3, grace_seconds=LEASE_SECONDS)

        def end(job_id: uuid.UUID = job_id) -> None:
            with database.transaction() as session:
                jobs.fail_job(session, job_id, reason="model_gone", detail="Gone.")

        def come_back(claimed: Claim = held) -> None:
            with database.transaction() as session:
                chunks.hand_back(session, claimed)

        def take(chunk_id: uuid.UUID = held.chunk_id) -> Claim | None:
            with database.transaction() as session:
                return chunks.claim_chunk(session, chunk_id, lease_seconds=LEASE_SECONDS)

        *_, taken = at_once(end, come_back, take)
        if isinstance(taken, Claim):
            come_back(taken)
        with database.transaction() as session:
            assert chunks_of(session, session.get_one(Job, job_id)) == []


def test_a_planner_in_the_middle_of_its_commit_does_not_hold_up_the_sweep(database: Database) -> None:
    past = func.now() - timedelta(seconds=1)
    with database.transaction() as session:
        busy, silent = make_job(session).id, make_job(session).id
        for job_id in (busy, silent):
            begin(session, session.get_one(Job, job_id))
        session.execute(update(Job).where(Job.id.in_([busy, silent])).values(lease_until=past))

    def recover() -> Sequence[uuid.UUID]:
        with database.transaction() as session:
            session.execute(text("SET LOCAL lock_timeout = '5s'"))
            return planning.recover_planning(session, max_attempts=1, grace_seconds=-1, limit=10)

    with database.transaction() as session:
        jobs.lock_job(session, busy)
        assert recover() == [silent]  # its grace was over at once


def test_two_sweeps_do_not_announce_the_same_chunks(database: Database) -> None:
    with database.transaction() as session:
        make_running_job(session, chunk_sizes=[1] * 50)
        session.execute(update(Chunk).values(hinted_at=func.now() - timedelta(hours=1)))

    def announce() -> set[uuid.UUID]:
        with database.transaction() as session:
            return set(hints.due(session, Chunk, hint_seconds=60, limit=1000))

    first, second = at_once(announce, announce)
    assert isinstance(first, set)
    assert isinstance(second, set)
    assert len(first | second) == 50
    assert not first & second


def test_the_sweep_lock_is_held_until_its_transaction_ends(database: Database) -> None:
    with database.transaction() as first:
        assert try_sweep_lock(first)
        with database.transaction() as second:
            assert not try_sweep_lock(second)
    with database.transaction() as third:
        assert try_sweep_lock(third)
