import base64
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from store import endpoints
from store.database import Database
from store.models import WebhookEndpoint
from store.settings import Settings
from tests.pictures import png
from tests.service_fixtures import local_client

SECRET = "whsec_" + base64.b64encode(b"a" * 24).decode()
URL = "https://hooks.example.org/penpress"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhook_secret": SECRET})


def submit(client: TestClient, **options: Any) -> Any:
    return client.post("/jobs", files={"files": ("a.png", png())}, params={"webhook_url": URL} | options)


@pytest.fixture
def told(client: TestClient, work: Callable[[str], None]) -> dict[str, Any]:
    """A finished job whose client wants to be told."""
    job = submit(client).json()
    work(job["id"])
    return client.get(f"/jobs/{job['id']}").json()


def events(client: TestClient, job: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    answer = client.get(job["links"]["webhooks"], params=options)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["events"]
    return found


def test_a_finished_job_shows_what_is_told_of_it(client: TestClient, told: dict[str, Any]) -> None:
    (event,) = events(client, told)
    assert (event["type"], event["state"], event["attempt"], event["attempts"]) == ("job.completed", "pending", 0, [])
    assert event["job_id"] == told["id"]


def test_a_client_chooses_its_events_and_reads_them_in_pages(client: TestClient, work: Callable[[str], None]) -> None:
    job = submit(client, webhook_events=["job.started", "job.completed"]).json()
    work(job["id"])
    first = client.get(job["links"]["webhooks"], params={"limit": 1}).json()
    second = client.get(job["links"]["webhooks"], params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [page["events"][0]["type"] for page in (first, second)] == ["job.completed", "job.started"]
    assert second["next_cursor"] is None


def test_a_job_without_webhook_has_no_link_to_one(client: TestClient) -> None:
    job = client.post("/jobs", files={"files": ("a.png", png())}).json()
    assert "webhooks" not in job["links"]
    assert events(client, {"links": {"webhooks": f"/jobs/{job['id']}/webhooks"}}) == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"webhook_url": "https://127.0.0.1/"}, "webhook_address_refused"),
        ({"webhook_url": "https://0x7f.1/"}, "webhook_address_refused"),
        ({"webhook_url": "https://[64:ff9b::7f00:1]/"}, "webhook_address_refused"),
        ({"webhook_url": "https://localhost/"}, "webhook_address_refused"),
        ({"webhook_url": "http://hooks.example.org/"}, "webhook_https_required"),
        ({"webhook_url": "https://user:secret@hooks.example.org/"}, "webhook_url_invalid"),
        ({"webhook_url": ""}, "webhook_url_invalid"),
        ({"webhook_url": "https://hooks.example.org/" + "x" * 2048}, "invalid_request"),
        ({"webhook_url": "https://hooks.example.org/" + "\u6587" * 2018}, "webhook_url_invalid"),
        ({"webhook_events": ["job.finished"]}, "invalid_request"),
    ],
)
def test_a_webhook_that_cannot_be_is_refused_before_the_upload(
    client: TestClient, settings: Settings, options: dict[str, Any], reason: str
) -> None:
    answer = submit(client, **options)
    assert (answer.status_code, answer.json()["reason"]) == (422, reason)
    assert client.get("/jobs").json()["jobs"] == []
    assert not [path for path in (settings.home_dir / "blobs").rglob("*") if path.is_file()]


def test_a_url_is_kept_as_it_is_sent_however_it_is_spelt(client: TestClient) -> None:
    longest = "https://hooks.example.org/" + "\u6587" * 224
    for url in (longest, "https://b\u00fccher.example/", "https://xn--bcher-kva.example"):
        assert submit(client, webhook_url=url).status_code == 202
    listed = [endpoint["url"] for endpoint in client.get("/webhooks/endpoints").json()["endpoints"]]
    assert listed == ["https://hooks.example.org/" + "%E6%96%87" * 224, "https://xn--bcher-kva.example/"]


@pytest.fixture
def without_secret(settings: Settings, database: Database) -> Iterator[TestClient]:
    with local_client(create_app(settings.model_copy(update={"webhook_secret": None}))) as client:
        yield client


def test_without_keys_and_secret_nothing_can_be_signed(without_secret: TestClient) -> None:
    answer = submit(without_secret)
    assert (answer.status_code, answer.json()["reason"]) == (422, "webhook_secret_missing")
    assert "PENPRESS_WEBHOOK_SECRET" in answer.json()["detail"]


def test_an_endpoint_that_was_switched_off_takes_nothing_until_it_is_enabled(
    client: TestClient, database: Database, told: dict[str, Any]
) -> None:
    (event,) = events(client, told)
    with database.transaction() as session:
        endpoints.disable(session, uuid.UUID(event["endpoint_id"]), reason="It answered 410 Gone.")
    for answer in (submit(client), client.post(f"/webhooks/{event['id']}/redeliver")):
        assert (answer.status_code, answer.json()["reason"]) == (409, "webhook_endpoint_disabled")
        assert event["endpoint_id"] in answer.json()["detail"]
    (endpoint,) = client.get("/webhooks/endpoints").json()["endpoints"]
    assert (endpoint["url"], endpoint["disabled_reason"]) == (URL, "It answered 410 Gone.")
    enabled = client.post(f"/webhooks/endpoints/{endpoint['id']}/enable").json()
    assert (enabled["disabled_at"], enabled["disabled_reason"]) == (None, None)
    again = client.post(f"/webhooks/{event['id']}/redeliver")
    assert (again.status_code, again.json()["state"], again.json()["id"]) == (202, "pending", event["id"])
    assert submit(client).status_code == 202


def test_what_is_not_there_is_404(client: TestClient) -> None:
    nothing = uuid.uuid4()
    for answer in (
        client.get(f"/jobs/{nothing}/webhooks"),
        client.post(f"/webhooks/{nothing}/redeliver"),
        client.post(f"/webhooks/endpoints/{nothing}/enable"),
    ):
        assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")


def test_jobs_with_one_url_share_an_endpoint(client: TestClient, database: Database) -> None:
    assert [submit(client).status_code for _ in range(2)] == [202, 202]
    with database.transaction() as session:
        assert session.query(WebhookEndpoint).count() == 1


def test_endpoints_come_in_pages(client: TestClient, database: Database) -> None:
    with database.transaction() as session:
        for number in range(3):
            endpoints.find_or_create(session, owner_id=None, url=f"https://a.example/{number}")
    first = client.get("/webhooks/endpoints", params={"limit": 2}).json()
    second = client.get("/webhooks/endpoints", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [endpoint["url"][-1] for endpoint in first["endpoints"] + second["endpoints"]] == ["0", "1", "2"]
    assert second["next_cursor"] is None
    assert client.get("/webhooks/endpoints", params={"cursor": "x"}).json()["reason"] == "bad_cursor"
