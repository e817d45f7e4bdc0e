"""What a dead process had in hand, held under a lease of its parent's until it is clear who is to blame.

A chunk's suspects, or a job that was being planned. Both are settled or forgiven, and others hear of them only then.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from store import chunks, losses, lost_plans, planning
from store.losses import Suspect
from store.lost_plans import SuspectPlan
from store.queue import CLASSIFY_CHUNK, PLAN_JOB, LateSender
from store.settings import Settings

Move = Callable[[Session], Sequence[uuid.UUID]]
"""Lets others have it again, unless the lease was lost; the ids to announce after the commit."""


@dataclass(frozen=True, slots=True)
class Held:
    """`work` is the message whose work killed the process, at `died_at` of the monotonic clock, and `identifier` its id;
    `is_first` says that nothing spoke against it before. `settle` it when it is to blame; else, or if it cannot be told,
    `forgive` it.
    """

    work: str
    identifier: uuid.UUID
    is_first: bool
    died_at: float
    renew: Callable[[Session], object]
    settle: Move
    forgive: Move
    announce: Callable[[LateSender, Sequence[uuid.UUID]], None]


def held_chunk(suspect: Suspect, settings: Settings, *, how: str, died_at: float) -> Held:
    """The items in the process's hands, in a chunk of their own; `how` says how it died."""
    chunk_id, token = suspect.chunk_id, suspect.token
    return Held(
        work=CLASSIFY_CHUNK,
        identifier=chunk_id,
        is_first=suspect.is_first,
        died_at=died_at,
        renew=lambda session: chunks.renew_lease(session, chunk_id, token, lease_seconds=settings.lease_seconds),
        settle=lambda session: losses.settle(session, suspect, max_attempts=settings.max_attempts, how=how),
        forgive=lambda session: losses.forgive(session, suspect),
        announce=_announce_chunks,
    )


def held_plan(suspect: SuspectPlan, settings: Settings, *, died_at: float) -> Held:
    """The job whose uploads the process read. The next planner gives it up once its attempts are used up."""
    job_id, token = suspect.job_id, suspect.token
    return Held(
        work=PLAN_JOB,
        identifier=job_id,
        is_first=suspect.is_first,
        died_at=died_at,
        renew=lambda session: planning.renew_planning(session, job_id, token, lease_seconds=settings.lease_seconds),
        settle=lambda session: lost_plans.settle(session, suspect),
        forgive=lambda session: lost_plans.forgive(session, suspect),
        announce=_announce_plans,
    )


def _announce_chunks(sender: LateSender, ids: Sequence[uuid.UUID]) -> None:
    sender.classify_chunks(ids, ahead=True)


def _announce_plans(sender: LateSender, ids: Sequence[uuid.UUID]) -> None:
    for job_id in ids:
        sender.plan_job(job_id, ahead=True)
