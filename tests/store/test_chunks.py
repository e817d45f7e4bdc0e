import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from store import chunks, jobs, predictions
from store.chunks import Claim
from store.models import Chunk, Job
from store.states import ChunkState, JobState
from tests.store.rows import LEASE_SECONDS, chunks_of, claim, finish, lose, make_running_job

MAX_ATTEMPTS = 3


def recover(session: Session, chunk_id: uuid.UUID) -> list[uuid.UUID]:
    """By a sweep or two, where nobody comes back in between."""
    values = {"max_attempts": MAX_ATTEMPTS, "grace_seconds": -1}
    return [*chunks.recover_chunk(session, chunk_id, **values), *chunks.recover_chunk(session, chunk_id, **values)]


def claim_and_lose(session: Session, chunk_id: uuid.UUID) -> list[uuid.UUID]:
    """A worker takes the chunk and dies."""
    claim(session, chunk_id)
    lose(session, chunk_id)
    return recover(session, chunk_id)


def only_chunk(session: Session, job: Job) -> Chunk:
    [chunk] = chunks_of(session, job)
    return chunk


def test_a_claim_knows_all_that_its_work_needs(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(2,))
    claimed = claim(session, only_chunk(session, job).id)
    assert (claimed.model_version, claimed.review_threshold, claimed.gradcam) == ("7", 0.9, job.gradcam)
    assert [item.ordinal for item in claimed.items] == [0, 1]
    assert claimed.uploads == {upload.id: upload for upload in job.uploads}
    chunk = only_chunk(session, job)
    assert (chunk.state, chunk.attempt, chunk.lease_token) == (ChunkState.LEASED, 1, claimed.token)


@pytest.mark.parametrize("finished", [False, True])
def test_a_chunk_that_is_taken_or_done_is_not_claimed(session: Session, finished: bool) -> None:
    job = make_running_job(session)
    claimed = claim(session, only_chunk(session, job).id)
    if finished:
        finish(session, claimed)
    assert chunks.claim_chunk(session, claimed.chunk_id, lease_seconds=LEASE_SECONDS) is None


def test_a_chunk_that_is_not_there_is_not_claimed(session: Session) -> None:
    assert chunks.claim_chunk(session, uuid.uuid4(), lease_seconds=LEASE_SECONDS) is None


def test_a_lease_is_renewed_by_its_holder_only(session: Session) -> None:
    job = make_running_job(session)
    claimed = claim(session, only_chunk(session, job).id, lease_seconds=1)
    before = only_chunk(session, job).lease_until
    assert not chunks.renew_lease(session, claimed.chunk_id, uuid.uuid4(), lease_seconds=LEASE_SECONDS)
    assert only_chunk(session, job).lease_until == before
    assert chunks.renew_lease(session, claimed.chunk_id, claimed.token, lease_seconds=LEASE_SECONDS)
    renewed = only_chunk(session, job).lease_until
    assert before
    assert renewed
    assert renewed - before == timedelta(seconds=LEASE_SECONDS - 1)


def test_a_lease_that_ended_is_not_renewed(session: Session) -> None:
    job = make_running_job(session)
    claimed = claim(session, only_chunk(session, job).id)
    finish(session, claimed)
    assert not chunks.renew_lease(session, claimed.chunk_id, claimed.token, lease_seconds=LEASE_SECONDS)


def test_a_released_chunk_waits_again_without_blame(session: Session) -> None:
    job = make_running_job(session)
    claimed = claim(session, only_chunk(session, job).id)
    chunks.release_chunk(session, replace(claimed, token=uuid.uuid4()), waits_for="It rains.")
    assert only_chunk(session, job).state == ChunkState.LEASED
    chunks.release_chunk(session, claimed, waits_for="It rains.")
    chunk = only_chunk(session, job)
    assert (chunk.state, chunk.attempt, chunk.lease_token, chunk.lease_until) == (ChunkState.READY, 0, None, None)
    assert not finish(session, claimed)


def test_a_job_shows_what_its_chunks_wait_for_until_it_goes_on(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(1, 1))
    first, _ = (chunk.id for chunk in chunks_of(session, job))
    chunks.release_chunk(session, claim(session, first), waits_for="It\0rains.")
    session.refresh(job)
    assert job.detail == "It\N{REPLACEMENT CHARACTER}rains."
    finish(session, claim(session, first))
    assert (job.state, job.detail) == (JobState.RUNNING, None)


def test_chunks_of_a_failed_job_are_neither_claimed_nor_finished_nor_expired(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(1, 1))
    held, waiting = (chunk.id for chunk in chunks_of(session, job))
    claimed = claim(session, held)
    assert jobs.fail_job(session, job.id, reason="model_gone", detail="Gone.")
    session.flush()
    assert chunks.claim_chunk(session, waiting, lease_seconds=LEASE_SECONDS) is None
    lose(session, held)
    assert chunks.expired_chunks(session, limit=10) == []
    assert not finish(session, claimed)
    assert (job.state, job.detail, job.processed) == (JobState.FAILED, "Gone.", 0)


def test_only_silent_workers_chunks_are_expired(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(1, 1, 1, 1))
    ready, held, silent, finished = (chunk.id for chunk in chunks_of(session, job))
    claim(session, held)
    claim(session, silent)
    finish(session, claim(session, finished))
    lose(session, silent)
    assert chunks.expired_chunks(session, limit=10) == [silent]
    assert ready not in chunks.expired_chunks(session, limit=10)


def test_a_chunk_whose_lease_still_runs_is_not_recovered(session: Session) -> None:
    job = make_running_job(session)
    claimed = claim(session, only_chunk(session, job).id)
    assert recover(session, claimed.chunk_id) == []
    assert finish(session, claimed)


