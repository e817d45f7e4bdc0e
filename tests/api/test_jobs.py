from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from store.database import Database
from store.settings import Settings
from tests.pictures import DARK, LIGHT, png, zip_of
from tests.service_fixtures import local_client

Finished = Callable[..., dict[str, Any]]
ZIP = {"Content-Type": "application/zip"}


def stored_blobs(settings: Settings) -> list[Path]:
    return [path for path in (settings.home_dir / "blobs").rglob("*") if path.is_file()]


def test_an_accepted_job_says_where_to_ask_and_when(client: TestClient) -> None:
    answer = client.post("/jobs", content=zip_of({"a.png": png()}), headers=ZIP, params={"name": "box-17.zip"})
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["location"] == f"/jobs/{body['id']}" == body["links"]["self"]
    assert int(answer.headers["retry-after"]) > 0
    assert (body["name"], body["state"], body["progress"]) == ("box-17.zip", "queued", 0.0)


def test_a_raw_zip_and_a_form_give_the_same_results(
    client: TestClient, work: Callable[[str], None], finished: Finished
) -> None:
    data = zip_of({"a.png": png(DARK), "b.png": png(LIGHT)})
    raw = client.post("/jobs", content=data, headers=ZIP).json()
    work(raw["id"])
    form = finished({"box.zip": data})
    assert client.get(f"/jobs/{raw['id']}").json()["counts"] == form["counts"]
    assert form["counts"] == {
        "total": 2,
        "processed": 2,
        "succeeded": 2,
        "failed": 0,
        "skipped": 0,
        "handwritten": 1,
        "printed": 1,
        "needs_review": 0,
    }


def test_a_finished_job_has_state_progress_rate_and_times(finished: Finished, client: TestClient) -> None:
    job = finished({"a.png": png()})
    assert (job["state"], job["progress"], job["model_version"]) == ("completed", 1.0, "1")
    assert job["images_per_second"] > 0
    assert job["created_at"] <= job["started_at"] <= job["finished_at"]
    assert "retry-after" not in client.get(job["links"]["self"]).headers


def test_a_job_takes_its_own_threshold_and_policy(finished: Finished, client: TestClient) -> None:
    job = finished({"a.png": png()}, review_threshold="1.0", gradcam="never")
    assert (job["review_threshold"], job["gradcam"], job["counts"]["needs_review"]) == (1.0, "never", 1)
    item = client.get(job["links"]["results"]).json()["items"][0]
    assert item["needs_review"]
    assert "gradcam" not in item["links"]


def test_jobs_are_listed_newest_first_in_pages(client: TestClient) -> None:
    ids = [client.post("/jobs", files={"files": (f"{n}.png", png())}).json()["id"] for n in range(3)]
    first = client.get("/jobs", params={"limit": 2}).json()
    second = client.get("/jobs", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [job["id"] for job in first["jobs"] + second["jobs"]] == ids[::-1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"this is no zip", ZIP, 422, "not_a_zip"),
        (b"", ZIP, 422, "empty_upload"),
        (zip_of({"a.png": png()})[:-30], ZIP, 422, "not_a_zip"),
        (b"{}", {"Content-Type": "application/json"}, 415, "unsupported_upload"),
        (b"x", {}, 415, "unsupported_upload"),
        (b"garbage", {"Content-Type": "multipart/form-data; boundary=x"}, 422, "no_files"),
        (b"garbage", {"Content-Type": "multipart/form-data"}, 422, "no_files"),
    ],
)
def test_a_bad_upload_is_refused_and_leaves_nothing(
    client: TestClient, settings: Settings, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    answer = client.post("/jobs", content=body, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert answer.headers["content-type"] == "application/problem+json"
    assert stored_blobs(settings) == []
    assert client.get("/jobs").json()["jobs"] == []


def test_a_form_with_one_bad_zip_is_refused_as_a_whole(client: TestClient, settings: Settings) -> None:
    answer = client.post("/jobs", files=[("files", ("a.png", png())), ("files", ("bad.zip", b"PK\x03\x04cut"))])
    assert answer.status_code == 422
    assert "bad.zip" in answer.json()["detail"]
    assert stored_blobs(settings) == []


def test_an_upload_above_the_limit_is_refused_announced_or_not(settings: Settings, database: Database) -> None:
    small = settings.model_copy(update={"max_upload_bytes": 1000})
    with local_client(create_app(small)) as client:
        announced = client.post("/jobs", content=b"x" * 2000, headers=ZIP)
        streamed = client.post("/jobs", content=(b"x" * 600 for _ in range(3)), headers=ZIP)
    for answer in (announced, streamed):
        assert answer.status_code == 413
        assert answer.json()["limit"]["key"] == "max_upload_bytes"
    assert stored_blobs(settings) == []


def test_too_many_form_files_are_refused_with_the_way_out(settings: Settings, database: Database) -> None:
    with local_client(create_app(settings.model_copy(update={"max_form_files": 2}))) as client:
        answer = client.post("/jobs", files=[("files", (f"{n}.png", png())) for n in range(3)])
    assert (answer.status_code, answer.json()["reason"]) == (413, "too_many_files")
    assert "zip" in answer.json()["detail"]


def test_unknown_options_are_refused(client: TestClient) -> None:
    answer = client.post("/jobs", content=zip_of({}), headers=ZIP, params={"treshold": "1"})
    assert answer.status_code == 422
    assert "treshold" in answer.json()["detail"]


def test_an_unknown_job_is_a_404(client: TestClient) -> None:
    for path in (f"/jobs/{uuid4()}", f"/jobs/{uuid4()}/results"):
        assert client.get(path).json()["reason"] == "not_found"


def test_a_bad_cursor_is_refused(client: TestClient) -> None:
    assert client.get("/jobs", params={"cursor": "nonsense"}).json()["reason"] == "bad_cursor"


def test_a_list_refuses_filters_that_it_does_not_have(client: TestClient) -> None:
    assert client.get("/jobs", params={"state": "failed"}).json()["reason"] == "invalid_request"


def test_items_of_several_archives_are_named_with_their_archive(client: TestClient, finished: Finished) -> None:
    job = finished({"box-17.zip": zip_of({"0001.png": png()}), "box-18.zip": zip_of({"0001.png": png()})})
    items = client.get(job["links"]["results"]).json()["items"]
    assert [item["file"] for item in items] == ["box-17.zip/0001.png", "box-18.zip/0001.png"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/jobs/nope", "'nope' is no job id."),
        ("/jobs/no%1Bpe/results", r"'no\x1bpe' is no job id."),
        ("/predictions/nope", "'nope' is no prediction id."),
    ],
)
def test_what_is_no_id_is_said_in_a_sentence(client: TestClient, path: str, sentence: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["reason"], answer.json()["detail"]) == (422, "invalid_request", sentence)
