from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.refusals import InvalidRequest
from api.terms import parse_cancel_after
from store import chunks
from store.database import Database
from store.models import Chunk
from store.settings import Settings
from tests.pictures import png
from worker.plan import plan_job
from worker.runtime import Runtime

Finished = Callable[..., dict[str, Any]]


def submit(client: TestClient, headers: dict[str, str] | None = None, **options: str) -> dict[str, Any]:
    answer = client.post("/jobs", files={"files": ("a.png", png())}, headers=headers, params=options)
    assert answer.status_code == 202, answer.text
    return answer.json()


def test_a_job_is_cancelled_and_stays_so_when_asked_twice(client: TestClient) -> None:
    job = submit(client)
    for _ in range(2):
        answer = client.post(f"/jobs/{job['id']}/cancel")
        assert (answer.status_code, answer.json()["state"], answer.json()["reason"]) == (200, "cancelled", "cancelled")
    assert client.get(f"/jobs/{job['id']}").json()["progress"] == 0.0


def test_a_job_in_a_workers_hands_is_cancelling(client: TestClient, settings: Settings, database: Database) -> None:
    job = submit(client)
    runtime = Runtime.from_settings(settings)
    plan_job(runtime, UUID(job["id"]))
    runtime.close()
    with database.transaction() as session:
        chunk_id = session.scalars(select(Chunk.id)).one()
        assert chunks.claim_chunk(session, chunk_id, lease_seconds=60)
    answer = client.post(f"/jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelling")


def test_a_finished_job_cannot_be_cancelled(client: TestClient, finished: Finished) -> None:
    job = finished({"a.png": png()})
    answer = client.post(f"/jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["reason"]) == (409, "job_finished")
    assert "completed" in answer.json()["detail"]


def test_a_job_that_is_not_there_cannot_be_cancelled(client: TestClient) -> None:
    assert client.post(f"/jobs/{uuid4()}/cancel").status_code == 404


def test_a_deadline_is_shown_with_the_job(client: TestClient) -> None:
    job = submit(client, {"Cancel-After": "3600"})
    waits = datetime.fromisoformat(job["cancel_after"]) - datetime.fromisoformat(job["created_at"])
    assert waits == timedelta(hours=1)
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
    job = submit(client, {"Cancel-After": format_datetime(moment, usegmt=True)})
    assert datetime.fromisoformat(job["cancel_after"]) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "1.5",
        "1h",
        "\u0663",
        "9" * 5000,
        f"Fri, {'9' * 30} Nov 2026 18:00:00 GMT",
        f"Fri, 27 Nov {'9' * 30} 18:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Fri, 27 Nov 2015 18:00:00 GMT",
        "Fri, 27 Nov 2199 18:00:00 GMT",
        "tomorrow",
    ],
)
def test_a_deadline_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"Cancel-After: .* is none of: seconds from 1 to"):
        parse_cancel_after(text)


def test_a_refused_deadline_names_the_header(client: TestClient) -> None:
    answer = client.post("/jobs", files={"files": ("a.png", png())}, headers={"Cancel-After": "soon"})
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["where"] == ["header", "Cancel-After"]