def test_a_renewal_that_comes_just_in_time_wins_over_the_sweep(session: Session) -> None:
    job = make_running_job(session)
    claimed = claim(session, only_chunk(session, job).id)
    lose(session, claimed.chunk_id)
    assert chunks.expired_chunks(session, limit=10) == [claimed.chunk_id]
    assert chunks.renew_lease(session, claimed.chunk_id, claimed.token, lease_seconds=LEASE_SECONDS)
    assert recover(session, claimed.chunk_id) == []


def test_the_first_loss_offers_the_chunk_again_as_it_is(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(4,))
    chunk_id = only_chunk(session, job).id
    lost = claim(session, chunk_id)
    lose(session, chunk_id)
    assert recover(session, chunk_id) == [chunk_id]
    assert not finish(session, lost)
    assert finish(session, claim(session, chunk_id))
    assert (job.state, job.succeeded) == (JobState.COMPLETED, 4)


def test_the_second_loss_halves_the_chunk_and_every_further_one_the_half(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(5,))
    chunk_id = only_chunk(session, job).id
    claim_and_lose(session, chunk_id)
    halves = claim_and_lose(session, chunk_id)
    assert [[m["ordinal"] for m in chunk.members] for chunk in chunks_of(session, job)] == [[0, 1], [2, 3, 4]]
    assert {(chunk.state, chunk.attempt) for chunk in chunks_of(session, job)} == {(ChunkState.READY, 1)}
    assert len(claim_and_lose(session, halves[0])) == 2
    assert sorted(len(chunk.members) for chunk in chunks_of(session, job)) == [1, 1, 3]


def test_an_item_that_kills_every_worker_ends_alone_and_is_given_up(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(8,))
    deadly, deaths = 5, 0
    waiting = [only_chunk(session, job).id]
    while waiting:
        claimed = claim(session, waiting.pop(0))
        if any(item.ordinal == deadly for item in claimed.items):
            deaths += 1
            lose(session, claimed.chunk_id)
            waiting += recover(session, claimed.chunk_id)
        else:
            finish(session, claimed)
    rows = predictions.list_results(session, job, filters=predictions.Filters(), limit=10)
    assert [(row.ordinal, row.reason) for row in rows] == [(n, "worker_lost" if n == deadly else None) for n in range(8)]
    assert (job.state, job.total, job.succeeded, job.failed) == (JobState.COMPLETED, 8, 7, 1)
    assert deaths == 6  # whole twice, then half, quarter, and alone until its third attempt


def test_an_item_alone_is_given_up_after_its_last_attempt(session: Session) -> None:
    job = make_running_job(session)
    chunk_id = only_chunk(session, job).id
    assert claim_and_lose(session, chunk_id) == [chunk_id]
    assert claim_and_lose(session, chunk_id) == [chunk_id]
    assert claim_and_lose(session, chunk_id) == []
    [row] = predictions.list_results(session, job, filters=predictions.Filters(), limit=10)
    assert (row.reason, row.detail) == (
        "worker_lost",
        "The worker was lost at least 3 times while it read this item, so it was given up; the last time it fell silent.",
    )
    assert job.state == JobState.FAILED


def outlive(session: Session, claimed: Claim) -> list[uuid.UUID]:
    """An outage lasts longer than the lease, and the sweep is back before the worker."""
    lose(session, claimed.chunk_id)
    return list(chunks.recover_chunk(session, claimed.chunk_id, max_attempts=MAX_ATTEMPTS, grace_seconds=LEASE_SECONDS))


def attempts(session: Session, job: Job) -> list[tuple[int, int]]:
    return [(chunk.attempt, chunk.losses) for chunk in chunks_of(session, job)]


@pytest.mark.parametrize("size", [1, 2])
def test_outages_that_outlast_the_lease_blame_no_item_whose_worker_lives_on(session: Session, size: int) -> None:
    job = make_running_job(session, chunk_sizes=(size,))
    for _ in range(3 * MAX_ATTEMPTS):
        claimed = claim(session, only_chunk(session, job).id)
        assert outlive(session, claimed) == [claimed.chunk_id]
        chunks.release_chunk(session, claimed, waits_for="It rains.")
        chunks.release_chunk(session, claimed, waits_for="It rains.")
        assert attempts(session, job) == [(0, 0)]


def test_a_worker_that_comes_back_late_is_forgiven_in_halves_and_with_another_worker(session: Session) -> None:
    job = make_running_job(session, chunk_sizes=(2,))
    claim_and_lose(session, only_chunk(session, job).id)
    claimed = claim(session, only_chunk(session, job).id)
    halves = outlive(session, claimed)
    assert len(halves) == 2
    other = claim(session, halves[0])
    chunks.hand_back(session, claimed)
    assert attempts(session, job) == [(1, 0), (0, 0)]
    assert finish(session, other)


@pytest.mark.parametrize("comes_back", ["gives back", "renews", "finishes"])
def test_before_the_last_loss_counts_the_worker_may_show_that_it_lives(session: Session, comes_back: str) -> None:
    job = make_running_job(session)
    chunk_id = only_chunk(session, job).id
    for _ in range(MAX_ATTEMPTS - 1):
        claim_and_lose(session, chunk_id)
    claimed = claim(session, chunk_id)
    assert outlive(session, claimed) == []
    assert recover(session, chunk_id) == []
    if comes_back == "gives back":
        chunks.release_chunk(session, claimed, waits_for="It rains.")
        assert (only_chunk(session, job).state, attempts(session, job)) == (ChunkState.READY, [(2, 2)])
    elif comes_back == "renews":
        assert chunks.renew_lease(session, chunk_id, claimed.token, lease_seconds=LEASE_SECONDS)
        assert finish(session, claimed)
    else:
        assert finish(session, claimed)
