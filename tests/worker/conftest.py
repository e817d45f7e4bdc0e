"""A worker's runtime without Celery: its messages are kept, and carried by hand."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping

import pytest

from store import jobs
from store.blobs import Blobs, new_key
from store.database import Database
from store.jobs import NewUpload
from store.queue import CLASSIFY_QUEUE, PLAN_QUEUE
from store.settings import Settings
from store.states import GradcamPolicy
from worker.classify import classify_chunk
from worker.plan import plan_job
from worker.runtime import Runtime

MakeRuntime = Callable[..., Runtime]


class HandQueue:
    """Keeps messages instead of sending them."""

    def __init__(self) -> None:
        self.plans: list[uuid.UUID] = []
        self.chunks: list[uuid.UUID] = []
        self.has_forgotten = False

    def plan_jobs(self, job_ids: Iterable[uuid.UUID], *, ahead: bool = False) -> None:
        self.plans = [*job_ids, *self.plans] if ahead else [*self.plans, *job_ids]

    def classify_chunks(self, chunk_ids: Iterable[uuid.UUID], *, ahead: bool = False) -> None:
        self.chunks = [*chunk_ids, *self.chunks] if ahead else [*self.chunks, *chunk_ids]

    def backlog(self, queue: str) -> int:
        return len({PLAN_QUEUE: self.plans, CLASSIFY_QUEUE: self.chunks}[queue])

    def has_lost_messages(self) -> bool:
        lost, self.has_forgotten = self.has_forgotten, False
        return lost


@pytest.fixture
def hand_queue() -> HandQueue:
    return HandQueue()


@pytest.fixture
def make_runtime(settings: Settings, database: Database, hand_queue: HandQueue) -> Iterator[MakeRuntime]:
    """A worker process's tools, with settings as a test needs them."""
    opened: list[Runtime] = []

    def make_runtime(**changes: object) -> Runtime:
        made = Runtime.from_settings(settings.model_copy(update={"chunk_items": 2} | changes))
        object.__setattr__(made, "queue", hand_queue)
        opened.append(made)
        return made

    yield make_runtime
    for made in opened:
        made.close()


@pytest.fixture
def runtime(make_runtime: MakeRuntime) -> Runtime:
    return make_runtime()


@pytest.fixture
def submit(runtime: Runtime) -> Callable[..., uuid.UUID]:
    """Make a queued job out of files: name → bytes; a name that ends in .zip is an archive."""

    def submit(
        files: Mapping[str, bytes], *, gradcam: GradcamPolicy = GradcamPolicy.REVIEW, threshold: float | None = None
    ) -> uuid.UUID:
        blobs = Blobs(runtime.settings.blobs)
        uploads = []
        for name, data in files.items():
            key = new_key()
            blobs.write(key, data)
            uploads.append(NewUpload(name=name, is_archive=name.endswith(".zip"), blob_key=key, size_bytes=len(data)))
        with runtime.database.transaction() as session:
            return jobs.create_job(
                session,
                name="test",
                uploads=uploads,
                gradcam=gradcam,
                review_threshold=threshold,
                retention_seconds=60,
            ).id

    return submit


@pytest.fixture
def carry(runtime: Runtime, hand_queue: HandQueue) -> Callable[[uuid.UUID], None]:
    """Plan a job and classify its chunks."""

    def carry(job_id: uuid.UUID) -> None:
        plan_job(runtime, job_id)
        while hand_queue.chunks:
            classify_chunk(runtime, hand_queue.chunks.pop(0))

    return carry
