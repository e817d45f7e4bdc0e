"""The OpenAPI document says what is really answered."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.documented import family, sample
from api.errors import ANSWERS, problem_of
from api.refusals import RequestRefused
from inference.errors import ImageError
from store.archives import ArchiveError
from store.settings import Settings


@pytest.fixture
def document() -> dict[str, Any]:
    return create_app(Settings()).openapi()


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
    if {"example", "examples"} & set(content) or media_type.startswith("image/"):
        return True
    reference = content["schema"].get("$ref", "")
    schema = document["components"]["schemas"].get(reference.rsplit("/", 1)[-1], {})
    return "example" in schema


def test_openapi_describes_every_refusal_as_a_problem(client: TestClient) -> None:
    for name, operation in operations(client):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], f"{name} {status}"


def documented(document: dict[str, Any], method: str, path: str) -> set[tuple[int, str]]:
    responses = document["paths"][path][method]["responses"]
    return {(example["status"], example["reason"]) for answer in responses.values() for example in examples(answer)}


def examples(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for content in answer["content"].values():
        if "reason" in content.get("example", {}) and "status" in content["example"]:
            yield content["example"]
        yield from (example["value"] for example in content.get("examples", {}).values())


def declared() -> set[tuple[int, str]]:
    """Every answer that the table and the tree of refusals can give."""
    kinds = [*family(RequestRefused)[1:], *family(ImageError), *family(ArchiveError), *ANSWERS]
    answers = (problem_of(sample(kind)) for kind in kinds)
    return {(answer.status, answer.reason) for answer in answers}


def test_every_declared_reason_is_documented_and_every_documented_one_is_declared(document: dict[str, Any]) -> None:
    endpoints = [(method, path) for path, item in document["paths"].items() for method in item]
    assert set.union(*(documented(document, method, path) for method, path in endpoints)) == declared()


CONNECTION = {(400, "malformed_http"), (431, "head_too_large")}
ELSEWHERE = {*CONNECTION, (403, "keys_required"), (403, "untrusted_host"), (503, "database_unavailable")}
KEYED = {(401, "key_missing"), (401, "key_unknown"), (401, "key_revoked"), (403, "scope_missing"), (429, "rate_limited")}


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("get", "/jobs", ELSEWHERE | KEYED | {(422, "invalid_request"), (422, "bad_cursor")}),
        (
            "get",
            "/jobs/{job_id}",
            ELSEWHERE
            | KEYED
            | {(404, "not_found"), (410, "job_expired"), (422, "invalid_request")}
            | {(429, "too_many_waiting"), (503, "waiting_full")},
        ),
        ("get", "/readyz", ELSEWHERE | {(503, "not_ready")}),
        ("get", "/health", ELSEWHERE),
        ("get", "/livez", CONNECTION),
        ("get", "/info", ELSEWHERE | KEYED - {(403, "scope_missing")}),
        ("get", "/metrics", ELSEWHERE | KEYED),
        ("get", "/models", ELSEWHERE | KEYED | {(503, "registry_unavailable")}),
        ("get", "/models/prod", ELSEWHERE | KEYED | {(503, "no_model")}),
    ],
)
def test_an_endpoint_documents_its_own_refusals(
    document: dict[str, Any], method: str, path: str, expected: set[tuple[int, str]]
) -> None:
    assert documented(document, method, path) == expected


def test_submitting_never_says_that_there_is_no_model_and_predicting_does(document: dict[str, Any]) -> None:
    assert (503, "no_model") not in documented(document, "post", "/jobs")
    assert (503, "no_model") in documented(document, "post", "/predict/")


@pytest.mark.parametrize(("path", "key"), [("/jobs", "max_upload_bytes"), ("/predict/", "max_predict_bytes")])
def test_a_413_names_the_limit_of_its_own_endpoint(document: dict[str, Any], path: str, key: str) -> None:
    too_large = list(examples(document["paths"][path]["post"]["responses"]["413"]))
    assert key in {example["limit"]["key"] for example in too_large if example["reason"] == "upload_too_large"}


def test_the_fields_of_forms_are_described(document: dict[str, Any]) -> None:
    for path in ("/jobs", "/predict/"):
        form = document["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]
        assert all(field["description"] for field in form["schema"]["properties"].values())
