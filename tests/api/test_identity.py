from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, update

from api.rates import Rates
from store import keys
from store.base import new_id
from store.database import Database
from store.keys import Scope
from store.models import Key
from tests.api.keyed import bearer, make_secret
from tests.pictures import png


def reason_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["reason"]


def test_a_key_is_taken_from_either_header(client: TestClient, database: Database) -> None:
    secret = make_secret(database, "a")
    for headers in (bearer(secret), {"X-API-Key": secret}, {"Authorization": f"bearer  {secret} "}):
        assert client.get("/jobs", headers=headers).status_code == 200


def test_each_refusal_says_what_is_wrong(client: TestClient, database: Database) -> None:
    secret = make_secret(database, "a")
    missing = client.get("/jobs")
    assert reason_of(missing) == (401, "key_missing")
    assert missing.headers["www-authenticate"] == 'Bearer realm="penpress"'
    assert reason_of(client.get("/jobs", headers={"Authorization": "Basic YTpi"})) == (401, "key_missing")
    for wrong in (secret[:-1], secret + "x", "pp_" + "A" * 43, "", "ä"):
        unknown = client.get("/jobs", headers={"X-API-Key": wrong.encode()})
        assert reason_of(unknown) == (401, "key_unknown")
        assert 'error="invalid_token"' in unknown.headers["www-authenticate"]


def test_a_key_in_the_address_is_no_key(client: TestClient, database: Database) -> None:
    secret = make_secret(database, "a")
    answer = client.get("/info", params={"api_key": secret})
    assert reason_of(answer) == (401, "key_missing")
    assert "rotate" in answer.json()["detail"]
    assert secret not in answer.text


def test_a_revoked_key_is_refused_by_the_next_request(client: TestClient, database: Database) -> None:
    secret = make_secret(database, "a")
    assert client.get("/jobs", headers=bearer(secret)).status_code == 200
    with database.transaction() as session:
        keys.revoke_key(session, keys.key_called(session, "a"))
    assert reason_of(client.get("/jobs", headers=bearer(secret))) == (401, "key_revoked")
    assert reason_of(client.get("/jobs")) == (401, "key_missing")


def test_a_replaced_secret_is_refused_when_its_time_is_over(client: TestClient, database: Database) -> None:
    old = make_secret(database, "a")
    with database.transaction() as session:
        new = keys.rotate_secret(session, keys.key_called(session, "a"), grace_seconds=60)
    assert [client.get("/jobs", headers=bearer(secret)).status_code for secret in (old, new)] == [200, 200]
    with database.transaction() as session:
        session.execute(update(Key).values(previous_until=func.now() - timedelta(seconds=1)))
    ended = client.get("/jobs", headers=bearer(old))
    assert reason_of(ended) == (401, "key_revoked")
    assert "replaced" in ended.json()["detail"]
    assert client.get("/jobs", headers=bearer(new)).status_code == 200


def test_a_missing_scope_is_named(client: TestClient, database: Database) -> None:
    reader = bearer(make_secret(database, "reader", scopes=[Scope.READ]))
    answer = client.post("/jobs", headers=reader)
    assert reason_of(answer) == (403, "scope_missing")
    assert "submit" in answer.json()["detail"]
    assert client.get("/info", headers=reader).status_code == 200
    assert reason_of(client.get("/metrics", headers=reader)) == (403, "scope_missing")


def test_the_first_key_closes_the_service_at_once(client: TestClient, database: Database) -> None:
    job = client.post("/jobs", files={"files": ("a.png", png())}).json()
    secret = make_secret(database, "a")
    assert reason_of(client.get("/jobs")) == (401, "key_missing")
    assert client.get("/jobs", headers=bearer(secret)).json()["jobs"] == []
    assert client.get(job["links"]["self"], headers=bearer(secret)).status_code == 404


def test_a_key_above_its_rate_is_told_when_to_go_on(client: TestClient, database: Database) -> None:
    slow = bearer(make_secret(database, "slow", per_minute=2))
    fast = bearer(make_secret(database, "fast"))
    answers = [client.get("/jobs", headers=slow) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    refused = answers[-1]
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert refused.json()["limit"] == {"key": "max_requests_per_minute", "value": 2, "unit": "requests per minute"}
    assert refused.json()["reason"] == "rate_limited"
    assert client.get("/jobs", headers=fast).status_code == 200
    assert client.get("/livez").status_code == 200


def test_a_bucket_fills_again_and_never_above_a_minutes_worth() -> None:
    now = 0.0
    rates, key = Rates(lambda: now), new_id()
    assert [rates.take(key, per_minute=2) for _ in range(3)] == [0, 0, 30]
    now = 29.0
    assert rates.take(key, per_minute=2) == pytest.approx(1)
    now = 30.0
    assert rates.take(key, per_minute=2) == 0
    now = 10_000.0
    assert [rates.take(key, per_minute=2) for _ in range(3)] == [0, 0, 30]
