"""What a planner's process that was seen to die leaves: its job, held until it is clear who is to blame."""

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import func, update
from sqlalchemy.orm import Session

from store import hints, jobs, lost_plans, planning
from store.lost_plans import SuspectPlan
from store.models import Job
from store.states import JobState
from tests.store.rows import LEASE_SECONDS, NOTHING, begin, make_job


def die(session: Session, job: Job) -> SuspectPlan:
    """A process begins to plan the job and dies."""
    suspect = lost_plans.take_from_dead(session, job.id, begin(session, job), lease_seconds=LEASE_SECONDS)
    assert suspect
    session.refresh(job)
    return suspect


def test_a_job_whose_planner_died_is_held_under_another_lease(session: Session) -> None:
    job = make_job(session)
    token = begin(session, job)
    suspect = lost_plans.take_from_dead(session, job.id, token, lease_seconds=LEASE_SECONDS)
    assert suspect
    session.refresh(job)
    assert (job.state, job.lease_token, job.attempt, job.losses) == (JobState.PLANNING, suspect.token, 1, 1)
    assert planning.begin_planning(session, job.id, lease_seconds=LEASE_SECONDS) is None
    assert planning.finish_planning(session, job.id, token, NOTHING) is None
    assert planning.renew_planning(session, job.id, suspect.token, lease_seconds=LEASE_SECONDS)


@pytest.mark.parametrize(("move", "attempts"), [(lost_plans.settle, 1), (lost_plans.forgive, 0)])
def test_it_waits_again_and_the_attempt_counts_if_it_is_to_blame(session: Session, move: object, attempts: int) -> None:
    job = make_job(session)
    suspect = die(session, job)
    assert move(session, suspect) == [job.id]  # type: ignore[operator]  # one of two functions
    session.refresh(job)
    assert (job.state, job.attempt, job.losses, job.lease_token) == (JobState.QUEUED, attempts, 1, None)
    assert hints.unannounced(session, Job, limit=10) == [job.id]  # whoever tells of it, it is due
    assert move(session, suspect) == []  # type: ignore[operator]  # one of two functions


def test_only_the_first_loss_speaks_against_a_worker(session: Session) -> None:
    """Else jobs of nothing but deadly uploads would stop every worker for ever."""
    job = make_job(session)
    first = die(session, job)
    assert first.is_first
    lost_plans.forgive(session, first)
    assert not die(session, job).is_first


def test_a_job_whose_planner_fell_silent_is_no_longer_new_either(session: Session) -> None:
    job = make_job(session)
    begin(session, job)
    expire(session, job)
    assert recover(session) == [job.id]
    assert not die(session, job).is_first


def test_a_held_job_whose_holder_dies_too_is_recovered_and_the_attempt_counts(session: Session) -> None:
    job = make_job(session)
    suspect = die(session, job)
    expire(session, job)
    assert recover(session) == [job.id]
    token = begin(session, job)
    assert lost_plans.settle(session, suspect) == lost_plans.forgive(session, suspect) == []
    session.refresh(job)
    assert (job.attempt, job.lease_token) == (2, token)


def test_a_job_that_was_planned_or_given_to_another_is_not_taken(session: Session) -> None:
    job = make_job(session)
    token = begin(session, job)
    assert lost_plans.take_from_dead(session, job.id, uuid.uuid4(), lease_seconds=LEASE_SECONDS) is None
    planning.finish_planning(session, job.id, token, NOTHING)
    session.flush()
    assert lost_plans.take_from_dead(session, job.id, token, lease_seconds=LEASE_SECONDS) is None


def test_a_held_job_can_be_cancelled(session: Session) -> None:
    job = make_job(session)
    suspect = die(session, job)
    assert jobs.request_cancel(session, job.id, reason="cancelled", detail="Enough.").state == JobState.CANCELLED
    assert lost_plans.settle(session, suspect) == []
    session.refresh(job)
    assert job.state == JobState.CANCELLED


def test_a_silent_planner_may_come_back_after_the_next_one_was_seen_to_die(session: Session) -> None:
    job = make_job(session)
    silent = begin(session, job)
    expire(session, job)
    recover(session)
    suspect = die(session, job)
    planning.hand_back_planning(session, job.id, silent)
    lost_plans.settle(session, suspect)
    session.refresh(job)
    assert job.attempt == 1


def expire(session: Session, job: Job) -> None:
    session.execute(update(Job).where(Job.id == job.id).values(lease_until=func.now() - timedelta(seconds=1)))


def recover(session: Session) -> list[uuid.UUID]:
    return list(planning.recover_planning(session, max_attempts=3, grace_seconds=LEASE_SECONDS, limit=10))
