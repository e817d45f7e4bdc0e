"""Chunks and their leases. A worker that slept past its lease holds a token that nobody honours any more.

Only the database's clock counts. Attempts are counted at the claim, before the first byte is decoded, so that an item that
kills its worker is noticed however it does so: its chunk is split until it is alone, and then it is given up.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import Session

from store import jobs, predictions
from store.base import new_id
from store.models import NEVER_HINTED, Chunk, Job, Upload
from store.predictions import Item
from store.states import FINISHED_STATES, ChunkState, GradcamPolicy, JobState

RUNNING_JOBS = select(Job.id).where(Job.state == JobState.RUNNING)
"""Those whose chunks are wanted."""

_EXPIRED = (Chunk.state == ChunkState.LEASED) & (Chunk.lease_until < func.now())


def held(token: uuid.UUID) -> ColumnElement[bool]:
    """Chunks under the lease of that token."""
    return (Chunk.state == ChunkState.LEASED) & (Chunk.lease_token == token)


@dataclass(frozen=True, slots=True)
class Claim:
    """A chunk in a worker's hands, with all that it needs to know of the job; every later write carries `token`."""

    chunk_id: uuid.UUID
    job_id: uuid.UUID
    token: uuid.UUID
    model_version: str
    review_threshold: float
    gradcam: GradcamPolicy
    items: Sequence[Item]
    uploads: dict[uuid.UUID, Upload]


def claim_chunk(session: Session, chunk_id: uuid.UUID, *, lease_seconds: float, token: uuid.UUID | None = None) -> Claim | None:
    """ready → leased, under `token` or a new one. None when somebody else has it, or it is done, or its job no longer runs."""
    chunk = session.scalars(
        update(Chunk)
        .where(Chunk.id == chunk_id, Chunk.state == ChunkState.READY, Chunk.job_id.in_(RUNNING_JOBS))
        .values(
            state=ChunkState.LEASED,
            attempt=Chunk.attempt + 1,
            lease_token=token or new_id(),
            lease_until=func.now() + timedelta(seconds=lease_seconds),
        )
        .returning(Chunk)
    ).one_or_none()
    return _read_claim(session, chunk) if chunk else None


def _read_claim(session: Session, chunk: Chunk) -> Claim:
    job = session.get_one(Job, chunk.job_id)
    items = [_item(member) for member in chunk.members]
    needed = {item.upload_id for item in items}
    uploads = session.scalars(select(Upload).where(Upload.id.in_(needed))).all()
    assert chunk.lease_token  # set when leased
    assert job.model_version  # pinned when planned
    assert job.review_threshold is not None
    return Claim(
        chunk_id=chunk.id,
        job_id=chunk.job_id,
        token=chunk.lease_token,
        model_version=job.model_version,
        review_threshold=job.review_threshold,
        gradcam=job.gradcam,
        items=items,
        uploads={upload.id: upload for upload in uploads},
    )


def member(item: Item) -> dict[str, Any]:
    """An item as a chunk stores it."""
    return {"ordinal": item.ordinal, "upload": str(item.upload_id), "index": item.member_index, "file": item.file}


def _item(stored: dict[str, Any]) -> Item:
    return Item(
        ordinal=stored["ordinal"], upload_id=uuid.UUID(stored["upload"]), member_index=stored["index"], file=stored["file"]
    )


def renew_lease(session: Session, chunk_id: uuid.UUID, token: uuid.UUID, *, lease_seconds: float) -> bool:
    """Hold the chunk for another `lease_seconds`; False when it was given to somebody else."""
    renewed = session.scalars(
        update(Chunk)
        .where(Chunk.id == chunk_id, held(token))
        .values(lease_until=func.now() + timedelta(seconds=lease_seconds))
        .returning(Chunk.id)
    )
    return renewed.one_or_none() is not None


def is_wanted(session: Session, chunk_id: uuid.UUID, token: uuid.UUID) -> bool:
    """Whether whoever holds `token` still has the chunk, and its job still wants the answer."""
    ours = (Chunk.id == chunk_id) & held(token)
    return bool(session.scalar(select(exists().where(ours, Chunk.job_id == Job.id, Job.state == JobState.RUNNING))))


def hand_back(session: Session, claim: Claim) -> None:
    """leased → ready without blame, to be announced at once: its worker stops, or its job was cancelled, which may end it.

    If the lease ran out meanwhile, the loss is forgiven. Of a job that has ended no chunk comes back: it is deleted.
    """
    _give_back(session, claim, hinted_at=NEVER_HINTED)


def release_chunk(session: Session, claim: Claim, *, waits_for: str) -> None:
    """leased → ready without blame: the worker is well, but something around it is missing. The sweep announces it again, and
    the job shows the cause meanwhile. If the lease ran out meanwhile, the loss is forgiven.
    """
    jobs.note_waiting(session, claim.job_id, waits_for)
    _give_back(session, claim, hinted_at=func.now())


def _give_back(session: Session, claim: Claim, *, hinted_at: Any) -> None:
    job = jobs.lock_job(session, claim.job_id)  # the job before the chunk
    if job.state in FINISHED_STATES:
        session.execute(delete(Chunk).where(Chunk.id == claim.chunk_id, held(claim.token)))
        return
    _forgive_loss(session, claim)
    ready = {"state": ChunkState.READY, "lease_token": None, "lease_until": None, "lost_token": None}
    ours = update(Chunk).where(Chunk.id == claim.chunk_id, held(claim.token))
    session.execute(ours.values(**ready, attempt=Chunk.attempt - 1, hinted_at=hinted_at))
    jobs.settle_cancelled(session, claim.job_id)


