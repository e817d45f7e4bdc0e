"""The one look at Postgres that all who wait for a job share.

Who waits holds neither a thread nor a connection: however many they are, there is one query for all of them in each interval.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from fastapi.concurrency import run_in_threadpool

from store import jobs
from store.database import Database
from store.models import Job


@dataclass(slots=True)
class _Look:
    """One query to come, and whoever waits for it."""

    ids: set[UUID] = field(default_factory=set)
    found: asyncio.Future[Mapping[UUID, Job]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class JobWatch:
    """Looks at jobs that somebody waits for, all at once. For one event loop."""

    def __init__(self, database: Database, *, seconds: float) -> None:
        self._database, self._seconds = database, seconds
        self._next: _Look | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def look(self, job_id: UUID) -> Job | None:
        """The job as it is when the interval is over. Raises SQLAlchemy's errors."""
        if self._next is None:
            self._next = _Look()
            task = asyncio.create_task(self._run(self._next))
            self._tasks.add(task)  # a task that nobody holds may be collected
            task.add_done_callback(self._tasks.discard)
        look = self._next
        look.ids.add(job_id)
        return (await asyncio.shield(look.found)).get(job_id)

    async def _run(self, look: _Look) -> None:
        await asyncio.sleep(self._seconds)
        self._next = None
        try:
            look.found.set_result(await run_in_threadpool(self._read, look.ids))
        except Exception as error:
            look.found.set_exception(error)
            look.found.exception()  # nobody may be waiting any more

    def _read(self, ids: set[UUID]) -> Mapping[UUID, Job]:
        with self._database.single_statement() as session:
            return jobs.read_jobs(session, ids)

    async def close(self) -> None:
        """Wait for the last query. It is not cancelled: its thread would go on with a connection of a pool that is closed."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
