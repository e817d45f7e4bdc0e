"""Any order of claims, losses, late answers and cancellations: one result for each item, and counts that equal the rows."""

import uuid
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select
from sqlalchemy.orm import Session

from store import chunks, jobs, losses
from store.chunks import Claim
from store.database import Database
from store.losses import Suspect
from store.models import Chunk, Job, Prediction
from store.states import FINISHED_STATES, ChunkState, ItemStatus, JobState
from tests.store.machine import StoreMachine
from tests.store.rows import LEASE_SECONDS, finish, lose, make_running_job

MAX_ATTEMPTS = 3
EXAMPLES, STEPS = 60, 30


class LeaseMachine(StoreMachine):
    """One job, any number of workers. Whatever token a worker was ever given, it may use at any later time."""

    claims = Bundle("claims")
    suspects = Bundle("suspects")

    @initialize(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4))
    def plan(self, sizes: list[int]) -> None:
        with self.transaction() as session:
            job = make_running_job(session, chunk_sizes=sizes)
            self.job_id, self.items = job.id, sum(sizes)
        self.finished: set[uuid.UUID] = set()
        self.seen_rows, self.is_cancelled, self.is_over = 0, False, False

    @rule(target=claims, choice=st.randoms(use_true_random=False))
    def claim(self, choice: object) -> Claim | None:
        """A worker is told of some chunk, whatever its state."""
        with self.transaction() as session:
            ids = list(session.scalars(select(Chunk.id).where(Chunk.job_id == self.job_id).order_by(Chunk.id)))
            if not ids:
                return None
            chunk_id = choice.choice(ids)  # type: ignore[attr-defined]  # a random.Random
            before = session.get_one(Chunk, chunk_id).state
            claimed = chunks.claim_chunk(session, chunk_id, lease_seconds=LEASE_SECONDS)
            assert claimed is None or before == ChunkState.READY
            return claimed

    @rule(claimed=claims)
    def renew(self, claimed: Claim | None) -> None:
        if claimed:
            with self.transaction() as session:
                held = self.holds(session, claimed)
                assert chunks.renew_lease(session, claimed.chunk_id, claimed.token, lease_seconds=LEASE_SECONDS) == held

    @rule(claimed=claims)
    def answer(self, claimed: Claim | None) -> None:
        """Finish, perhaps long after the lease was lost, perhaps for the second time."""
        if claimed:
            with self.transaction() as session:
                may = self.holds(session, claimed) and session.get_one(Job, self.job_id).state not in FINISHED_STATES
                assert finish(session, claimed) == may
            if may:
                assert claimed.chunk_id not in self.finished
                self.finished.add(claimed.chunk_id)

    @rule(claimed=claims)
    def release(self, claimed: Claim | None) -> None:
        if claimed:
            with self.transaction() as session:
                chunks.release_chunk(session, claimed, waits_for="It rains.")

    @rule(claimed=claims)
    def hand_back(self, claimed: Claim | None) -> None:
        if claimed:
            with self.transaction() as session:
                chunks.hand_back(session, claimed)

    @rule(target=suspects, claimed=claims, in_hand=st.integers(0, 3))
    def die(self, claimed: Claim | None, in_hand: int) -> Suspect | None:
        """The worker's parent sees it die, with the first few items of its chunk in hand."""
        if claimed is None:
            return None
        ordinals = [item.ordinal for item in claimed.items[:in_hand]]
        with self.transaction() as session:
            held = self.holds(session, claimed)
            loss = losses.take_from_dead(
                session, claimed.chunk_id, claimed.token, ordinals=ordinals, lease_seconds=LEASE_SECONDS
            )
            assert (loss is not None) == held
            return loss.suspect if loss else None

    @rule(suspect=consumes(suspects), is_to_blame=st.booleans())
    def judge(self, suspect: Suspect | None, is_to_blame: bool) -> None:
        """Its items killed the worker, or the worker is broken."""
        if suspect:
            with self.transaction() as session:
                if is_to_blame:
                    losses.settle(session, suspect, max_attempts=MAX_ATTEMPTS, how="it died")
                else:
                    losses.forgive(session, suspect)

    @rule(claimed=consumes(claims))
    def expire(self, claimed: Claim | None) -> None:
        """The worker falls silent, and its lease runs out; nothing is heard of this claim again, unless it is held twice."""
        if claimed:
            with self.transaction() as session:
                if self.holds(session, claimed):
                    lose(session, claimed.chunk_id)

    @rule(claimed=claims)
    def expire_and_wake_later(self, claimed: Claim | None) -> None:
        """The worker is frozen past its lease; its token goes on being used."""
        if claimed:
            with self.transaction() as session:
                if self.holds(session, claimed):
                    lose(session, claimed.chunk_id)

    @rule()
    def sweep(self) -> None:
        with self.transaction() as session:
            expired = chunks.expired_chunks(session, limit=100)
        for chunk_id in expired:
            with self.transaction() as session:
                chunks.recover_chunk(session, chunk_id, max_attempts=MAX_ATTEMPTS, grace_seconds=LEASE_SECONDS)
        with self.transaction() as session:
            unclosed = jobs.unclosed_jobs(session, limit=100)
            unsettled = jobs.unsettled_jobs(session, limit=100)
        assert unclosed == [], "whoever finishes the last chunk closes the job"
        for job_id in unsettled:
            with self.transaction() as session:
                jobs.settle_cancelled(session, job_id)

    @precondition(lambda self: len(self.finished) > 0)
    @rule()
    def cancel(self) -> None:
        with self.transaction() as session:
            job = jobs.request_cancel(session, self.job_id, reason="asked", detail="Somebody asked for it.")
            self.is_cancelled = self.is_cancelled or job.state in (JobState.CANCELLING, JobState.CANCELLED)

    @staticmethod
    def holds(session: Session, claimed: Claim) -> bool:
        """Whether nobody else has had the chunk since, and it is not done."""
        chunk = session.get(Chunk, claimed.chunk_id, populate_existing=True)
        return chunk is not None and chunk.state == ChunkState.LEASED and chunk.lease_token == claimed.token

    @invariant()
    def everything_is_accounted_for(self) -> None:
        with self.transaction() as session:
            job = session.get_one(Job, self.job_id)
            rows = session.execute(select(Prediction.ordinal, Prediction.status).where(Prediction.job_id == job.id)).all()
            open_chunks = session.scalars(select(Chunk).where(Chunk.job_id == job.id, Chunk.state != ChunkState.DONE))
            waiting = [(chunk.state, member["ordinal"]) for chunk in open_chunks for member in chunk.members]
        answered = [ordinal for ordinal, _ in rows]
        accounted = sorted(answered + [ordinal for _, ordinal in waiting])
        if job.state in FINISHED_STATES:
            assert len(set(accounted)) == len(accounted), "no item is answered twice"
            assert {state for state, _ in waiting} <= {ChunkState.LEASED}, "no chunk waits for a job that has ended"
        else:
            assert accounted == list(range(self.items)), "each item is answered once, or in one open chunk"
        assert len(answered) >= self.seen_rows, "a written result stays"
        assert len(answered) == self.seen_rows or not self.is_over, "nothing is written for a job that has ended"
        self.seen_rows = len(answered)
        statuses = Counter(status for _, status in rows)
        assert (job.succeeded, job.failed) == (statuses[ItemStatus.SUCCEEDED], statuses[ItemStatus.FAILED])
        assert (job.total, job.processed) == (self.items, len(answered))
        is_over = job.state in FINISHED_STATES
        assert is_over or not self.is_over, "a job that has ended stays so"
        assert is_over == (job.finished_at is not None)
        assert self.is_cancelled or is_over == (len(answered) == self.items)
        self.is_over = is_over


@pytest.mark.timeout(120)
def test_one_result_for_each_item_in_whatever_order_things_happen(database: Database) -> None:
    LeaseMachine.database = database
    chosen = settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    run_state_machine_as_test(LeaseMachine, settings=chosen)
