"""Where faults strike: the running product, the load upon it, and what a fault may use."""

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select, union_all
from sqlalchemy.exc import SQLAlchemyError

from store.models import Chunk, Job, WebhookEvent
from store.states import ChunkState, EventState, JobState
from tests.chaos.load import Load
from tests.chaos.log import Log
from tests.chaos.pace import Pace
from tests.chaos.pictures import Album
from tests.chaos.receiver import Receiver
from tests.chaos.stack import Stack

# What somebody frozen holds of a job that was cancelled meanwhile holds up nobody.
_OPEN_JOBS = select(Job.id).where(Job.state.in_((JobState.RUNNING, JobState.CANCELLING)))
_WORK = (
    select(Chunk.lease_token).where(Chunk.state == ChunkState.LEASED, Chunk.job_id.in_(_OPEN_JOBS)),
    select(Job.lease_token).where(Job.state == JobState.PLANNING),
)
_DELIVERIES = select(WebhookEvent.lease_token).where(WebhookEvent.state == EventState.PENDING)


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that has happened. Recovery counts from `since`; `undo` ends what may last until then."""

    since: float
    undo: Callable[[], None] = _nothing


@dataclass(frozen=True, slots=True)
class Arena:
    """One run's parts. `random_numbers` are the run's own, so that its seed repeats it."""

    stack: Stack
    load: Load
    album: Album
    log: Log
    receiver: Receiver
    seed: int
    random_numbers: random.Random
    blobs_can_fill: bool
    frozen_items: str | None = None

    @property
    def pace(self) -> Pace:
        """How fast things go."""
        return self.stack.pace

    def held(self) -> frozenset[uuid.UUID]:
        """The tokens of all chunks, plans and webhooks that are in somebody's hands; empty while Postgres does not say."""
        return self._tokens(*_WORK, _DELIVERIES)

    def wait_for_work(self, seconds: float = 3.0) -> None:
        """Return when some worker is at work, or after that time."""
        deadline = time.monotonic() + seconds
        while not self._tokens(*_WORK) and time.monotonic() < deadline:
            time.sleep(0.01)

    def _tokens(self, *queries: Select[Any]) -> frozenset[uuid.UUID]:
        try:
            with self.stack.database.transaction() as session:
                return frozenset(token for token in session.scalars(union_all(*queries)) if token)
        except SQLAlchemyError:
            return frozenset()
