"""What a process that died with items in hand leaves to others: the suspects apart, the innocents without blame."""

import uuid
from collections.abc import Collection
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from store import chunks, hints, jobs, losses, predictions
from store.losses import Loss, Suspect
from store.models import Chunk, Job
from store.states import ChunkState, JobState
from tests.store.rows import LEASE_SECONDS, chunks_of, claim, finish, make_running_job


def die(session: Session, chunk_id: uuid.UUID, ordinals: Collection[int]) -> Loss:
    """A process claims the chunk and dies."""
    claimed = claim(session, chunk_id)
    loss = losses.take_from_dead(session, chunk_id, claimed.token, ordinals=ordinals, lease_seconds=LEASE_SECONDS)
    assert loss
    return loss


def suspect_of(loss: Loss) -> Suspect:
    assert loss.suspect
    return loss.suspect


def settle(session: Session, suspect: Suspect) -> list[uuid.UUID]:
    return list(losses.settle(session, suspect, max_attempts=3, how="it was killed by SIGSEGV"))


def held(session: Session, job: Job) -> dict[tuple[int, ...], tuple[ChunkState, int, int]]:
    """Ordinals → state, attempts and losses of the chunk that they are in."""
    return {
        tuple(member["ordinal"] for member in chunk.members): (chunk.state, chunk.attempt, chunk.losses)
        for chunk in chunks_of(session, job)
    }


def test_the_suspect_is_held_alone_and_the_innocents_wait_without_blame_and_in_another_order(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(6,))
    chunk_id = chunks_of(session, job)[0].id
    loss = die(session, chunk_id, [1])
    assert loss.ready == [chunk_id]
    assert suspect_of(loss).is_first
    assert held(session, job) == {(3, 4, 5, 0, 2): (ChunkState.READY, 0, 0), (1,): (ChunkState.LEASED, 1, 1)}
    assert chunks.claim_chunk(session, suspect_of(loss).chunk_id, lease_seconds=LEASE_SECONDS) is None
    assert hints.unannounced(session, Chunk, limit=10) == [chunk_id]  # whoever tells of it, it is due


def test_an_item_is_given_up_after_its_third_loss_and_says_how_its_worker_died(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(3,))
    whole = chunks_of(session, job)[0].id
    loss = die(session, whole, [2])
    alone = suspect_of(loss).chunk_id
    assert settle(session, suspect_of(loss)) == [alone]
    for ready in ([alone], []):
        loss = die(session, alone, [2])
        assert not suspect_of(loss).is_first
        assert settle(session, suspect_of(loss)) == ready
    finish(session, claim(session, whole))
    rows = predictions.list_results(session, job, filters=predictions.Filters(), limit=10)
    assert [(row.ordinal, row.reason) for row in rows] == [(0, None), (1, None), (2, "worker_lost")]
    assert rows[2].detail == (
        "The worker was lost at least 3 times while it read this item, so it was given up; "
        "the last time it was killed by SIGSEGV."
    )
    assert job.state == JobState.COMPLETED


def test_several_suspects_are_halved_when_they_crash_again(session: Session) -> None:
    """As after a crash of the model with a batch of images."""
    job = make_running_job(session, chunk_sizes=(6,))
    loss = die(session, chunks_of(session, job)[0].id, [0, 1, 2, 3])
    [together] = settle(session, suspect_of(loss))
    assert len(settle(session, suspect_of(die(session, together, [0, 1, 2, 3])))) == 2
    assert set(held(session, job)) == {(5, 4), (0, 1), (2, 3)}


def test_a_process_that_dies_with_no_item_in_hand_blames_none(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(2,))
    chunk_id = chunks_of(session, job)[0].id
    for _ in range(5):
        assert die(session, chunk_id, []) == Loss(None, [chunk_id])
    assert held(session, job) == {(0, 1): (ChunkState.READY, 0, 0)}


def test_a_suspect_that_is_forgiven_waits_again_and_is_no_longer_new(session: Session) -> None:
    job = make_running_job(session)
    chunk_id = chunks_of(session, job)[0].id
    loss = die(session, chunk_id, [0])
    assert losses.forgive(session, suspect_of(loss)) == [chunk_id]
    assert held(session, job) == {(0,): (ChunkState.READY, 0, 1)}
    assert not suspect_of(die(session, chunk_id, [0])).is_first


def test_a_chunk_whose_lease_ran_out_is_no_longer_new_either(session: Session) -> None:
    job = make_running_job(session)
    chunk_id = chunks_of(session, job)[0].id
    claim(session, chunk_id, lease_seconds=-1)
    chunks.recover_chunk(session, chunk_id, max_attempts=3, grace_seconds=LEASE_SECONDS)
    assert not suspect_of(die(session, chunk_id, [0])).is_first


@pytest.mark.parametrize("move", [settle, losses.forgive])
def test_who_no_longer_holds_the_suspect_moves_nothing(session: Session, move: object) -> None:
    job = make_running_job(session)
    chunk_id = chunks_of(session, job)[0].id
    suspect = suspect_of(die(session, chunk_id, [0]))
    session.execute(update(Chunk).values(lease_until=Chunk.hinted_at - timedelta(days=1)))
    chunks.recover_chunk(session, chunk_id, max_attempts=3, grace_seconds=LEASE_SECONDS)  # the parent that held it died, too
    claimed = claim(session, chunk_id)
    assert move(session, suspect) == []  # type: ignore[operator]  # one of two functions
    assert finish(session, claimed)


def test_a_chunk_that_was_finished_or_given_to_another_is_not_taken(session: Session) -> None:
    job = make_running_job(session)
    claimed = claim(session, chunks_of(session, job)[0].id)

    def take(chunk_id: uuid.UUID, token: uuid.UUID) -> Loss | None:
        return losses.take_from_dead(session, chunk_id, token, ordinals=[0], lease_seconds=LEASE_SECONDS)

    assert take(claimed.chunk_id, uuid.uuid4()) is None
    assert finish(session, claimed)
    assert take(claimed.chunk_id, claimed.token) is None
    assert take(uuid.uuid4(), claimed.token) is None
    assert held(session, job) == {(0,): (ChunkState.DONE, 1, 0)}


def test_a_job_that_is_being_cancelled_ends_when_its_last_worker_dies(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(2,))
    chunk_id = chunks_of(session, job)[0].id
    claimed = claim(session, chunk_id)
    assert jobs.request_cancel(session, job.id, reason="cancelled", detail="Enough.").state == JobState.CANCELLING
    assert losses.take_from_dead(session, chunk_id, claimed.token, ordinals=[0], lease_seconds=1) == Loss(None)
    assert session.get_one(Job, job.id, populate_existing=True).state == JobState.CANCELLED


def test_a_chunk_that_is_handed_back_waits_without_blame_and_at_once(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(2,))
    claimed = claim(session, chunks_of(session, job)[0].id)
    assert chunks.is_wanted(session, claimed.chunk_id, claimed.token)
    chunks.hand_back(session, claimed)
    assert not chunks.is_wanted(session, claimed.chunk_id, claimed.token)
    assert held(session, job) == {(0, 1): (ChunkState.READY, 0, 0)}
    assert hints.unannounced(session, Chunk, limit=10) == [claimed.chunk_id]
