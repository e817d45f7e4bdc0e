"""What becomes of a chunk whose worker process died, when it is known which items the process had in hand.

Those are the suspects. They get a chunk of their own, which stays leased until it is clear whether they or their worker are to
blame; the others wait again at once, as if nothing had happened. Every move is fenced by the lease's token.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Session

from store import chunks, jobs
from store.base import new_id
from store.models import Chunk, Job
from store.states import ChunkState, JobState


@dataclass(frozen=True, slots=True)
class Suspect:
    """A chunk whose items may have killed their worker, held under a lease until somebody settles or forgives it."""

    chunk_id: uuid.UUID
    token: uuid.UUID
    is_first: bool  # nothing spoke against its items before


@dataclass(frozen=True, slots=True)
class Loss:
    """What a dead process left: its suspects if it had any in hand, and the chunks to announce."""

    suspect: Suspect | None
    ready: Sequence[uuid.UUID] = ()


def take_from_dead(
    session: Session, chunk_id: uuid.UUID, token: uuid.UUID, *, ordinals: Collection[int], lease_seconds: float
) -> Loss | None:
    """Take the chunk from a process that died under `token` with the items `ordinals` in hand; None when it had lost it."""
    chunk = chunks.lock_chunk(session, chunk_id, chunks.held(token))
    if chunk is None:
        return None
    if chunks.forget_if_over(session, chunk):
        return Loss(None)
    if session.get_one(Job, chunk.job_id).state != JobState.RUNNING:
        chunks.offer(chunk)
        session.flush()
        jobs.settle_cancelled(session, chunk.job_id)
        return Loss(None)
    suspects = [member for member in chunk.members if member["ordinal"] in ordinals]
    if not suspects:
        _forgive(chunk)
        return Loss(None, [chunk.id])
    innocents = [member for member in chunk.members if member["ordinal"] not in ordinals]
    if not innocents:
        return Loss(_hold(chunk, lease_seconds))
    alone = Chunk(id=new_id(), job_id=chunk.job_id, members=suspects, attempt=1, losses=0)
    session.add(alone)
    chunk.members = _from_the_middle(innocents)
    _forgive(chunk)
    return Loss(_hold(alone, lease_seconds), [chunk.id])


def _from_the_middle(members: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Where one item kills, its neighbours may: a worker that is well shows it sooner elsewhere."""
    middle = len(members) // 2
    return members[middle:] + members[:middle]


def settle(session: Session, suspect: Suspect, *, max_attempts: int, how: str) -> Sequence[uuid.UUID]:
    """The suspects are to blame: they are tried again, in halves if they are several, and given up after `max_attempts`.

    `how` says how their worker died. The ids of the chunks to announce.
    """
    chunk = chunks.lock_chunk(session, suspect.chunk_id, chunks.held(suspect.token))
    if chunk is None or chunks.forget_if_over(session, chunk):
        return []
    return chunks.put_back(session, chunk, max_attempts=max_attempts, how=how)


def forgive(session: Session, suspect: Suspect) -> Sequence[uuid.UUID]:
    """Their worker is to blame, or it cannot be told: they wait again. The ids of the chunks to announce."""
    chunk = chunks.lock_chunk(session, suspect.chunk_id, chunks.held(suspect.token))
    if chunk is None or chunks.forget_if_over(session, chunk):
        return []
    _forgive(chunk)
    return [chunk.id]


def _hold(chunk: Chunk, lease_seconds: float) -> Suspect:
    chunk.state, chunk.lease_token = ChunkState.LEASED, new_id()
    chunk.lease_until = func.now() + timedelta(seconds=lease_seconds)
    chunk.losses += 1
    return Suspect(chunk.id, chunk.lease_token, is_first=chunk.losses == 1 and chunk.attempt <= 1)


def _forgive(chunk: Chunk) -> None:
    chunk.attempt -= 1
    chunks.offer(chunk)
