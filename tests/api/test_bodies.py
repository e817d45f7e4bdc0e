"""Bodies that are too large, malformed or cut off: refused as they arrive, and nothing of them is left."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from store.blobs import Blobs, BlobsUnavailable
from store.database import Database
from store.settings import Settings
from tests.pictures import png, zip_of
from tests.service_fixtures import local_client, wait_for_model

FORM = {"Content-Type": "multipart/form-data; boundary=x"}
ZIP = {"Content-Type": "application/zip"}
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
PIECE = b"\0" * 32 * 1024
PIECES = 1000


@pytest.fixture
def small(settings: Settings, database: Database) -> Iterator[TestClient]:
    """A service that takes 100 kB at most."""
    limits = {"max_upload_bytes": 100_000, "max_predict_bytes": 100_000}
    app = create_app(settings.model_copy(update=limits))
    with local_client(app, raise_server_exceptions=False) as client:
        wait_for_model(client)
        yield client


def stored_blobs(settings: Settings) -> list[Path]:
    return [path for path in (settings.home_dir / "blobs").rglob("*") if path.is_file()]


async def post(app: FastAPI, path: str, headers: dict[str, str], body: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the application sends, when the body comes as these ASGI messages; `body` stands where it stopped reading."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in ({"Host": "127.0.0.1"} | headers).items()]
    here = {"client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 80)}
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": raw}
    scope |= here
    await app(scope, lambda: anext(body), send)
    return sent


def carried(client: TestClient, path: str, headers: dict[str, str], body: AsyncIterator[dict[str, Any]]) -> list[Any]:
    assert client.portal is not None
    return client.portal.call(post, client.app, path, headers, body)


@pytest.mark.parametrize(
    ("path", "headers", "key", "overhead"),
    [
        ("/jobs", ZIP, "max_upload_bytes", 0),
        ("/jobs", FORM, "max_upload_bytes", 0),
        ("/predict/", FORM, "max_predict_bytes", 64 * 1024),
    ],
)
def test_a_body_of_unknown_size_is_refused_at_the_first_excess_byte(
    small: TestClient, settings: Settings, path: str, headers: dict[str, str], key: str, overhead: int
) -> None:
    read = 0

    async def body() -> AsyncIterator[dict[str, Any]]:
        nonlocal read
        for piece in (HEAD, *[PIECE] * PIECES):
            read += len(piece)
            yield {"type": "http.request", "body": piece, "more_body": True}

    start, answer = carried(small, path, headers, body())
    assert start["status"] == 413
    assert f'"key":"{key}","value":100000,"observed":{read},"unit":"bytes"'.encode() in answer["body"]
    assert read <= 100_000 + overhead + len(PIECE)
    assert stored_blobs(settings) == []


@pytest.mark.parametrize(("path", "headers"), [("/jobs", ZIP), ("/jobs", FORM), ("/predict/", FORM)])
def test_an_aborted_upload_is_no_failure_of_the_service(
    small: TestClient, settings: Settings, path: str, headers: dict[str, str]
) -> None:
    async def body() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "http.request", "body": HEAD, "more_body": True}
        yield {"type": "http.disconnect"}

    start, answer = carried(small, path, headers, body())
    assert start["status"] == 400
    assert b"upload_aborted" in answer["body"]
    assert stored_blobs(settings) == []


@pytest.mark.parametrize("fields", [{f"{n}": "x" for n in range(17)}, {"note": "x" * (64 * 1024 + 1)}])
@pytest.mark.parametrize("path", ["/jobs", "/predict/"])
def test_what_is_no_file_takes_little_memory(client: TestClient, path: str, fields: dict[str, str]) -> None:
    answer = client.post(path, data=fields, files={"file": ("a.png", png())})
    assert (answer.status_code, answer.json()["reason"]) == (422, "no_files")
    assert "maximum" in answer.json()["detail"].lower()


@pytest.mark.parametrize("body", [b"garbage", HEAD.replace(b"name=", b"nome=") + b"x\r\n--x--\r\n"])
@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "multipart/form-data"])
def test_a_malformed_form_is_a_422(small: TestClient, body: bytes, content_type: str) -> None:
    answer = small.post("/predict/", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["reason"]) == (422, "no_files")


@pytest.mark.parametrize(
    "request_",
    [{"data": {"file": "text"}}, {"data": {"file": "text"}, "files": {"x": b"x"}}, {"json": {"file": "x"}}],
)
def test_a_form_without_the_file_says_which_field_is_missing(small: TestClient, request_: dict[str, Any]) -> None:
    answer = small.post("/predict/", **request_)
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["where"] == ["body", "file"]


def failing(*_args: Any, **_more: Any) -> Any:
    raise BlobsUnavailable(BlobsUnavailable.__doc__)


@pytest.mark.parametrize("as_form", [True, False])
def test_an_archive_that_cannot_be_read_back_is_not_kept(
    small: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch, as_form: bool
) -> None:
    monkeypatch.setattr(Blobs, "open", failing)
    data = zip_of({"a.png": png()})
    send: dict[str, Any] = {"files": {"files": ("a.zip", data)}} if as_form else {"content": data, "headers": ZIP}
    answer = small.post("/jobs", **send)
    assert (answer.status_code, answer.json()["reason"]) == (503, "uploads_unavailable")
    assert stored_blobs(settings) == []


def test_a_blob_that_cannot_be_removed_does_not_hide_why_it_should_be(
    small: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Blobs, "delete", failing)
    answer = small.post("/jobs", content=b"no zip", headers=ZIP)
    assert (answer.status_code, answer.json()["reason"]) == (422, "not_a_zip")
