from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from store.database import Database
from store.settings import Settings


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
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "checks": {"database": "ok", "redis": "ok", "model": "ok"}}


def test_not_ready_names_what_is_missing(settings: Settings, database: Database) -> None:
    lost = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    with TestClient(create_app(lost)) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == "ok"
    assert answer.json()["checks"]["redis"] != "ok"


def test_alive(client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "alive"}


def test_info_names_every_limit_with_its_variable(client: TestClient) -> None:
    info = client.get("/info").json()
    limits = {name for name in Settings.model_fields if name.startswith("max_") and name != "max_attempts"} | {"pdf_dpi"}
    assert set(info["limits"]) == limits
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


def operations(client: TestClient) -> list[tuple[str, dict[str, Any]]]:
    document = client.get("/openapi.json").json()
    return [(f"{m} {path}", operation) for path, item in document["paths"].items() for m, operation in item.items()]


def test_openapi_has_an_example_for_every_answer_and_error(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for name, operation in operations(client):
        for status, answer in operation["responses"].items():
            for media_type, content in answer["content"].items():
                assert has_example(document, media_type, content), f"{name} {status} {media_type}"


def has_example(document: dict[str, Any], media_type: str, content: dict[str, Any]) -> bool:
    if "example" in content or media_type.startswith("image/"):
        return True
    reference = content["schema"].get("$ref", "")
    schema = document["components"]["schemas"].get(reference.rsplit("/", 1)[-1], {})
    return "example" in schema


def test_openapi_describes_every_refusal_as_a_problem(client: TestClient) -> None:
    for name, operation in operations(client):
        for status, answer in operation["responses"].items():
            if int(status) >= 400 and name != "get /readyz":
                assert list(answer["content"]) == ["application/problem+json"], f"{name} {status}"
