import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, update
from sqlalchemy.orm import Session

from store import chunks, hints, planning, predictions
from store.models import Job
from store.planning import Plan
from store.states import FINISHED_STATES, ItemStatus, JobState
from tests.store.rows import LEASE_SECONDS, NOTHING, begin, chunks_of, make_item, make_job


def expire_planning(session: Session, job: Job) -> None:
    past = func.now() - timedelta(seconds=1)
    session.execute(update(Job).where(Job.id == job.id).values(lease_until=past))


def recover(session: Session) -> Sequence[uuid.UUID]:
    return planning.recover_planning(session, max_attempts=2, grace_seconds=LEASE_SECONDS, limit=10)


def lose_planning(session: Session, job: Job) -> None:
    expire_planning(session, job)
    assert recover(session) == [job.id]


def on_its_last_attempt(session: Session) -> tuple[Job, uuid.UUID]:
    """A job whose last planner fell silent, and that planner's token: the sweep has given it time to show that it lives."""
    job = make_job(session)
    begin(session, job)
    lose_planning(session, job)
    last = begin(session, job)
    expire_planning(session, job)
    assert recover(session) == []
    return job, last


def test_one_planner_gets_a_job(session: Session) -> None:
    job = make_job(session)
    begin(session, job)
    assert (job.state, job.attempt) == (JobState.PLANNING, 1)
    assert planning.begin_planning(session, job.id, lease_seconds=LEASE_SECONDS) is None


def test_a_silent_planners_job_is_taken_over_and_its_plan_thrown_away(session: Session) -> None:
    job = make_job(session)
    first = begin(session, job)
    lose_planning(session, job)
    second = begin(session, job)
    assert job.attempt == 2
    assert planning.finish_planning(session, job.id, first, NOTHING) is None
    assert job.state == JobState.PLANNING
    assert not planning.renew_planning(session, job.id, first, lease_seconds=LEASE_SECONDS)
    assert planning.renew_planning(session, job.id, second, lease_seconds=LEASE_SECONDS)


def test_a_renewed_planning_is_not_taken_over(session: Session) -> None:
    job = make_job(session)
    token = begin(session, job)
    expire_planning(session, job)
    assert planning.renew_planning(session, job.id, token, lease_seconds=LEASE_SECONDS)
    assert planning.begin_planning(session, job.id, lease_seconds=LEASE_SECONDS) is None


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
    chunk_ids = planning.finish_planning(session, job.id, begin(session, job), plan)
    assert [chunk.id for chunk in chunks_of(session, job)] == chunk_ids
    assert (job.state, job.model_version, job.review_threshold) == (JobState.RUNNING, "7", 0.8)
    assert (job.total, job.skipped, job.failed, job.processed) == (4, 1, 1, 2)
    assert job.lease_token is None


def test_a_released_job_waits_again_without_blame(session: Session) -> None:
    job = make_job(session)
    token = begin(session, job)
    planning.release_planning(session, job.id, uuid.uuid4(), waits_for="It rains.")
    session.refresh(job)
    assert job.state == JobState.PLANNING
    planning.release_planning(session, job.id, token, waits_for="It rains.")
    session.refresh(job)
    assert (job.state, job.attempt, job.lease_token, job.detail) == (JobState.QUEUED, 0, None, "It rains.")
    planning.finish_planning(session, job.id, begin(session, job), replace(NOTHING, chunks=[[chunks.member(make_item(job))]]))
    assert (job.state, job.detail) == (JobState.RUNNING, None)


def test_planning_is_failed_by_its_planner_only(session: Session) -> None:
    job = make_job(session)
    slept = begin(session, job)
    lose_planning(session, job)
    token = begin(session, job)
    assert not planning.fail_planning(session, job.id, slept, reason="worker_lost", detail="Lost.")
    assert job.state == JobState.PLANNING
    assert planning.fail_planning(session, job.id, token, reason="worker_lost", detail="Lost.")
    session.flush()
    session.refresh(job)
    assert (job.state, job.reason, job.lease_token) == (JobState.FAILED, "worker_lost", None)
    assert job.finished_at


def test_a_job_with_nothing_to_classify_is_closed_by_its_plan(session: Session) -> None:
    job = make_job(session)
    planning.finish_planning(session, job.id, begin(session, job), NOTHING)
    assert (job.state, job.reason, job.detail) == (JobState.FAILED, "no_result", "The upload holds no items.")


