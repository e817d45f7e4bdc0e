"""Every route of the OpenAPI document, asked by two tenants: what belongs to one does not exist for the other.

A new route is covered as soon as it is in the document. One with a new kind of object in its path fails here until `objects`
makes such an object.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from httpx import Response

from api.access import ACCESS, Access, access_to
from api.app import create_app
from store.database import Database
from store.keys import Scope
from store.settings import Settings
from tests.api.keyed import bearer, make_secret
from tests.pictures import png

Operation = tuple[str, str]

HIDDEN = {"GET /", "GET /docs"}
SECRET_NAME = "only-mine.png"
WEBHOOK_URL = "https://receiver.example/only-mine"


def operations() -> list[Operation]:
    """(method, template of a path) of everything in the document, reading first: what changes an object comes after."""
    paths = create_app(Settings()).openapi()["paths"]
    found = [(method.upper(), path) for path, item in paths.items() for method in item]
    return sorted(found, key=lambda operation: (operation[0] != "GET", operation[0] == "DELETE", operation[1]))


OPERATIONS = operations()
WITH_OBJECTS = [operation for operation in OPERATIONS if "{" in operation[1]]
WITHOUT_OBJECTS = [operation for operation in OPERATIONS if "{" not in operation[1]]


class Tenants:
    """A has objects, B wants them."""

    def __init__(self, client: TestClient, database: Database, work: Callable[[str], None]) -> None:
        self.client, self.database = client, database
        self.a, self.b = (bearer(make_secret(database, name)) for name in ("a", "b"))
        self.objects = self._make_objects(work)

    def _make_objects(self, work: Callable[[str], None]) -> dict[str, str]:
        """By the names of parameters in paths: one of A's objects each."""
        files = {"files": (SECRET_NAME, png())}
        options = {"gradcam": "always", "webhook_url": WEBHOOK_URL}
        job = self.client.post("/jobs", files=files, params=options, headers=self.a).json()
        work(job["id"])
        results = self.client.get(job["links"]["results"], headers=self.a).json()
        event = self.client.get(f"/jobs/{job['id']}/webhooks", headers=self.a).json()["events"][0]
        return {
            "job_id": job["id"],
            "prediction_id": results["items"][0]["id"],
            "event_id": event["id"],
            "endpoint_id": event["endpoint_id"],
        }

    def ask(self, operation: Operation, headers: dict[str, str], objects: dict[str, str]) -> Response:
        method, path = operation
        return self.client.request(method, path.format(**objects), headers=headers)


@pytest.fixture
def tenants(client: TestClient, database: Database, work: Callable[[str], None]) -> Tenants:
    return Tenants(client, database, work)


def test_every_route_has_an_entry_in_the_table_of_access_and_no_entry_is_stale() -> None:
    documented = {f"{method} {path}" for method, path in OPERATIONS}
    assert documented | HIDDEN == set(ACCESS)


def test_no_other_route_is_hidden_from_the_document() -> None:
    every = list(routes(create_app(Settings())))
    assert len(every) == len(OPERATIONS) + len(HIDDEN)
    hidden = {f"GET {route.path}" for route in every if not route.include_in_schema}
    assert hidden == HIDDEN


def routes(router: Any) -> Iterator[APIRoute]:
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from routes(route.original_router)


def test_a_route_that_nobody_entered_asks_for_admin() -> None:
    assert access_to("DELETE", "/new/{thing}") is Scope.ADMIN


def test_another_tenants_objects_are_missing_and_ones_own_are_not(tenants: Tenants) -> None:
    """B gets for A's object what it gets for none at all: status, headers' names and body alike."""
    nothing = {name: str(uuid4()) for name in tenants.objects}
    faults = []
    for operation in WITH_OBJECTS:
        name = " ".join(operation)
        theirs = tenants.ask(operation, tenants.b, tenants.objects)
        missing = tenants.ask(operation, tenants.b, nothing)
        if (theirs.status_code, missing.status_code) != (404, 404):
            faults.append(f"{name}: B gets {theirs.status_code}, and {missing.status_code} for nothing")
        if without_ids(theirs) != without_ids(missing):
            faults.append(f"{name}: {without_ids(theirs)} is not {without_ids(missing)}")
    for operation in WITH_OBJECTS:
        own = tenants.ask(operation, tenants.a, tenants.objects)
        if own.status_code in (401, 403, 404, 405, 422, 500):
            faults.append(f"{' '.join(operation)}: A gets {own.status_code} {own.text}")
    assert faults == []


def without_ids(answer: Response) -> tuple[Any, set[str]]:
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", answer.text), set(answer.headers)


def test_no_list_shows_anything_of_another_tenant(tenants: Tenants) -> None:
    reading = [operation for operation in WITHOUT_OBJECTS if operation[0] == "GET"]
    shown = [name for name in map(" ".join, reading) if shows(tenants, name, tenants.a)]
    assert {"GET /jobs", "GET /webhooks/endpoints"} <= set(shown)
    assert [name for name in map(" ".join, reading) if shows(tenants, name, tenants.b)] == []


def shows(tenants: Tenants, name: str, headers: dict[str, str]) -> bool:
    method, path = name.split()
    text = tenants.ask((method, path), headers, {}).text
    return any(word in text for word in (SECRET_NAME, WEBHOOK_URL, *tenants.objects.values()))


def test_whoever_has_no_key_gets_nothing(tenants: Tenants) -> None:
    answers = {operation: tenants.ask(operation, {}, tenants.objects) for operation in OPERATIONS}
    closed = [operation for operation in OPERATIONS if access_to(*operation) is not Access.OPEN]
    assert {answers[operation].status_code for operation in closed} == {401}
    assert {answers[operation].json()["reason"] for operation in closed} == {"key_missing"}
    assert {path for _, path in set(OPERATIONS) - set(closed)} == {"/livez", "/readyz", "/health"}
    unknown = {tenants.ask(operation, bearer("pp_" + "x" * 43), tenants.objects).status_code for operation in closed}
    assert unknown == {401}


def test_whoever_has_another_scope_gets_nothing(tenants: Tenants) -> None:
    weak = {scope: bearer(make_secret(tenants.database, f"no {scope}", scopes=set(Scope) - {scope})) for scope in Scope}
    scoped = {operation: access for operation in OPERATIONS if isinstance(access := access_to(*operation), Scope)}
    answers = {operation: tenants.ask(operation, weak[scope], tenants.objects) for operation, scope in scoped.items()}
    assert {(answer.status_code, answer.json()["reason"]) for answer in answers.values()} == {(403, "scope_missing")}
    assert [o for o, answer in answers.items() if f"scope {scoped[o].value};" not in answer.json()["detail"]] == []
