import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, update
from sqlalchemy.orm import Session

from store import chunks, jobs, predictions
from store.jobs import Plan
from store.models import FINISHED_STATES, ChunkState, ItemStatus, Job, JobState
from tests.store.rows import LEASE_SECONDS, begin, chunks_of, claim, finish, make_answer, make_item, make_job, make_running_job

NOTHING = Plan(model_version="7", review_threshold=0.9, chunks=[], refused=[])


def expire_planning(session: Session, job: Job) -> None:
    past = func.now() - timedelta(seconds=1)
    session.execute(update(Job).where(Job.id == job.id).values(lease_until=past))


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
    assert jobs.begin_planning(session, uuid.uuid4(), lease_seconds=LEASE_SECONDS) is None


def test_one_planner_gets_a_job(session: Session) -> None:
    job = make_job(session)
    begin(session, job)
    assert (job.state, job.attempt) == (JobState.PLANNING, 1)
    assert jobs.begin_planning(session, job.id, lease_seconds=LEASE_SECONDS) is None


def test_a_silent_planners_job_is_taken_over_and_its_plan_thrown_away(session: Session) -> None:
    job = make_job(session)
    first = begin(session, job)
    expire_planning(session, job)
    second = begin(session, job)
    assert job.attempt == 2
    assert jobs.finish_planning(session, job.id, first, NOTHING) == []
    assert job.state == JobState.PLANNING
    assert not jobs.renew_planning(session, job.id, first, lease_seconds=LEASE_SECONDS)
    assert jobs.renew_planning(session, job.id, second, lease_seconds=LEASE_SECONDS)


def test_a_renewed_planning_is_not_taken_over(session: Session) -> None:
    job = make_job(session)
    token = begin(session, job)
    expire_planning(session, job)
    assert jobs.renew_planning(session, job.id, token, lease_seconds=LEASE_SECONDS)
    assert jobs.begin_planning(session, job.id, lease_seconds=LEASE_SECONDS) is None


def test_a_plan_makes_chunks_and_counts_what_was_refused(session: Session) -> None:
    job = make_job(session)
    junk = predictions.refused(make_item(job, 2), reason="system_file", detail="", status=ItemStatus.SKIPPED)
    broken = predictions.refused(make_item(job, 3), reason="symlink", detail="")
    plan = Plan(
        model_version="7",
        review_threshold=0.8,
        chunks=[[chunks.member(make_item(job, 0)), chunks.member(make_item(job, 1))]],
        refused=[junk, broken],
    )
    chunk_ids = jobs.finish_planning(session, job.id, begin(session, job), plan)
    assert [chunk.id for chunk in chunks_of(session, job)] == chunk_ids
    assert (job.state, job.model_version, job.review_threshold) == (JobState.RUNNING, "7", 0.8)
    assert (job.total, job.skipped, job.failed, job.processed) == (4, 1, 1, 2)
    assert job.lease_token is None


def test_a_released_job_waits_again_without_blame(session: Session) -> None:
    job = make_job(session)
    token = begin(session, job)
    jobs.release_planning(session, job.id, uuid.uuid4(), waits_for="It rains.")
    session.refresh(job)
    assert job.state == JobState.PLANNING
    jobs.release_planning(session, job.id, token, waits_for="It rains.")
    session.refresh(job)
    assert (job.state, job.attempt, job.lease_token, job.detail) == (JobState.QUEUED, 0, None, "It rains.")
    jobs.finish_planning(session, job.id, begin(session, job), replace(NOTHING, chunks=[[chunks.member(make_item(job))]]))
    assert (job.state, job.detail) == (JobState.RUNNING, None)


def test_planning_is_failed_by_its_planner_only(session: Session) -> None:
    job = make_job(session)
    slept = begin(session, job)
    expire_planning(session, job)
    token = begin(session, job)
    assert not jobs.fail_planning(session, job.id, slept, reason="worker_lost", detail="Lost.")
    assert job.state == JobState.PLANNING
    assert jobs.fail_planning(session, job.id, token, reason="worker_lost", detail="Lost.")
    session.flush()
    session.refresh(job)
    assert (job.state, job.reason, job.lease_token) == (JobState.FAILED, "worker_lost", None)
    assert job.finished_at


def test_a_job_is_failed_only_while_it_runs(session: Session) -> None:
    queued, running = make_job(session), make_running_job(session)
    assert not jobs.fail_job(session, queued.id, reason="model_gone", detail="Gone.")
    assert jobs.fail_job(session, running.id, reason="model_gone", detail="Gone.")
    assert not jobs.fail_job(session, running.id, reason="other", detail="Again.")
    assert (queued.state, running.state, running.reason) == (JobState.QUEUED, JobState.FAILED, "model_gone")


def test_a_job_with_nothing_to_classify_is_closed_by_its_plan(session: Session) -> None:
    job = make_job(session)
    jobs.finish_planning(session, job.id, begin(session, job), NOTHING)
    assert (job.state, job.reason, job.detail) == (JobState.FAILED, "no_result", "The upload holds no items.")


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


def test_a_job_whose_planner_fell_silent_is_queued_again_and_due_at_once(session: Session) -> None:
    held, silent = make_job(session), make_job(session)
    begin(session, held)
    token = begin(session, silent)
    expire_planning(session, silent)
    assert jobs.recover_planning(session, limit=10) == [silent.id]
    session.refresh(silent)
    assert (silent.state, silent.attempt, silent.lease_token) == (JobState.QUEUED, 1, None)
    assert not jobs.renew_planning(session, silent.id, token, lease_seconds=LEASE_SECONDS)
    assert jobs.due_plans(session, hint_seconds=20, limit=10) == [silent.id]


def test_due_plans_are_those_that_nobody_works_on(session: Session) -> None:
    fresh, waiting, silent, planned = (make_job(session) for _ in range(4))
    past = func.now() - timedelta(seconds=30)
    session.execute(update(Job).where(Job.id.in_([waiting.id, silent.id, planned.id])).values(hinted_at=past))
    begin(session, silent)
    begin(session, planned)
    expire_planning(session, silent)
    due = jobs.due_plans(session, hint_seconds=20, limit=10)
    assert set(due) == {waiting.id}
    assert fresh.id not in due
    assert jobs.due_plans(session, hint_seconds=20, limit=10) == []  # they were announced just now


@pytest.mark.parametrize("state", sorted(FINISHED_STATES))
def test_a_finished_job_is_not_planned_again(session: Session, state: JobState) -> None:
    job = make_job(session)
    session.execute(update(Job).where(Job.id == job.id).values(state=state))
    assert jobs.begin_planning(session, job.id, lease_seconds=LEASE_SECONDS) is None
    assert jobs.due_plans(session, hint_seconds=-1, limit=10) == []
