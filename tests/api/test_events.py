import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from store import retention
from store.database import Database
from store.settings import Settings
from tests.pictures import png
from tests.service_fixtures import local_client

Finished = Callable[..., dict[str, Any]]


@pytest.fixture
def app(settings: Settings, database: Database) -> FastAPI:
    return create_app(settings.model_copy(update={"watch_seconds": 0.01}))


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with local_client(app) as client:
        yield client


def read(client: TestClient, job: dict[str, Any], last: str | None = None) -> list[dict[str, str]]:
    """The events of a stream that ends, field by field."""
    answer = client.get(job["links"]["events"], headers={"Last-Event-ID": last} if last else None)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    blocks = [block for block in answer.text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]  # type: ignore[misc]  # each line has two parts


def test_a_job_is_followed_to_its_end(client: TestClient, app: FastAPI, work: Callable[[str], None]) -> None:
    job = client.post("/jobs", files={"files": ("a.png", png())}).json()
    look = app.state.services.watch.look
    steps = iter([lambda: None, lambda: work(job["id"])])

    async def look_and_go_on(job_id: UUID) -> Any:
        next(steps, lambda: None)()
        return await look(job_id)

    app.state.services.watch.look = look_and_go_on
    events = read(client, job)
    assert [(event["event"], event["id"]) for event in events] == [("state", "queued:0:0"), ("state", "completed:1:1")]
    assert json.loads(events[-1]["data"])["counts"]["succeeded"] == 1


def test_who_comes_back_hears_what_came_after(client: TestClient, finished: Finished) -> None:
    job = finished({"a.png": png()})
    assert [event["id"] for event in read(client, job, "running:0:1")] == ["completed:1:1"]
    assert [event["event"] for event in read(client, job, "completed:0:1")] == ["progress"]
    assert [event["id"] for event in read(client, job, "nonsense")] == ["completed:1:1"]


def test_who_knows_of_the_end_is_told_to_come_no_more(client: TestClient, finished: Finished) -> None:
    job = finished({"a.png": png()})
    assert client.get(job["links"]["events"], headers={"Last-Event-ID": "completed:1:1"}).status_code == 204


def test_a_stream_ends_when_the_service_stops(client: TestClient, app: FastAPI) -> None:
    job = client.post("/jobs", files={"files": ("a.png", png())}).json()
    app.state.is_stopping = True
    assert [event["id"] for event in read(client, job)] == ["queued:0:0"]


def test_a_stream_does_not_last_for_ever(settings: Settings, database: Database) -> None:
    with local_client(create_app(settings.model_copy(update={"max_stream_seconds": 0}))) as client:
        job = client.post("/jobs", files={"files": ("a.png", png())}).json()
        assert [event["id"] for event in read(client, job)] == ["queued:0:0"]


def test_there_are_no_events_of_what_is_not_there(client: TestClient, finished: Finished, database: Database) -> None:
    assert client.get(f"/jobs/{uuid4()}/events").json()["reason"] == "not_found"
    job = finished({"a.png": png()})
    with database.transaction() as session:
        retention.expire_job(session, UUID(job["id"]))
    assert client.get(job["links"]["events"]).json()["reason"] == "job_expired"