def _forgive_loss(session: Session, claim: Claim) -> None:
    """Who comes back with a lease that ran out was kept from renewing it, by an outage perhaps, and was killed by no item.

    It may be in halves by now, or with another worker, whose own claim counts as before.
    """
    lost = (Chunk.lost_token == claim.token) & Chunk.lease_token.is_distinct_from(claim.token)
    session.execute(
        update(Chunk)
        .where(Chunk.job_id == claim.job_id, lost, Chunk.state != ChunkState.DONE)
        .values(attempt=func.greatest(Chunk.attempt - 1, 0), losses=func.greatest(Chunk.losses - 1, 0), lost_token=None)
    )


def expired_chunks(session: Session, *, limit: int) -> Sequence[uuid.UUID]:
    """Chunks whose worker fell silent."""
    query = select(Chunk.id).where(_EXPIRED, Chunk.job_id.in_(RUNNING_JOBS))
    return session.scalars(query.order_by(Chunk.lease_until).limit(limit)).all()


def recover_chunk(session: Session, chunk_id: uuid.UUID, *, max_attempts: int, grace_seconds: float) -> Sequence[uuid.UUID]:
    """Take a chunk from its silent worker; the ids of the chunks to announce, which count as never announced.

    The first time it is offered again as it is. After that it is halved, so that an item that kills its worker ends alone in
    its chunk. Alone, it fails with the reason `worker_lost` after `max_attempts` losses, of which those that it had a part in
    before the split count as one. Before that its worker has `grace_seconds` to show that it lives: nobody has seen it die, and
    after an outage the sweep may be the first to be back.
    """
    chunk = lock_chunk(session, chunk_id, _EXPIRED)
    if chunk is None or forget_if_over(session, chunk):
        return []
    if _is_last_attempt(chunk, max_attempts) and chunk.lost_token != chunk.lease_token:
        chunk.lost_token = chunk.lease_token
        chunk.lease_until = func.now() + timedelta(seconds=grace_seconds)
        return []
    chunk.losses += 1
    chunk.lost_token = chunk.lease_token
    return put_back(session, chunk, max_attempts=max_attempts, how="it fell silent")


def _is_last_attempt(chunk: Chunk, max_attempts: int) -> bool:
    return len(chunk.members) == 1 and chunk.attempt >= max_attempts


def put_back(session: Session, chunk: Chunk, *, max_attempts: int, how: str) -> Sequence[uuid.UUID]:
    """leased → ready, or split, or done, with the loss counted against its items; the caller holds the locks of job and chunk.

    `how` says how the worker was lost. The ids of the chunks to announce.
    """
    if len(chunk.members) > 1 and chunk.attempt > 1:
        return _split(session, chunk)
    if _is_last_attempt(chunk, max_attempts):
        _give_up(session, chunk, how)
        return []
    offer(chunk)
    return [chunk.id]


def lock_chunk(session: Session, chunk_id: uuid.UUID, condition: ColumnElement[bool]) -> Chunk | None:
    """The chunk, if it meets the condition, until this transaction ends.

    The job before the chunk, as in `jobs.finish_chunk`: else a late finish and a recovery could wait for each other.
    """
    job_id = session.scalar(select(Chunk.job_id).where(Chunk.id == chunk_id))
    if job_id is None:
        return None
    jobs.lock_job(session, job_id)
    query = select(Chunk).where(Chunk.id == chunk_id, condition).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def forget_if_over(session: Session, chunk: Chunk) -> bool:
    """Whether the chunk's job, which the caller has locked, has ended; then the chunk is deleted: nobody wants it again."""
    if session.get_one(Job, chunk.job_id).state not in FINISHED_STATES:
        return False
    session.delete(chunk)
    session.flush()
    return True


def offer(chunk: Chunk) -> None:
    """leased → ready, to be announced at once."""
    chunk.state, chunk.lease_token, chunk.lease_until, chunk.hinted_at = ChunkState.READY, None, None, NEVER_HINTED


def _split(session: Session, chunk: Chunk) -> Sequence[uuid.UUID]:
    """Halves start with one attempt against them: the next loss splits them again at once."""
    middle = len(chunk.members) // 2
    parts = (chunk.members[:middle], chunk.members[middle:])
    common = {"job_id": chunk.job_id, "attempt": 1, "lost_token": chunk.lost_token, "hinted_at": NEVER_HINTED}
    halves = [Chunk(id=new_id(), members=part, **common) for part in parts]
    session.add_all(halves)
    session.delete(chunk)
    return [half.id for half in halves]


def _give_up(session: Session, chunk: Chunk, how: str) -> None:
    assert chunk.lease_token  # it was leased
    detail = (
        f"The worker was lost at least {chunk.attempt} times while it read this item, so it was given up; the last time {how}."
    )
    rows = [predictions.refused(_item(stored), reason="worker_lost", detail=detail) for stored in chunk.members]
    jobs.finish_chunk(session, chunk.id, chunk.lease_token, rows)
