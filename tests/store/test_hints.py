"""What waits, and what of it is announced, when and in which order."""

from datetime import timedelta

from sqlalchemy import func, update
from sqlalchemy.orm import Session

from store import chunks, hints, jobs
from store.models import Chunk, Job
from store.states import JobState
from tests.store.rows import chunks_of, claim, lose, make_job, make_running_job


def test_chunks_are_due_once_their_message_seems_lost(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(1, 1, 1))
    waiting, fresh, held = (chunk.id for chunk in chunks_of(session, job))
    past = func.now() - timedelta(seconds=30)
    session.execute(update(Chunk).where(Chunk.id.in_([waiting, held])).values(hinted_at=past))
    claim(session, held)
    assert hints.due(session, Chunk, hint_seconds=20, limit=10) == [waiting]
    assert hints.due(session, Chunk, hint_seconds=20, limit=10) == []
    assert fresh not in hints.due(session, Chunk, hint_seconds=20, limit=10)


def test_the_chunks_announced_longest_ago_are_due_first(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(1, 1, 1))
    ids = [chunk.id for chunk in chunks_of(session, job)]
    for minutes, chunk_id in zip((1, 3, 2), ids, strict=True):
        past = func.now() - timedelta(minutes=minutes)
        session.execute(update(Chunk).where(Chunk.id == chunk_id).values(hinted_at=past))
    due = [hints.due(session, Chunk, hint_seconds=20, limit=1) for _ in ids]
    assert due == [[ids[1]], [ids[2]], [ids[0]]]


def test_chunks_of_a_job_that_ended_are_not_due(session: Session) -> None:
    job = make_running_job(session)
    session.execute(update(Job).where(Job.id == job.id).values(state=JobState.CANCELLED))
    assert hints.due(session, Chunk, hint_seconds=-1, limit=10) == []


def recovered_chunk(session: Session, job: Job, place: int) -> Chunk:
    """It was taken from a silent worker."""
    chunk = chunks_of(session, job)[place]
    claim(session, chunk.id)
    lose(session, chunk.id)
    assert chunks.recover_chunk(session, chunk.id, max_attempts=3, grace_seconds=60) == [chunk.id]
    session.flush()
    return chunk


def test_what_was_taken_from_a_lost_worker_is_never_announced_until_that_is_noted_and_due_only_then(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(1, 1))
    recovered = recovered_chunk(session, job, 1)
    assert hints.due(session, Chunk, hint_seconds=20, limit=10) == []
    assert hints.unannounced(session, Chunk, limit=10) == [recovered.id]
    hints.note_announced(session, Chunk, [recovered.id])
    assert hints.unannounced(session, Chunk, limit=10) == []
    session.execute(update(Chunk).where(Chunk.id == recovered.id).values(hinted_at=func.now() - timedelta(seconds=30)))
    assert hints.due(session, Chunk, hint_seconds=20, limit=10) == [recovered.id]


def test_a_chunk_that_was_claimed_before_it_is_noted_is_left_alone(session: Session) -> None:
    job = make_running_job(session)
    recovered = recovered_chunk(session, job, 0)
    claimed = claim(session, recovered.id)
    hints.note_announced(session, Chunk, [recovered.id])
    chunks.hand_back(session, claimed)
    assert hints.unannounced(session, Chunk, limit=10) == [recovered.id]


def test_jobs_announced_longest_ago_are_due_first(session: Session) -> None:
    ids = [make_job(session).id for _ in range(3)]
    for minutes, job_id in zip((1, 3, 2), ids, strict=True):
        session.execute(update(Job).where(Job.id == job_id).values(hinted_at=func.now() - timedelta(minutes=minutes)))
    assert [hints.due(session, Job, hint_seconds=20, limit=1) for _ in ids] == [[ids[1]], [ids[2]], [ids[0]]]


def test_what_waits_is_counted_without_what_somebody_has_or_nobody_wants(session: Session) -> None:
    make_job(session)
    job, cancelled = make_running_job(session, chunk_sizes=(1, 1, 1)), make_running_job(session, chunk_sizes=(1, 1))
    claim(session, chunks_of(session, job)[0].id)
    claim(session, chunks_of(session, cancelled)[0].id)
    jobs.request_cancel(session, cancelled.id, reason="cancelled", detail="Enough.")
    assert (hints.count_waiting(session, Job), hints.count_waiting(session, Chunk)) == (1, 2)
