import uuid

from sqlalchemy import update
from sqlalchemy.orm import Session

from store import jobs, planning, predictions
from store.models import Job
from store.states import ChunkState, JobState
from tests.store.rows import LEASE_SECONDS, chunks_of, claim, finish, make_answer, make_job, make_running_job


def test_a_new_job_is_queued_with_its_uploads_in_order(session: Session) -> None:
    job = make_job(session, uploads=3)
    assert job.state == JobState.QUEUED
    assert [upload.name for upload in job.uploads] == ["0.png", "1.png", "2.png"]
    assert job.created_at.tzinfo
    assert (job.total, job.processed, job.attempt) == (0, 0, 0)


def test_jobs_are_listed_newest_first_page_by_page(session: Session) -> None:
    made = [make_job(session).id for _ in range(5)]
    first = jobs.list_jobs(session, owner_id=None, limit=3)
    second = jobs.list_jobs(session, owner_id=None, limit=3, before=first[-1].id)
    assert [job.id for job in (*first, *second)] == made[::-1]


def test_a_job_that_is_not_there_is_none(session: Session) -> None:
    assert jobs.get_job(session, uuid.uuid4(), owner_id=None) is None
    assert planning.begin_planning(session, uuid.uuid4(), lease_seconds=LEASE_SECONDS) is None


def test_a_job_is_failed_only_while_it_runs(session: Session) -> None:
    queued, running = make_job(session), make_running_job(session)
    assert not jobs.fail_job(session, queued.id, reason="model_gone", detail="Gone.")
    assert jobs.fail_job(session, running.id, reason="model_gone", detail="Gone.")
    assert not jobs.fail_job(session, running.id, reason="other", detail="Again.")
    assert (queued.state, running.state, running.reason) == (JobState.QUEUED, JobState.FAILED, "model_gone")


def test_the_last_chunk_closes_the_job(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(2, 1))
    first, last = chunks_of(session, job)
    assert finish(session, claim(session, first.id))
    assert (job.state, job.processed, job.total) == (JobState.RUNNING, 2, 3)
    assert finish(session, claim(session, last.id))
    assert (job.state, job.processed, job.printed) == (JobState.COMPLETED, 3, 3)
    session.flush()
    session.refresh(job)
    assert job.finished_at


def test_a_job_of_failures_has_failed(session: Session) -> None:
    job = make_running_job(session)
    [chunk] = chunks_of(session, job)
    claimed = claim(session, chunk.id)
    rows = [predictions.refused(claimed.items[0], reason="broken_image", detail="x")]
    assert jobs.finish_chunk(session, chunk.id, claimed.token, rows)
    assert (job.state, job.reason, job.failed) == (JobState.FAILED, "no_result", 1)


def test_the_counts_equal_the_rows(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(2,))
    [chunk] = chunks_of(session, job)
    claimed = claim(session, chunk.id)
    document, letter = claimed.items
    rows = [
        make_answer(document, page=1, winner="handwritten"),
        make_answer(document, page=2, winner="printed", review="blank"),
        predictions.refused(document, page=3, reason="truncated_image", detail=""),
        make_answer(letter, winner="handwritten", review="low_confidence"),
    ]
    assert jobs.finish_chunk(session, chunk.id, claimed.token, rows)
    counts = (job.total, job.succeeded, job.failed, job.skipped, job.handwritten, job.printed, job.needs_review)
    assert counts == (4, 3, 1, 0, 2, 1, 2)
    assert job.processed == len(predictions.list_results(session, job, filters=predictions.Filters(), limit=10))


def test_a_second_finish_writes_nothing(session: Session) -> None:
    job = make_running_job(session)
    claimed = claim(session, chunks_of(session, job)[0].id)
    assert finish(session, claimed)
    assert not finish(session, claimed)
    assert (job.succeeded, job.total) == (1, 1)


def test_a_finish_with_somebody_elses_token_writes_nothing(session: Session) -> None:
    job = make_running_job(session)
    claimed = claim(session, chunks_of(session, job)[0].id)
    assert not jobs.finish_chunk(session, claimed.chunk_id, uuid.uuid4(), [make_answer(claimed.items[0])])
    assert chunks_of(session, job)[0].state == ChunkState.LEASED
    assert job.succeeded == 0


def test_a_finish_of_a_chunk_that_was_split_writes_nothing(session: Session) -> None:
    assert not jobs.finish_chunk(session, uuid.uuid4(), uuid.uuid4(), [])


def test_a_job_that_nobody_closed_is_found_and_closed(session: Session) -> None:
    job, open_job = make_running_job(session), make_running_job(session)
    finish(session, claim(session, chunks_of(session, job)[0].id))
    session.execute(update(Job).where(Job.id == job.id).values(state=JobState.RUNNING, finished_at=None))
    assert jobs.unclosed_jobs(session, limit=10) == [job.id]
    jobs.close_if_done(session, job.id)
    jobs.close_if_done(session, open_job.id)
    assert (job.state, open_job.state) == (JobState.COMPLETED, JobState.RUNNING)
    assert jobs.unclosed_jobs(session, limit=10) == []
