"""The API as a process: slow heads, and the stop that is announced."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from store.database import Database
from store.models import Job, Upload
from store.settings import Settings
from worker.rules.orphaned_blobs import OrphanedBlobs
from worker.rules.rule import Tools

ROOT = Path(__file__).parents[2]
GRACE = 1.0
HEAD = 0.5


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def api(settings: Settings, database: Database, port: int, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    values = {
        "PENPRESS_HOME": tmp_path,
        "PENPRESS_PORT": port,
        "PENPRESS_DATABASE_URL": settings.database_url,
        "PENPRESS_REDIS_URL": settings.redis_url,
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        "PENPRESS_HEAD_SECONDS": HEAD,
        "PENPRESS_SHUTDOWN_GRACE_SECONDS": GRACE,
        "PENPRESS_MIN_FREE_BYTES": 0,
        "PYTHONPATH": ROOT,
    }
    variables = os.environ | {name: str(value) for name, value in values.items()}
    with subprocess.Popen([sys.executable, "-m", "api"], cwd=tmp_path, env=variables) as process:
        try:
            wait_for(lambda: answer_of(port, "/readyz") == 200)
            yield process
        finally:
            process.kill()


def wait_for(happens) -> None:
    deadline = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def answer_of(port: int, path: str) -> int | None:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}").status_code
    except httpx.TransportError:
        return None


def connect(port: int, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(10)
    connection.sendall(sent)
    return connection


def ended_after(connection: socket.socket, started: float) -> tuple[bytes, float]:
    """What came, and after how many seconds the service closed the connection."""
    received = b""
    while data := connection.recv(65536):
        received += data
    connection.close()
    return received, time.monotonic() - started


def test_the_life_of_a_process(api: subprocess.Popen[bytes], port: int) -> None:
    """One process for all of it, since each takes seconds to start."""
    heads_must_come_in_time(port)
    heads_must_not_grow(port)
    what_is_no_http_is_refused_as_all_else(port)
    what_was_refused_unread_is_not_read_for_ever(port)
    a_stop_is_announced_and_lets_requests_finish(api, port)


def test_an_api_killed_in_mid_upload_leaves_a_file_that_the_sweep_removes(
    api: subprocess.Popen[bytes], port: int, settings: Settings, database: Database, tmp_path: Path
) -> None:
    head = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/zip\r\nContent-Length: 9000000\r\n\r\n"
    upload = connect(port, head + bytes(2 * 1024**2))
    blobs = tmp_path / "blobs"
    wait_for(lambda: files_in(blobs))
    api.kill()
    api.wait()
    upload.close()
    assert [path.suffix for path in files_in(blobs)] == [".part"]
    with database.transaction() as session:
        assert session.query(Job).count() + session.query(Upload).count() == 0
    patient, hasty = (settings.model_copy(update={"orphan_seconds": seconds}) for seconds in (60.0, 1e-9))
    assert OrphanedBlobs()(Tools(patient, database, None)) == 0  # type: ignore[arg-type]  # it sends nothing
    assert OrphanedBlobs()(Tools(hasty, database, None)) == 1  # type: ignore[arg-type]  # as above
    assert files_in(blobs) == []


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def heads_must_come_in_time(port: int) -> None:
    started = time.monotonic()
    idle, slow = connect(port, b""), connect(port, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    kept = connect(port, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(b"}"):
        answer += kept.recv(65536)
    kept.sendall(b"GET /li")  # a second request on the same connection
    for connection in (idle, slow, kept):
        received, seconds = ended_after(connection, started)
        assert received == b""
        assert HEAD * 0.8 < seconds < HEAD + 5


def heads_must_not_grow(port: int) -> None:
    whole = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 70_000 + b"\r\n\r\n"
    endless = whole[:-4] + b"a" * 300_000
    for sent in (whole, endless):
        received, _ = ended_after(connect(port, sent), time.monotonic())
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 431")
        problem = json.loads(body)
        assert (problem["reason"], problem["limit"]["key"]) == ("head_too_large", "max_head_bytes")
        assert problem["limit"]["observed"] > problem["limit"]["value"]
    allowed = whole.replace(b"a" * 70_000, b"a" * 60_000).replace(b"\r\nHost", b"\r\nConnection: close\r\nHost")
    assert ended_after(connect(port, allowed), time.monotonic())[0].startswith(b"HTTP/1.1 200")


def what_is_no_http_is_refused_as_all_else(port: int) -> None:
    received, _ = ended_after(connect(port, b"HELO archive\r\n\r\n"), time.monotonic())
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in head
    assert b"x-content-type-options: nosniff" in head
    assert json.loads(body)["reason"] == "malformed_http"


def what_was_refused_unread_is_not_read_for_ever(port: int) -> None:
    started = time.monotonic()
    head = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 1000000\r\n\r\n"
    received, seconds = ended_after(connect(port, head), started)
    assert received.startswith(b"HTTP/1.1 415")
    assert seconds < HEAD + 5


def a_stop_is_announced_and_lets_requests_finish(api: subprocess.Popen[bytes], port: int) -> None:
    boundary = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/zip\r\nContent-Length: 22\r\n\r\n"
    upload = connect(port, boundary + b"PK\x05\x06")
    api.send_signal(signal.SIGTERM)
    started = time.monotonic()
    wait_for(lambda: answer_of(port, "/readyz") == 503)
    assert time.monotonic() - started < GRACE
    assert answer_of(port, "/livez") == 200
    wait_for(lambda: answer_of(port, "/readyz") is None)  # it no longer listens
    assert time.monotonic() - started > GRACE * 0.8
    upload.sendall(bytes(18))
    received, _ = ended_after(upload, started)
    assert received.startswith(b"HTTP/1.1 202")
    assert api.wait(timeout=20) in (0, -signal.SIGTERM)
