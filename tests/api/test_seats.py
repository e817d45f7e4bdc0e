from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api import events
from api.app import create_app
from api.refusals import TooManyWaiting, WaitingFull
from api.seats import Seats
from store import keys
from store.database import Database
from store.models import Key
from store.settings import Settings
from tests.api.keyed import bearer, make_secret
from tests.pictures import png
from tests.service_fixtures import local_client

SCAN = {"files": ("a.png", png())}


@pytest.fixture
def app(settings: Settings, database: Database) -> FastAPI:
    few = {"watch_seconds": 0.01, "max_wait_seconds": 0, "max_stream_seconds": 0, "max_client_waits": 1, "max_waits": 2}
    return create_app(settings.model_copy(update=few))


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with local_client(app) as client:
        yield client


def test_a_client_has_its_seats_and_all_together_have_theirs() -> None:
    seats = Seats(total=3, per_client=2)
    with seats.taken("a"), seats.taken("a"):
        with pytest.raises(TooManyWaiting), seats.taken("a"):
            pass
        with seats.taken("b"), pytest.raises(WaitingFull), seats.taken("c"):
            pass
        with seats.taken("c"):
            pass
    with seats.taken("a"), seats.taken("a"):
        pass


def test_who_waits_too_often_is_refused_with_the_limit(client: TestClient, app: FastAPI) -> None:
    job = client.post("/jobs", files=SCAN).json()
    waiting = ({"url": job["links"]["events"]}, {"url": job["links"]["self"], "headers": {"Prefer": "wait=1"}})
    for request in (*waiting, *waiting):  # none of them keeps its seat
        assert client.get(**request).status_code == 200
    seats = app.state.services.seats
    with seats.taken("anonymous"):
        answers = [client.get(**request) for request in waiting]
    with seats.taken("a"), seats.taken("b"):
        answers += [client.get(**request) for request in waiting]
    assert [(answer.status_code, answer.json()["reason"]) for answer in answers] == [
        *[(429, "too_many_waiting")] * 2,
        *[(503, "waiting_full")] * 2,
    ]
    assert {answer.headers["retry-after"] for answer in answers} == {"5"}
    limit: dict[str, Any] = answers[0].json()["limit"]
    assert limit == {"key": "max_client_waits", "value": 1, "observed": 1, "unit": "waiting requests"}
    assert client.get("/info").json()["limits"]["max_waits"]["value"] == 2


def test_a_submission_is_accepted_though_it_cannot_wait(client: TestClient, app: FastAPI) -> None:
    with app.state.services.seats.taken("anonymous"):
        answer = client.post("/jobs", files=SCAN, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.headers.get("preference-applied")) == (202, None)


def test_the_stream_of_a_revoked_key_ends(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = make_secret(database, "reader")
    monkeypatch.setattr(events, "_KEY_CHECK_SECONDS", 0.05)
    app = create_app(settings.model_copy(update={"watch_seconds": 0.01, "max_stream_seconds": 20}))
    with local_client(app, headers=bearer(secret)) as client:
        job = client.post("/jobs", files=SCAN).json()
        look, looks = app.state.services.watch.look, []

        async def look_and_revoke(job_id: Any) -> Any:
            looks.append(job_id)
            if len(looks) == 10:
                revoke(database)
            return await look(job_id)

        app.state.services.watch.look = look_and_revoke
        assert client.get(job["links"]["events"]).text.count("event: state") == 1
        assert 10 <= len(looks) < 200
        assert client.get(job["links"]["events"]).json()["reason"] == "key_revoked"


def revoke(database: Database) -> None:
    with database.transaction() as session:
        keys.revoke_key(session, session.query(Key).one())
