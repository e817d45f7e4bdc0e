import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from store import idempotency
from store.database import Database
from store.idempotency import Hold, begin
from store.models import IdempotencyKey
from tests.pictures import LIGHT, png, zip_of
from tests.store.test_concurrency import at_once

ZIP = {"Content-Type": "application/zip"}
SCANS = zip_of({"a.png": png()})


def send(client: TestClient, key: str | bytes, body: bytes | Iterator[bytes] = SCANS, **options: str) -> Response:
    return client.post("/jobs", content=body, headers=ZIP | {"Idempotency-Key": key}, params=options)  # type: ignore[dict-item]  # bytes are for what text may not hold


def job_ids(client: TestClient) -> list[str]:
    return [job["id"] for job in client.get("/jobs").json()["jobs"]]


def reason(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["reason"]


def test_the_same_request_again_gets_the_first_answer(client: TestClient) -> None:
    first, second = send(client, "k", name="box"), send(client, "k", name="box")
    assert (second.status_code, second.content) == (202, first.content)
    assert second.headers["location"] == first.headers["location"]
    assert (first.headers.get("idempotency-replayed"), second.headers["idempotency-replayed"]) == (None, "true")
    assert job_ids(client) == [first.json()["id"]]


def test_the_answer_stays_the_first_one_when_the_job_has_gone_on(client: TestClient) -> None:
    first = send(client, "k")
    client.post(f"/jobs/{first.json()['id']}/cancel")
    assert send(client, "k").json()["state"] == "queued"


def test_a_form_that_is_built_anew_is_the_same_request(client: TestClient) -> None:
    def send_form(data: bytes) -> Response:
        return client.post("/jobs", files={"files": ("a.png", data)}, headers={"Idempotency-Key": "k"})

    first, second = send_form(png()), send_form(png())
    assert first.request.headers["content-type"] != second.request.headers["content-type"]  # another boundary
    assert first.json() == second.json()
    assert reason(send_form(png(LIGHT))) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("body", "options"), [(zip_of({"b.png": png()}), {}), (SCANS, {"gradcam": "always"}), (SCANS, {"name": "box"})]
)
def test_another_request_under_the_same_key_is_refused(client: TestClient, body: bytes, options: dict[str, str]) -> None:
    send(client, "k")
    assert reason(send(client, "k", body, **options)) == (422, "idempotency_key_reused")
    assert len(job_ids(client)) == 1


def test_another_deadline_is_another_request(client: TestClient) -> None:
    headers = ZIP | {"Idempotency-Key": "k"}
    client.post("/jobs", content=SCANS, headers=headers)
    assert reason(client.post("/jobs", content=SCANS, headers=headers | {"Cancel-After": "60"})) == (
        422,
        "idempotency_key_reused",
    )


@pytest.mark.parametrize("key", ["", "x" * 256, b"a\tb", "caf\u00e9".encode(), b"\x7f"])
def test_a_malformed_key_is_refused(client: TestClient, key: str | bytes) -> None:
    assert reason(send(client, key)) == (400, "bad_idempotency_key")
    assert job_ids(client) == []


def test_the_longest_key_is_taken(client: TestClient) -> None:
    assert send(client, "x" * 255).status_code == 202


@pytest.mark.parametrize("body", [b"no zip", SCANS[:-30], b""])
def test_a_refused_request_frees_its_key(client: TestClient, body: bytes) -> None:
    assert send(client, "k", body).status_code == 422
    assert send(client, "k").status_code == 202


def hold(database: Database, *, lease_seconds: float) -> None:
    """A first request that has got no answer yet."""
    with database.transaction() as session:
        idempotency.begin(session, Hold("anonymous", "k"), lease_seconds=lease_seconds, keep_seconds=60)


def test_while_the_first_request_runs_the_key_is_in_use(client: TestClient, database: Database) -> None:
    hold(database, lease_seconds=60)
    answer = send(client, "k")
    assert reason(answer) == (409, "idempotency_key_in_use")
    assert int(answer.headers["retry-after"]) > 0


def test_a_request_that_died_in_mid_upload_does_not_block_its_key(client: TestClient, database: Database) -> None:
    hold(database, lease_seconds=0)
    assert send(client, "k").status_code == 202


DATABASE_GONE = OperationalError("", None, Exception("the server went away"))


def go_away(*_: object, **__: object) -> None:
    raise DATABASE_GONE


def begin_and_go_away(session: Session, hold: Hold, **seconds: float) -> None:
    begin(session, hold, **seconds)
    session.commit()
    raise DATABASE_GONE


@pytest.mark.parametrize(("name", "act"), [("begin", begin_and_go_away), ("record_answer", go_away)])
@pytest.mark.parametrize("pause_seconds", [0.02, 60])
def test_a_key_that_postgres_kept_when_it_went_away_is_free_at_its_return(
    client: TestClient,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    act: Callable[..., None],
    pause_seconds: float,
) -> None:
    """Whether it is given back by itself, as for a client that comes to another replica, or because its client comes again."""
    monkeypatch.setattr("api.idempotency._AGAIN_SECONDS", pause_seconds)
    with monkeypatch.context() as patch:
        patch.setattr(idempotency, name, act)
        patch.setattr(idempotency, "release", go_away)
        assert reason(send(client, "k")) == (503, "database_unavailable")
        assert held_keys(database) == 1
    deadline = time.monotonic() + 10
    while pause_seconds < 1 and held_keys(database) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert held_keys(database) == (pause_seconds > 1)
    assert send(client, "k").status_code == 202
    assert len(job_ids(client)) == 1


def held_keys(database: Database) -> int:
    with database.transaction() as session:
        return session.scalar(select(func.count(IdempotencyKey.id)).where(IdempotencyKey.status.is_(None))) or 0


def test_requests_at_once_make_one_job(client: TestClient) -> None:
    answers: list[Any] = at_once(*[lambda: send(client, "k")] * 4)
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert job_ids(client) == [
        answer.json()["id"] for answer in answers if "idempotency-replayed" not in answer.headers and answer.status_code == 202
    ]
