from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import delete

from api.app import create_app
from store.database import Database
from store.models import Upload
from store.settings import Settings
from tests.pictures import encoded, png, zip_of
from tests.service_fixtures import local_client, wait_for_model
from tests.store.rows import make_running_job
from tests.store.test_concurrency import at_once

SCANS = zip_of({"a.png": png()})
ZIP = {"Content-Type": "application/zip"}


def limited(settings: Settings, **limits: int) -> TestClient:
    return local_client(create_app(settings.model_copy(update=limits)))


def send(client: TestClient, body: bytes | Iterator[bytes] = SCANS, **headers: str) -> Any:
    return client.post("/jobs", content=body, headers=ZIP | headers)


def blobs(settings: Settings) -> int:
    return sum(path.is_file() for path in (settings.home_dir / "blobs").rglob("*"))


def test_a_client_with_too_many_open_jobs_is_told_to_wait(settings: Settings, database: Database) -> None:
    with limited(settings, max_open_jobs=1) as client:
        first = send(client).json()
        answer = send(client)
        assert (answer.status_code, answer.json()["reason"]) == (429, "too_many_open_jobs")
        assert answer.json()["limit"] == {"key": "max_open_jobs", "value": 1, "observed": 1, "unit": "jobs"}
        assert int(answer.headers["retry-after"]) > 0
        client.post(f"/jobs/{first['id']}/cancel")
        assert send(client).status_code == 202


def test_a_repeated_request_gets_its_answer_all_the_same(settings: Settings, database: Database) -> None:
    with limited(settings, max_open_jobs=1) as client:
        first, second = (send(client, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert (second.status_code, second.content) == (202, first.content)


@pytest.mark.parametrize("announced", [True, False])
def test_a_client_keeps_no_more_bytes_than_it_may(settings: Settings, database: Database, announced: bool) -> None:
    room = 2 * len(SCANS) - 1
    with limited(settings, max_stored_bytes=room) as client:
        assert send(client).status_code == 202
        answer = send(client, SCANS if announced else iter([SCANS]))
    assert (answer.status_code, answer.json()["reason"]) == (507, "quota_exceeded")
    assert answer.json()["limit"] == {"key": "max_stored_bytes", "value": room, "observed": room + 1, "unit": "bytes"}
    assert blobs(settings) == 1


def test_images_that_are_classified_at_once_count_too(settings: Settings, database: Database) -> None:
    noise = encoded(Image.effect_noise((60, 60), 60))
    with limited(settings, max_stored_bytes=2 * len(noise) + 400) as client:  # a form is a little longer than its file
        wait_for_model(client)
        image = {"file": ("a.png", noise)}
        assert [client.post("/predict/", files=image).status_code for _ in range(3)] == [200, 200, 507]
        answer = client.post("/predict/", files=image)
        assert (answer.json()["reason"], answer.json()["limit"]["key"]) == ("quota_exceeded", "max_stored_bytes")
        with database.transaction() as session:
            session.execute(delete(Upload))
        assert client.post("/predict/", files=image).status_code == 200, "nobody is refused by what was known before"


@pytest.mark.parametrize(
    ("key", "value", "observed", "unit"), [("max_queued_items", 3, 3, "items"), ("max_unplanned_jobs", 1, 1, "jobs")]
)
def test_while_the_queue_is_full_nobody_is_accepted(
    settings: Settings, database: Database, key: str, value: int, observed: int, unit: str
) -> None:
    with database.transaction() as session:
        make_running_job(session, chunk_sizes=(2, 1))
    with limited(settings, **{key: value}) as client:
        if unit == "jobs":
            assert send(client).status_code == 202
        answer = send(client)
    assert (answer.status_code, answer.json()["reason"]) == (503, "queue_full")
    assert answer.json()["limit"] == {"key": key, "value": value, "observed": observed, "unit": unit}
    assert answer.headers["retry-after"] == "30"


def test_a_limit_holds_for_requests_at_once(settings: Settings, database: Database) -> None:
    with limited(settings, max_open_jobs=2) as client:
        answers: list[Any] = at_once(*[lambda: send(client)] * 6)
    assert sorted(answer.status_code for answer in answers) == [202, 202, 429, 429, 429, 429]
    assert blobs(settings) == 2


def test_a_retry_is_a_job_too(settings: Settings, database: Database) -> None:
    with database.transaction() as session:
        job_id = make_running_job(session).id
    with limited(settings, max_queued_items=1) as client:
        assert client.post(f"/jobs/{job_id}/retry").json()["reason"] == "queue_full"
