"""Messages that Redis lost, or never got: how soon the sweep sends them again."""

import uuid
from collections.abc import Callable, Iterable

import pytest
from kombu.exceptions import OperationalError

from store.database import Database
from store.settings import Settings
from tests.pictures import png
from tests.worker.conftest import HandQueue
from worker.housekeeping import Sweep
from worker.plan import plan_job
from worker.runtime import Runtime

Submit = Callable[..., uuid.UUID]


class FailingQueue(HandQueue):
    """A Redis that is away when one of these is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: set[str] = set()

    def plan_jobs(self, job_ids: Iterable[uuid.UUID]) -> None:
        self._reach("plan_jobs")
        super().plan_jobs(job_ids)

    def classify_chunks(self, chunk_ids: Iterable[uuid.UUID]) -> None:
        self._reach("classify_chunks")
        super().classify_chunks(chunk_ids)

    def backlog(self) -> int:
        self._reach("backlog")
        return super().backlog()

    def has_lost_messages(self) -> bool:
        self._reach("has_lost_messages")
        return super().has_lost_messages()

    def _reach(self, name: str) -> None:
        if name in self.fails:
            raise OperationalError("refused")


@pytest.fixture
def failing_queue() -> FailingQueue:
    return FailingQueue()


@pytest.fixture
def sweep(settings: Settings, database: Database, failing_queue: FailingQueue) -> Sweep:
    return Sweep(settings, database, failing_queue)  # type: ignore[arg-type]  # stands in for a Queue


@pytest.fixture
def queued(submit: Submit) -> uuid.UUID:
    """A job whose message was sent just now."""
    return submit({"a.png": png()})


@pytest.fixture
def ready(runtime: Runtime, submit: Submit, hand_queue: HandQueue) -> set[uuid.UUID]:
    """Chunks whose messages were sent just now."""
    plan_job(runtime, submit({f"{name}.png": png() for name in "abc"}))
    return set(hand_queue.chunks)


def test_what_redis_lost_is_announced_again_at_once_and_once(
    sweep: Sweep, queued: uuid.UUID, ready: set[uuid.UUID], failing_queue: FailingQueue
) -> None:
    sweep.run_once()
    assert (failing_queue.plans, failing_queue.chunks) == ([], [])
    failing_queue.has_forgotten = True
    sweep.run_once()
    sweep.run_once()
    assert failing_queue.plans == [queued]
    assert sorted(failing_queue.chunks) == sorted(ready)


@pytest.mark.parametrize("fails", [{"has_lost_messages"}, {"plan_jobs", "classify_chunks"}, {"plan_jobs", "backlog"}])
def test_while_redis_is_away_nothing_is_waited_for_but_its_return(
    sweep: Sweep, queued: uuid.UUID, ready: set[uuid.UUID], failing_queue: FailingQueue, fails: set[str]
) -> None:
    failing_queue.has_forgotten = True
    failing_queue.fails = fails
    for _ in range(3):
        sweep.run_once()
    assert (failing_queue.plans, failing_queue.chunks) == ([], [])
    failing_queue.fails = set()
    sweep.run_once()
    sweep.run_once()
    assert failing_queue.plans == [queued]
    assert sorted(failing_queue.chunks) == sorted(ready)
