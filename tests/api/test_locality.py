import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient

from api.app import create_app
from store.database import Database
from store.settings import Settings
from tests.api.keyed import bearer, make_secret
from tests.service_fixtures import local_client

ELSEWHERE = ("192.0.2.7", 50000)


def from_elsewhere(client: TestClient, *, host: str = "127.0.0.1", peer: tuple[str, int] = ELSEWHERE) -> TestClient:
    """The same service, asked from another machine."""
    return TestClient(client.app, base_url=f"http://{host}", client=peer)


def reason_of(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("reason")


@pytest.mark.parametrize("path", ["/", "/jobs", "/readyz", "/health", "/web/page.js", "/openapi.json", "/nothing"])
def test_without_keys_other_machines_are_refused_everywhere(client: TestClient, path: str) -> None:
    answer = from_elsewhere(client).get(path)
    assert reason_of(answer) == (403, "keys_required")
    assert "penpress keys create" in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("peer", ["192.168.1.20", "10.0.0.1", "::ffff:192.0.2.1", "2001:db8::1", "169.254.1.1", "0.0.0.0", ""])
def test_without_keys_only_loopback_peers_are_answered(client: TestClient, peer: str) -> None:
    assert reason_of(from_elsewhere(client, peer=(peer, 1)).get("/jobs")) == (403, "keys_required")


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_without_keys_this_machine_is_answered(client: TestClient, peer: str) -> None:
    assert from_elsewhere(client, peer=(peer, 1)).get("/jobs").status_code == 200


def test_a_connection_to_an_outer_address_is_refused_even_from_here(client: TestClient) -> None:
    assert reason_of(from_elsewhere(client, host="192.0.2.1", peer=("127.0.0.1", 1)).get("/jobs")) == (403, "keys_required")


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Host"])
def test_without_keys_what_a_proxy_passes_on_is_refused(client: TestClient, name: str) -> None:
    assert reason_of(client.get("/jobs", headers={name: "127.0.0.1"})) == (403, "keys_required")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:8000", "[::1", ""]
)
def test_without_keys_another_hosts_name_is_refused(client: TestClient, host: str) -> None:
    assert reason_of(client.get("/jobs", headers={"Host": host})) == (403, "untrusted_host")


@pytest.mark.parametrize(
    "host", ["localhost:8000", "LOCALHOST", "penpress.localhost", "127.0.0.1:1", "[::1]:8000", "localhost."]
)
def test_without_keys_loopback_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/jobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://127.0.0.1.evil.example",
        "http://[",
        "http://[::1",
        "http://]",
        "//[x]",
    ],
)
def test_without_keys_pages_of_other_sites_are_refused(client: TestClient, origin: str) -> None:
    assert reason_of(client.post("/jobs", headers={"Origin": origin})) == (403, "untrusted_host")
    assert client.get("/jobs", headers={"Origin": "http://localhost:8000"}).status_code == 200


def test_under_uvicorn_on_all_addresses_only_loopback_is_answered(settings: Settings, database: Database) -> None:
    outer = own_outer_address()
    with listening(settings, "0.0.0.0") as port:
        asked = {"params": {"limit": 1}, "trust_env": False}
        assert httpx.get(f"http://127.0.0.1:{port}/jobs", **asked).status_code == 200
        assert reason_of(httpx.get(f"http://{outer}:{port}/jobs", **asked)) == (403, "keys_required")
        assert reason_of(httpx.get(f"http://{outer}:{port}/jobs", headers={"Host": "localhost"}, **asked))[0] == 403
        spoofed = {"X-Forwarded-For": "127.0.0.1"}
        assert reason_of(httpx.get(f"http://{outer}:{port}/jobs", headers=spoofed, **asked))[0] == 403


def own_outer_address() -> str:
    """An address of this machine that is not loopback; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(probe.getsockname()[0])


@contextmanager
def listening(settings: Settings, host: str) -> Iterator[int]:
    """The port of the service under uvicorn."""
    server = uvicorn.Server(uvicorn.Config(create_app(settings), host=host, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def test_a_trusted_host_is_answered(settings: Settings, database: Database) -> None:
    with local_client(create_app(settings.model_copy(update={"trusted_hosts": "Scans.local, other"}))) as client:
        assert client.get("/jobs", headers={"Host": "scans.local:8000"}).status_code == 200
        assert client.get("/jobs", headers={"Host": "third"}).status_code == 403


def test_liveness_is_answered_to_everybody(client: TestClient) -> None:
    assert from_elsewhere(client).get("/livez").status_code == 200


def test_with_keys_other_machines_and_proxies_are_answered(client: TestClient, database: Database) -> None:
    key = bearer(make_secret(database, "a"))
    asked = from_elsewhere(client, host="archive.example")
    assert asked.get("/jobs", headers=key).status_code == 200
    assert asked.get("/jobs", headers=key | {"X-Forwarded-For": "192.0.2.1"}).status_code == 200
    assert reason_of(asked.get("/jobs")) == (401, "key_missing")
    assert asked.get("/health").status_code == 200


def test_where_nobody_can_tell_others_are_not_answered(settings: Settings, database: Database) -> None:
    lost = settings.model_copy(update={"database_url": "postgresql+psycopg://nobody@127.0.0.1:9/none"})
    with local_client(create_app(lost)) as client:
        answer = from_elsewhere(client).get("/health")
        assert client.get("/health").status_code == 200
    assert reason_of(answer) == (503, "database_unavailable")
