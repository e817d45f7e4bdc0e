"""Any order of planners that begin, finish, give back, die and come back: one plan for a job, and blame for losses alone."""

import uuid
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, update
from sqlalchemy.orm import Session

from store import chunks, jobs, lost_plans, planning
from store.database import Database
from store.lost_plans import SuspectPlan
from store.models import Job
from store.states import FINISHED_STATES, JobState
from tests.store.machine import StoreMachine
from tests.store.rows import LEASE_SECONDS, NOTHING, chunks_of, make_item, make_job

MAX_ATTEMPTS = 3
EXAMPLES, STEPS = 80, 40


@dataclass(frozen=True)
class Planner:
    token: uuid.UUID
    attempt: int


class PlanningMachine(StoreMachine):
    """One job, any number of planners. Whatever token a planner was ever given, it may use later, unless it was seen to die."""

    planners = Bundle("planners")
    suspects = Bundle("suspects")

    @initialize(earliest=st.integers(1, 6))
    def submit(self, earliest: int) -> None:
        """Nobody ends it before so many planners have begun."""
        with self.transaction() as session:
            self.job_id = make_job(session).id
        self.begun, self.earliest, self.is_over = 0, earliest, False
        self.tokens: set[uuid.UUID] = set()
        self.counted: set[uuid.UUID] = set()  # leases that were lost, and nobody has come back for
        self.last_silent: uuid.UUID | None = None
        self.plan: list[list[int]] | None = None

    @rule(target=planners)
    def begin(self) -> object:
        """A worker is told of the job, whatever its state."""
        with self.transaction() as session:
            was_queued = session.get_one(Job, self.job_id).state == JobState.QUEUED
            job = planning.begin_planning(session, self.job_id, lease_seconds=LEASE_SECONDS)
            assert (job is not None) == was_queued
            if job is None:
                return multiple()
            assert job.lease_token
            self.begun += 1
            self.tokens.add(job.lease_token)
            return Planner(job.lease_token, job.attempt)

    @rule(planner=planners)
    def renew(self, planner: Planner) -> None:
        with self.transaction() as session:
            held = self.holder(session) == planner.token
            assert planning.renew_planning(session, self.job_id, planner.token, lease_seconds=LEASE_SECONDS) == held

    @precondition(lambda self: self.begun >= self.earliest)
    @rule(planner=planners, sizes=st.lists(st.integers(1, 3), max_size=3))
    def finish(self, planner: Planner, sizes: list[int]) -> None:
        """With a plan, or by giving the job up, perhaps long after the lease was lost."""
        with self.transaction() as session:
            held = self.holder(session) == planner.token
            if planner.attempt > MAX_ATTEMPTS:
                failed = planning.fail_planning(session, self.job_id, planner.token, reason="worker_lost", detail="Lost.")
                assert failed == held
                assert not failed or len(self.counted) >= MAX_ATTEMPTS, "nobody came back for so many losses"
                return
            job = session.get_one(Job, self.job_id)
            ordinals = iter(range(sum(sizes)))
            plan = [[next(ordinals) for _ in range(size)] for size in sizes]
            members = [[chunks.member(make_item(job, ordinal)) for ordinal in part] for part in plan]
            written = planning.finish_planning(session, self.job_id, planner.token, replace(NOTHING, chunks=members))
            assert (written is not None) == held
        if held:
            assert self.plan is None, "a plan is written once"
            self.plan = plan

    @rule(planner=planners, waits=st.booleans())
    def give_back(self, planner: Planner, waits: bool) -> None:
        with self.transaction() as session:
            if waits:
                planning.release_planning(session, self.job_id, planner.token, waits_for="It rains.")
            else:
                planning.hand_back_planning(session, self.job_id, planner.token)
            if planner.token == self.last_silent and session.get_one(Job, self.job_id).state not in FINISHED_STATES:
                self.counted.discard(planner.token)

    @rule(target=suspects, planner=consumes(planners))
    def die(self, planner: Planner) -> object:
        """The planner's parent sees it die."""
        with self.transaction() as session:
            held = self.holder(session) == planner.token
            suspect = lost_plans.take_from_dead(session, self.job_id, planner.token, lease_seconds=LEASE_SECONDS)
            assert (suspect is not None) == held
        if suspect is None:
            return multiple()
        self.tokens.add(suspect.token)
        return suspect

    @rule(suspect=suspects)
    def renew_held(self, suspect: SuspectPlan) -> None:
        with self.transaction() as session:
            held = self.holder(session) == suspect.token
            assert planning.renew_planning(session, self.job_id, suspect.token, lease_seconds=LEASE_SECONDS) == held

    @rule(suspect=consumes(suspects), is_to_blame=st.booleans())
    def judge(self, suspect: SuspectPlan, is_to_blame: bool) -> None:
        """Its uploads killed the planner, or the worker is broken."""
        with self.transaction() as session:
            held = self.holder(session) == suspect.token
            ready = (lost_plans.settle if is_to_blame else lost_plans.forgive)(session, suspect)
            assert ready == ([self.job_id] if held else [])
        if held and is_to_blame:
            self.counted.add(suspect.token)

    @rule()
    def expire(self) -> None:
        """Whoever holds the job falls silent, for ever or not."""
        with self.transaction() as session:
            past = func.now() - timedelta(seconds=1)
            session.execute(update(Job).where(Job.id == self.job_id, Job.lease_until.is_not(None)).values(lease_until=past))

    @rule()
    def sweep(self) -> None:
        with self.transaction() as session:
            holder = self.holder(session)
            lost = planning.recover_planning(session, max_attempts=MAX_ATTEMPTS, grace_seconds=LEASE_SECONDS, limit=1000)
        if self.job_id in lost:
            assert holder
            self.counted.add(holder)
            self.last_silent = holder

    @precondition(lambda self: self.begun >= self.earliest)
    @rule()
    def cancel(self) -> None:
        with self.transaction() as session:
            jobs.request_cancel(session, self.job_id, reason="asked", detail="Somebody asked for it.")

    def holder(self, session: Session) -> uuid.UUID | None:
        """Whose token opens the way out of planning."""
        job = session.get_one(Job, self.job_id, populate_existing=True)
        return job.lease_token if job.state == JobState.PLANNING else None

    @invariant()
    def attempts_are_losses(self) -> None:
        with self.transaction() as session:
            job = session.get_one(Job, self.job_id)
        assert 0 <= job.attempt <= self.begun
        if job.state in (JobState.QUEUED, JobState.PLANNING):
            assert job.attempt == len(self.counted) + (job.state == JobState.PLANNING)
        assert job.losses >= len(self.counted)
        is_over = job.state in FINISHED_STATES
        assert is_over or not self.is_over, "a job that has ended stays so"
        self.is_over = is_over

    @invariant()
    def one_holds_it_while_it_is_planned(self) -> None:
        with self.transaction() as session:
            job = session.get_one(Job, self.job_id)
            holders = [token for token in self.tokens if planning.is_planning_wanted(session, self.job_id, token)]
        assert len(holders) == (job.state == JobState.PLANNING)
        assert (job.lease_token is not None) == (job.state == JobState.PLANNING)

    @invariant()
    def its_chunks_are_its_plan(self) -> None:
        with self.transaction() as session:
            job = session.get_one(Job, self.job_id)
            written = [[member["ordinal"] for member in chunk.members] for chunk in chunks_of(session, job)]
        if job.state not in FINISHED_STATES:  # the end takes what nobody has classified
            assert written == (self.plan or [])
        assert (job.started_at is not None) == (self.plan is not None)


@pytest.mark.timeout(120)
def test_a_job_is_planned_once_in_whatever_order_things_happen(database: Database) -> None:
    PlanningMachine.database = database
    chosen = settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    run_state_machine_as_test(PlanningMachine, settings=chosen)
