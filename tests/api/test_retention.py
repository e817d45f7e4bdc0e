from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from api import control
from api.app import create_app
from api.identity import Caller
from api.jobs import found_job
from store import retention
from store.database import Database
from store.models import Job
from store.settings import Settings
from tests.pictures import png
from tests.service_fixtures import local_client

Finished = Callable[..., dict[str, Any]]
ZIP = {"Content-Type": "application/zip"}


def test_a_job_says_when_it_will_be_deleted(finished: Finished) -> None:
    job = finished({"a.png": png()}, retention_seconds="3600")
    kept = datetime.fromisoformat(job["expires_at"]) - datetime.fromisoformat(job["finished_at"])
    assert kept == timedelta(hours=1)


def test_by_default_a_job_is_kept_as_the_service_says(finished: Finished, client: TestClient) -> None:
    job = finished({"a.png": png()})
    kept = datetime.fromisoformat(job["expires_at"]) - datetime.fromisoformat(job["finished_at"])
    assert kept.total_seconds() == client.get("/info").json()["limits"]["retention_seconds"]["value"]


def test_nobody_may_ask_for_more_than_the_service_keeps(settings: Settings, database: Database) -> None:
    with local_client(create_app(settings.model_copy(update={"retention_seconds": 60}))) as client:
        answer = client.post("/jobs", files={"files": ("a.png", png())}, params={"retention_seconds": "61"})
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_request")
    assert answer.json()["limit"] == {"key": "retention_seconds", "value": 60, "observed": 61, "unit": "seconds"}


@pytest.fixture
def keeping_all(settings: Settings, database: Database) -> Iterator[TestClient]:
    """Of a service that keeps jobs for ever."""
    with local_client(create_app(settings.model_copy(update={"retention_seconds": None}))) as client:
        yield client


@pytest.mark.parametrize("seconds", [3_155_760_001, 3 * 10**11, 10**15, 10**30])
def test_no_job_may_ask_for_more_than_a_hundred_years_and_its_upload_is_not_read(keeping_all: TestClient, seconds: int) -> None:
    def body() -> Iterator[bytes]:
        pytest.fail("it was read")
        yield b""

    answer = keeping_all.post("/jobs", content=body(), headers=ZIP, params={"retention_seconds": str(seconds)})
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_request")


def test_a_job_that_is_kept_for_a_hundred_years_ends_and_is_shown(keeping_all: TestClient, work: Callable[[str], None]) -> None:
    asked = {"retention_seconds": "3155760000"}
    job = keeping_all.post("/jobs", files={"files": ("a.png", png())}, params=asked).json()
    work(job["id"])
    shown = keeping_all.get(job["links"]["self"]).json()
    kept = datetime.fromisoformat(shown["expires_at"]) - datetime.fromisoformat(shown["finished_at"])
    assert (shown["state"], kept) == ("completed", timedelta(days=36525))


def test_the_longest_retention_stands_in_the_description_of_the_interface(client: TestClient) -> None:
    parameters = client.get("/openapi.json").json()["paths"]["/jobs"]["post"]["parameters"]
    [retention_seconds] = [parameter["schema"] for parameter in parameters if parameter["name"] == "retention_seconds"]
    assert {3_155_760_000} == {kind["maximum"] for kind in retention_seconds["anyOf"] if kind["type"] == "integer"}


def test_an_expired_job_is_gone(finished: Finished, client: TestClient, database: Database) -> None:
    job = finished({"a.png": png()})
    with database.transaction() as session:
        retention.expire_job(session, UUID(job["id"]))
    here = job["links"]["self"]
    for answer in (client.get(here), client.get(f"{here}/results"), client.post(f"{here}/cancel")):
        assert (answer.status_code, answer.json()["reason"]) == (410, "job_expired")
    assert client.get("/jobs").json()["jobs"] == []


def test_a_job_that_expires_under_a_request_is_gone_for_it_too(
    finished: Finished, client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there when it is looked for, and is not when it is locked."""
    for what in ("retry", "cancel"):
        job = finished({"a.png": b"no image"})

        def find_then_expire(session: Session, job_id: UUID, caller: Caller) -> Job:
            found = found_job(session, job_id, caller)
            with database.transaction() as other:
                retention.expire_job(other, job_id)
            return found

        monkeypatch.setattr(control, "found_job", find_then_expire)
        answer = client.post(f"{job['links']['self']}/{what}")
        assert (answer.status_code, answer.json()["reason"]) == (410, "job_expired")


def test_the_webhooks_of_an_expired_job_are_gone(finished: Finished, client: TestClient, database: Database) -> None:
    job = finished({"a.png": png()})
    with database.transaction() as session:
        retention.expire_job(session, UUID(job["id"]))
    assert client.get(f"{job['links']['self']}/webhooks").status_code == 410
    assert "410" in client.get("/openapi.json").json()["paths"]["/jobs/{job_id}/webhooks"]["get"]["responses"]
