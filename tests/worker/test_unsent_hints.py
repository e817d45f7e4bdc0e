"""Messages that Redis lost, or never got: how soon the sweep sends them again."""

import uuid
from collections.abc import Callable, Iterable

import pytest
from kombu.exceptions import OperationalError

from store import chunks, planning
from store.database import Database
from store.models import Chunk, Job
from store.settings import Settings
from tests.pictures import png
from tests.worker.conftest import HandQueue
from tests.worker.looks import age
from worker.housekeeping import Sweep
from worker.plan import plan_job
from worker.rules import unsent_hints
from worker.runtime import Runtime

Submit = Callable[..., uuid.UUID]


class FailingQueue(HandQueue):
    """A Redis that is away when one of these is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: set[str] = set()

    def plan_jobs(self, job_ids: Iterable[uuid.UUID], *, ahead: bool = False) -> None:
        self._reach("plan_jobs")
        super().plan_jobs(job_ids, ahead=ahead)

    def classify_chunks(self, chunk_ids: Iterable[uuid.UUID], *, ahead: bool = False) -> None:
        self._reach("classify_chunks")
        super().classify_chunks(chunk_ids, ahead=ahead)

    def backlog(self, queue: str) -> int:
        self._reach("backlog")
        return super().backlog(queue)

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


def age_all(database: Database) -> None:
    """Nobody has followed any message for long."""
    with database.transaction() as session:
        for table in (Job, Chunk):
            age(session, table, "hinted_at")


def test_a_queue_that_nobody_empties_does_not_grow_for_ever(
    sweep: Sweep,
    queued: uuid.UUID,
    ready: set[uuid.UUID],
    failing_queue: FailingQueue,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unsent_hints, "_MOST_SPARE", 3)
    for _ in range(10):
        age_all(database)
        sweep.run_once()
    assert failing_queue.plans == [queued] * (1 + 3)
    assert set(failing_queue.chunks) == ready
    assert len(failing_queue.chunks) == len(ready) + 3


def test_a_chunk_whose_message_was_lost_is_found_in_a_queue_that_is_never_empty_but_moves(
    sweep: Sweep, ready: set[uuid.UUID], failing_queue: FailingQueue, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsent_hints, "_MOST_SPARE", 3)
    lost, *others = ready
    failing_queue.chunks = (others * 5)[: len(ready) + 3]
    age_all(database)
    sweep.run_once()
    assert lost not in failing_queue.chunks
    for _ in range(len(ready)):
        failing_queue.chunks.pop(0)
        sweep.run_once()
    assert lost in failing_queue.chunks
    assert len(failing_queue.chunks) == len(ready) + 3


def test_what_was_taken_from_a_lost_worker_is_announced_ahead_and_however_long_the_queue_is(
    sweep: Sweep, queued: uuid.UUID, ready: set[uuid.UUID], failing_queue: FailingQueue, database: Database
) -> None:
    recovered = max(ready)
    failing_queue.plans, failing_queue.chunks = [uuid.uuid4()] * 5000, [uuid.uuid4()] * 5000
    with database.transaction() as session:
        assert planning.begin_planning(session, queued, lease_seconds=-1)
        assert chunks.claim_chunk(session, recovered, lease_seconds=-1)
    failing_queue.fails = {"plan_jobs", "classify_chunks"}
    sweep.run_once()
    failing_queue.fails = set()
    sweep.run_once()
    sweep.run_once()
    assert (failing_queue.plans[0], failing_queue.chunks[0]) == (queued, recovered)
    assert (len(failing_queue.plans), len(failing_queue.chunks)) == (5001, 5001)


@pytest.mark.parametrize(
    ("backlog", "waiting", "room"),
    [
        (0, 500, 500),
        (0, 50_000, 1000),
        (1, 50_000, 1000),  # nearly all were lost
        (20, 50, 100),
        (5000, 5000, 100),
        (5950, 5000, 50),
        (6000, 5000, 0),
        (99_990, 200_000, 10),
        (150_000, 200_000, 0),
    ],
)
def test_as_many_as_are_missing_are_announced_and_a_few_more(backlog: int, waiting: int, room: int) -> None:
    assert unsent_hints._room(backlog, waiting) == room
