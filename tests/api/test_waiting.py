import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from api.app import create_app
from api.watch import JobWatch
from store import jobs
from store.database import Database
from store.settings import Settings
from tests.pictures import png
from tests.service_fixtures import local_client
from tests.store.rows import make_job

Finished = Callable[..., dict[str, Any]]
SCAN = {"files": ("a.png", png())}


@pytest.fixture
def client(settings: Settings, database: Database) -> Iterator[TestClient]:
    with local_client(create_app(settings.model_copy(update={"watch_seconds": 0.01, "max_wait_seconds": 5}))) as client:
        yield client


def cancel_soon(database: Database, job_id: str) -> threading.Timer:
    def cancel() -> None:
        with database.transaction() as session:
            jobs.request_cancel(session, UUID(job_id), reason="cancelled", detail="")

    timer = threading.Timer(0.1, cancel)
    timer.start()
    return timer


def test_who_prefers_to_wait_is_answered_when_the_job_has_ended(client: TestClient, database: Database) -> None:
    job = client.post("/jobs", files=SCAN).json()
    timer, started = cancel_soon(database, job["id"]), time.monotonic()
    answer = client.get(job["links"]["self"], headers={"Prefer": "respond-async, wait=3"})
    timer.join()
    assert (answer.json()["state"], answer.headers["preference-applied"]) == ("cancelled", "wait=3")
    assert 0.09 < time.monotonic() - started < 2.5


def test_the_wait_is_over_in_time_and_the_service_says_how_long_it_was(settings: Settings, database: Database) -> None:
    with local_client(create_app(settings.model_copy(update={"watch_seconds": 0.01, "max_wait_seconds": 0}))) as client:
        answer = client.post("/jobs", files=SCAN, headers={"Prefer": "wait=60"})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert answer.headers["preference-applied"] == "wait=0"


@pytest.mark.parametrize("prefer", ["", "wait", "wait=", "wait=-1", "wait=soon", "respond-async", "wait=9999999999"])
def test_a_preference_that_is_none_is_ignored(client: TestClient, prefer: str) -> None:
    answer = client.post("/jobs", files=SCAN, headers={"Prefer": prefer})
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


@pytest.mark.parametrize("prefer", ["wait=0", 'WAIT="0"', "wait = 0; x=y", "handling=lenient, wait=0, wait=9"])
def test_a_preference_may_be_spelt_in_several_ways(client: TestClient, prefer: str) -> None:
    assert client.post("/jobs", files=SCAN, headers={"Prefer": prefer}).headers["preference-applied"] == "wait=0"


def test_all_who_wait_share_one_query_and_no_connection(database: Database) -> None:
    with database.transaction() as session:
        ids = [make_job(session).id for _ in range(5)]
    queries: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        queries.append(statement)

    async def wait() -> list[Any]:
        watch = JobWatch(database, seconds=0.1)
        waiting = [asyncio.create_task(watch.look(job_id)) for job_id in ids * 10]
        await asyncio.sleep(0.02)
        assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # of a QueuePool
        return await asyncio.gather(*waiting)

    event.listen(database.engine, "before_cursor_execute", note)
    found = asyncio.run(wait())
    event.remove(database.engine, "before_cursor_execute", note)
    assert [job.id for job in found] == ids * 10
    assert len(queries) == 1


def test_who_has_the_newest_answer_is_sent_none(client: TestClient, database: Database) -> None:
    here = client.post("/jobs", files=SCAN).json()["links"]["self"]
    tag = client.get(here).headers["etag"]
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        answer = client.get(here, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        assert answer.headers["retry-after"]
    client.post(f"{here}/cancel")
    answer = client.get(here, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert answer.headers["etag"] != tag
