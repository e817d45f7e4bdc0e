from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, update
from sqlalchemy.orm import Session

from store import chunks, jobs, losses, planning
from store.chunks import Claim
from store.jobs import NewUpload
from store.losses import Loss, Suspect
from store.models import Job
from store.states import GradcamPolicy, JobState
from tests.store.rows import NOTHING, begin, chunks_of, claim, finish, lose, make_job, make_running_job


def cancel(session: Session, job: Job) -> Job:
    return jobs.request_cancel(session, job.id, reason="cancelled", detail="Enough.")


def test_a_queued_job_is_cancelled_at_once_and_not_planned(session: Session) -> None:
    job = cancel(session, make_job(session))
    assert (job.state, job.reason, job.detail) == (JobState.CANCELLED, "cancelled", "Enough.")
    assert job.finished_at
    assert planning.begin_planning(session, job.id, lease_seconds=60) is None


def test_the_plan_of_a_cancelled_job_is_thrown_away(session: Session) -> None:
    job = make_job(session)
    token = begin(session, job)
    assert cancel(session, job).state == JobState.CANCELLED
    assert not planning.renew_planning(session, job.id, token, lease_seconds=60)
    assert planning.finish_planning(session, job.id, token, NOTHING) is None
    assert job.state == JobState.CANCELLED


def test_a_running_job_that_no_worker_is_at_is_cancelled_at_once_and_its_chunks_are_not_claimed(session: Session) -> None:
    job = make_running_job(session)
    [chunk] = chunks_of(session, job)
    assert cancel(session, job).state == JobState.CANCELLED
    assert chunks.claim_chunk(session, chunk.id, lease_seconds=60) is None


def test_what_a_worker_finishes_meanwhile_stays_and_settles_the_job(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(2, 1))
    held = claim(session, chunks_of(session, job)[0].id)
    assert cancel(session, job).state == JobState.CANCELLING
    assert chunks.claim_chunk(session, chunks_of(session, job)[1].id, lease_seconds=60) is None
    assert not jobs.settle_cancelled(session, job.id)
    assert finish(session, held)
    assert (job.state, job.reason, job.succeeded, job.total) == (JobState.CANCELLED, "cancelled", 2, 3)


def test_the_chunks_that_wait_are_deleted_when_the_job_has_ended_and_those_that_are_done_stay(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(1, 1, 1))
    done, held, _ = (chunk.id for chunk in chunks_of(session, job))
    finish(session, claim(session, done))
    last = claim(session, held)
    assert cancel(session, job).state == JobState.CANCELLING
    assert len(chunks_of(session, job)) == 3
    chunks.hand_back(session, last)
    assert session.get_one(Job, job.id, populate_existing=True).state == JobState.CANCELLED
    assert [chunk.id for chunk in chunks_of(session, job)] == [done]


def give_back(session: Session, claimed: Claim) -> None:
    chunks.hand_back(session, claimed)


def release(session: Session, claimed: Claim) -> None:
    chunks.release_chunk(session, claimed, waits_for="It rains.")


def die(session: Session, claimed: Claim) -> None:
    assert losses.take_from_dead(session, claimed.chunk_id, claimed.token, ordinals=[0], lease_seconds=60) == Loss(None)


def fall_silent(session: Session, claimed: Claim) -> None:
    lose(session, claimed.chunk_id)
    assert chunks.recover_chunk(session, claimed.chunk_id, max_attempts=3, grace_seconds=60) == []


def settle(session: Session, claimed: Claim) -> None:
    suspect = Suspect(claimed.chunk_id, claimed.token, is_first=True)
    assert losses.settle(session, suspect, max_attempts=3, how="it died") == []


def forgive(session: Session, claimed: Claim) -> None:
    assert losses.forgive(session, Suspect(claimed.chunk_id, claimed.token, is_first=True)) == []


@pytest.mark.parametrize("come_back", [give_back, release, die, fall_silent, settle, forgive])
def test_of_a_job_that_has_ended_no_chunk_comes_back(session: Session, come_back: Callable[[Session, Claim], None]) -> None:
    job = make_running_job(session, chunk_sizes=(2, 1))
    claimed = claim(session, chunks_of(session, job)[0].id)
    jobs.fail_job(session, job.id, reason="model_gone", detail="Gone.")
    assert [chunk.id for chunk in chunks_of(session, job)] == [claimed.chunk_id]
    come_back(session, claimed)
    assert chunks_of(session, job) == []


def test_a_silent_worker_does_not_keep_a_job_from_being_settled_and_writes_nothing_later(session: Session) -> None:
    job = make_running_job(session)
    held = claim(session, chunks_of(session, job)[0].id)
    cancel(session, job)
    assert jobs.unsettled_jobs(session, limit=9) == []
    lose(session, held.chunk_id)
    assert jobs.unsettled_jobs(session, limit=9) == [job.id]
    assert jobs.settle_cancelled(session, job.id)
    assert not finish(session, held)
    assert (job.state, job.succeeded) == (JobState.CANCELLED, 0)


def test_a_job_that_has_ended_stays_as_it_is(session: Session) -> None:
    job = make_running_job(session)
    finish(session, claim(session, chunks_of(session, job)[0].id))
    assert cancel(session, job).state == JobState.COMPLETED
    assert job.reason is None
    assert not jobs.settle_cancelled(session, job.id)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.PLANNING, JobState.RUNNING])
def test_a_job_past_its_deadline_is_overdue_until_it_has_ended(session: Session, state: JobState) -> None:
    job = make_job(session)
    assert jobs.overdue_jobs(session, limit=9) == []
    past = func.now() - timedelta(seconds=1)
    session.execute(update(Job).where(Job.id == job.id).values(cancel_after=past, state=state))
    assert jobs.overdue_jobs(session, limit=9) == [job.id]
    cancel(session, job)
    assert jobs.overdue_jobs(session, limit=9) == []


def test_a_deadline_counts_from_acceptance_and_retention_from_the_end(session: Session) -> None:
    upload = NewUpload(name="a.png", is_archive=False, blob_key="key", size_bytes=1)
    policy = GradcamPolicy.REVIEW
    job = jobs.create_job(
        session,
        name="job",
        uploads=[upload],
        gradcam=policy,
        review_threshold=None,
        cancel_after=timedelta(hours=1),
        retention_seconds=600,
    )
    assert job.cancel_after == job.created_at + timedelta(hours=1)
    assert job.expires_at is None
    cancel(session, job)
    assert job.expires_at == job.finished_at + timedelta(seconds=600)  # type: ignore[operator]  # set by the assertion before
