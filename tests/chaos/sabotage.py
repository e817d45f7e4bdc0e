"""`python -m tests.chaos.sabotage WHAT MODULE …`: run a program of the product with one of its safeguards taken out.

The negative control: a harness that stays green here would prove nothing. The product itself has no such switch.
"""

import runpy
import sys
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import func, update
from sqlalchemy.orm import Session

from store import chunks, jobs
from store.models import Chunk, Job
from store.predictions import NewPrediction
from store.states import ChunkState


def remove_job_lock() -> None:
    """Chunks of one job end side by side, each with the counts that it happened to read."""
    jobs.lock_job = lambda session, job_id: session.get_one(Job, job_id, populate_existing=True)


def ignore_token() -> None:
    """Whoever had a chunk once renews its lease and finishes it, whoever has it now, and whether it is done or not.

    The unique constraint on results, which is a fence of its own, is taken down by the harness.
    """
    honest_finish = jobs.finish_chunk

    def renew_lease(session: Session, chunk_id: uuid.UUID, _token: uuid.UUID, *, lease_seconds: float) -> bool:
        until = func.now() + timedelta(seconds=lease_seconds)
        session.execute(update(Chunk).where(Chunk.id == chunk_id, Chunk.state == ChunkState.LEASED).values(lease_until=until))
        return session.get(Chunk, chunk_id) is not None

    def is_wanted(session: Session, chunk_id: uuid.UUID, _token: uuid.UUID) -> bool:
        return session.get(Chunk, chunk_id) is not None

    def finish_chunk(session: Session, chunk_id: uuid.UUID, token: uuid.UUID, rows: Sequence[NewPrediction]) -> bool:
        mine = {"state": ChunkState.LEASED, "lease_token": token, "lease_until": func.now()}
        session.execute(update(Chunk).where(Chunk.id == chunk_id).values(mine))
        return honest_finish(session, chunk_id, token, rows)

    chunks.renew_lease, chunks.is_wanted, jobs.finish_chunk = renew_lease, is_wanted, finish_chunk


def nothing() -> None:
    """The sweep is off: the harness does not start it, and the other programs are as they are."""


SABOTAGE: dict[str, Callable[[], None]] = {"no-sweep": nothing, "no-job-lock": remove_job_lock, "no-token": ignore_token}


def main() -> None:
    """Take the safeguard out, then be the program."""
    _, what, module, *arguments = sys.argv
    SABOTAGE[what]()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
