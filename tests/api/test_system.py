import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from store.database import Database
from store.settings import Settings
from tests.service_fixtures import local_client, wait_for_model, wait_until_ready


def test_health_holds_the_contract_field_by_field(client: TestClient) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "healthy",
        "model_status": "loaded",
        "model_version": "1",
        "model_info": "Alias: prod",
        "model_error": None,
    }


def test_ready_names_each_thing_that_is_there(client: TestClient) -> None:
    wait_until_ready(client)
    answer = client.get("/readyz")
    assert answer.json() == {"ready": True, "checks": {"database": "ok", "redis": "ok", "model": "ok", "disk": "ok"}}


def test_not_ready_names_what_is_missing(settings: Settings, database: Database) -> None:
    lost = settings.model_copy(update={"redis_url": "redis://somebody:secret@127.0.0.1:1/0"})
    with local_client(create_app(lost)) as client:
        wait_for_model(client)
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["reason"], answer.json()["ready"]) == ("not_ready", False)
    assert answer.json()["checks"]["redis"] == "does not answer"
    assert "127.0.0.1" not in answer.text


def test_a_silent_redis_costs_a_second_however_many_ask(settings: Settings, database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with local_client(create_app(settings.model_copy(update={"redis_url": url}))) as client:
            wait_for_model(client)
            started = time.monotonic()
            with ThreadPoolExecutor(60) as probes:
                asked = [probes.submit(client.get, "/readyz") for _ in range(60)]
                answers = [each.result() for each in asked]
            assert time.monotonic() - started < 4  # Redis alone is waited for for five
            assert {answer.json()["checks"]["redis"] for answer in answers} == {"does not answer"}


def test_alive(client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "alive"}


def test_info_names_every_limit_with_its_variable(client: TestClient) -> None:
    info = client.get("/info").json()
    limits = {name for name in Settings.model_fields if name.startswith("max_") and name != "max_attempts"}
    more = {"pdf_dpi", "min_free_bytes", "min_body_bytes_per_second", "body_grace_seconds", "head_seconds"}
    more |= {"retention_seconds", "idempotency_seconds"}
    assert set(info["limits"]) == limits | more
    assert info["limits"]["min_body_bytes_per_second"]["unit"] == "bytes per second"
    assert info["limits"]["max_item_pixels"] == {
        "value": 100_000_000,
        "unit": "pixels",
        "variable": "PENPRESS_MAX_ITEM_PIXELS",
        "description": "Pixels of one page.",
    }
    assert "onnxruntime" in info["versions"]


def test_a_browser_finds_a_page(client: TestClient) -> None:
    answer = client.get("/", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert "Penpress" in answer.text
    for asset in ("page.css", "page.js"):
        assert client.get(f"/web/{asset}").status_code == 200


@pytest.mark.parametrize("path", ["/nowhere", "/jobs/not-a-uuid"])
def test_every_refusal_is_a_problem(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) >= {"type", "title", "status", "reason", "detail"}


def test_a_method_that_is_not_allowed_is_a_problem_that_says_which_is(client: TestClient) -> None:
    answer = client.get("/predict/")
    assert (answer.status_code, answer.json()["reason"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_a_path_with_several_methods_names_them_all(client: TestClient) -> None:
    assert client.put("/jobs").headers["allow"] == "GET, POST"
    assert client.post("/web/page.css").headers["allow"] == "GET, HEAD"