def test_a_job_whose_planner_fell_silent_is_queued_again_and_due_at_once(session: Session) -> None:
    held, silent = make_job(session), make_job(session)
    begin(session, held)
    token = begin(session, silent)
    expire_planning(session, silent)
    assert recover(session) == [silent.id]
    session.refresh(silent)
    assert (silent.state, silent.attempt, silent.lease_token) == (JobState.QUEUED, 1, None)
    assert not planning.renew_planning(session, silent.id, token, lease_seconds=LEASE_SECONDS)
    assert hints.unannounced(session, Job, limit=10) == [silent.id]


def test_due_plans_are_those_that_nobody_works_on(session: Session) -> None:
    fresh, waiting, silent, planned = (make_job(session) for _ in range(4))
    past = func.now() - timedelta(seconds=30)
    session.execute(update(Job).where(Job.id.in_([waiting.id, silent.id, planned.id])).values(hinted_at=past))
    begin(session, silent)
    begin(session, planned)
    expire_planning(session, silent)
    due = hints.due(session, Job, hint_seconds=20, limit=10)
    assert set(due) == {waiting.id}
    assert fresh.id not in due
    assert hints.due(session, Job, hint_seconds=20, limit=10) == []  # they were announced just now


def test_a_planner_that_an_outage_kept_from_renewing_is_not_blamed(session: Session) -> None:
    job = make_job(session)
    kept_waiting = begin(session, job)
    lose_planning(session, job)
    planning.hand_back_planning(session, job.id, kept_waiting)
    session.refresh(job)
    assert (job.state, job.attempt) == (JobState.QUEUED, 0)
    planning.hand_back_planning(session, job.id, kept_waiting)
    session.refresh(job)
    assert job.attempt == 0


def test_a_planner_that_comes_back_when_another_plans_leaves_that_one_its_lease(session: Session) -> None:
    job = make_job(session)
    kept_waiting = begin(session, job)
    lose_planning(session, job)
    second = begin(session, job)
    planning.release_planning(session, job.id, kept_waiting, waits_for="It rains.")
    session.refresh(job)
    assert (job.state, job.attempt, job.lease_token, job.detail) == (JobState.PLANNING, 1, second, None)


def test_a_planner_that_comes_back_after_another_gave_back_is_not_blamed_either(session: Session) -> None:
    job = make_job(session)
    kept_waiting = begin(session, job)
    lose_planning(session, job)
    planning.release_planning(session, job.id, begin(session, job), waits_for="It rains.")
    planning.hand_back_planning(session, job.id, kept_waiting)
    session.refresh(job)
    assert job.attempt == 0


def test_a_last_planner_that_gives_back_twice_is_forgiven_once(session: Session) -> None:
    job, last = on_its_last_attempt(session)
    for _ in range(2):
        planning.hand_back_planning(session, job.id, last)
        session.refresh(job)
        assert job.attempt == 1


def test_before_a_job_is_given_up_its_last_planner_may_show_that_it_lives(session: Session) -> None:
    job, last = on_its_last_attempt(session)
    assert planning.renew_planning(session, job.id, last, lease_seconds=LEASE_SECONDS)
    expire_planning(session, job)
    assert recover(session) == [job.id]  # it had its chance


def test_no_job_is_taken_on_its_last_attempt_without_a_chance_for_its_planner_however_many_there_are(session: Session) -> None:
    made = [make_job(session) for _ in range(2)]
    for job in made:
        begin(session, job)
        expire_planning(session, job)
    for _ in made:
        assert planning.recover_planning(session, max_attempts=1, grace_seconds=LEASE_SECONDS, limit=1) == []
    for job in made:
        session.refresh(job)
        assert (job.state, job.lost_token) == (JobState.PLANNING, job.lease_token)


@pytest.mark.parametrize("state", sorted(FINISHED_STATES))
def test_a_finished_job_is_not_planned_again(session: Session, state: JobState) -> None:
    job = make_job(session)
    session.execute(update(Job).where(Job.id == job.id).values(state=state))
    assert planning.begin_planning(session, job.id, lease_seconds=LEASE_SECONDS) is None
    assert hints.due(session, Job, hint_seconds=-1, limit=10) == []
