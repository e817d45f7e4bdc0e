from collections.abc import Callable
from typing import Any
from uuid import UUID

from fastapi.testclient import TestClient

from store import retention
from store.database import Database
from tests.pictures import png, zip_of

Finished = Callable[..., dict[str, Any]]
HALF_BAD = {
    "box-1.zip": zip_of({"0001.png": png(), "0002.png": b"no image", "Thumbs.db": b"x"}),
    "box-2.zip": zip_of({"0001.png": png()}),
    "bad.png": b"no image either",
}


def items(client: TestClient, job: dict[str, Any]) -> list[tuple[str, str]]:
    found = client.get(job["links"]["results"]).json()["items"]
    return [(item["file"], item["status"]) for item in found]


def test_what_failed_is_tried_again_under_its_name(client: TestClient, finished: Finished, work: Callable[[str], None]) -> None:
    source = finished(HALF_BAD, name="boxes", gradcam="never")
    answer = client.post(f"{source['links']['self']}/retry")
    job = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/jobs/{job['id']}")
    assert (job["retry_of"], job["name"], job["gradcam"], job["state"]) == (source["id"], "boxes", "never", "queued")
    work(job["id"])
    assert items(client, job) == [("box-1.zip/0002.png", "failed"), ("bad.png", "failed")]
    assert client.get(source["links"]["self"]).json() == source


def test_a_retry_can_be_tried_again(client: TestClient, finished: Finished, work: Callable[[str], None]) -> None:
    first = client.post(f"{finished(HALF_BAD)['links']['self']}/retry").json()
    work(first["id"])
    second = client.post(f"{first['links']['self']}/retry").json()
    work(second["id"])
    assert items(client, second) == items(client, first)


def test_a_repeated_retry_makes_one_job(client: TestClient, finished: Finished) -> None:
    here = finished(HALF_BAD)["links"]["self"]
    first, second = (client.post(f"{here}/retry", headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.content == second.content
    other = client.post(f"{first.json()['links']['self']}/retry", headers={"Idempotency-Key": "k"})
    assert other.json()["reason"] == "idempotency_key_reused"


def test_a_retry_is_refused_with_the_reason(client: TestClient, finished: Finished, database: Database) -> None:
    good = finished({"a.png": png()})
    running = client.post("/jobs", files={"files": ("a.png", png())}).json()
    expired = finished(HALF_BAD)
    with database.transaction() as session:
        retention.expire_job(session, UUID(expired["id"]))
    answers = [client.post(f"{job['links']['self']}/retry") for job in (good, running, expired)]
    assert [(answer.status_code, answer.json()["reason"]) for answer in answers] == [
        (409, "nothing_failed"),
        (409, "job_not_finished"),
        (410, "job_expired"),
    ]
