"""A full disk: uploads are refused with 507, nothing is half written, and all is well again when there is room."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from api.app import create_app
from store.database import Database
from store.models import Job, Upload
from store.settings import Settings
from tests.pictures import encoded, png, zip_of
from tests.service_fixtures import local_client, wait_for_model, wait_until_ready
from tests.tiny_disk import tiny_disk

ZIP = {"Content-Type": "application/zip"}
DISK_BYTES = 256 * 1024
PAGE_BYTES = 4096
_NOISE = encoded(Image.effect_noise((360, 360), 60))
_BOX = zip_of({"a.png": bytes(128 * 1024)})
LARGE = {"zip": _BOX, "form": _BOX, "predict": _NOISE}
"""More than 64 kB."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with tiny_disk(tmp_path / "disk", size_bytes=DISK_BYTES) as disk:
        yield disk


@pytest.fixture
def cramped(settings: Settings, disk: Path, database: Database) -> Iterator[TestClient]:
    """A service whose uploads lie on the small disk, and which keeps nothing of it free."""
    app = create_app(settings.model_copy(update={"blobs_url": disk.as_uri(), "min_free_bytes": 0}))
    with local_client(app, raise_server_exceptions=False) as client:
        wait_for_model(client)
        yield client


def files_on(disk: Path) -> list[Path]:
    return [path for path in disk.rglob("*") if path.is_file() and path.name != "ballast"]


def fill(disk: Path) -> Path:
    """Leave a few pages: for folders, not for files."""
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * (shutil.disk_usage(disk).free - 4 * PAGE_BYTES))
    return ballast


def rows(database: Database) -> int:
    with database.transaction() as session:
        return session.query(Job).count() + session.query(Upload).count()


def send(client: TestClient, form: str, data: bytes, *, announced: bool = False) -> Any:
    """By default without the announced size, which would be refused before it is written."""
    if form == "zip":
        return client.post("/jobs", content=data if announced else iter([data]), headers=ZIP)
    if form == "form":
        return post_form(client, "/jobs", ("a.zip", data), announced=announced)
    return post_form(client, "/predict/", ("a.png", data), announced=announced)


def post_form(client: TestClient, path: str, file: tuple[str, bytes], *, announced: bool) -> Any:
    request = client.build_request("POST", path, files={"file": file})
    if announced:
        return client.send(request)
    headers = {"Content-Type": request.headers["content-type"]}
    body = request.read()
    return client.post(path, content=(body[i : i + 4096] for i in range(0, len(body), 4096)), headers=headers)


@pytest.mark.parametrize("form", ["zip", "form", "predict"])
def test_a_disk_that_fills_up_is_a_507_and_nothing_is_left(
    cramped: TestClient, disk: Path, database: Database, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    for module in ("uploads", "predict"):
        monkeypatch.setattr(f"api.{module}.require_room", lambda *_, **__: None)  # as when others fill it meanwhile
    noise = encoded(Image.effect_noise((200, 200), 60))
    data = noise if form == "predict" else zip_of({"a.png": bytes(DISK_BYTES)})
    ballast = fill(disk)
    answer = send(cramped, form, data)
    assert (answer.status_code, answer.json()["reason"]) == (507, "disk_full")
    assert answer.headers["content-type"] == "application/problem+json"
    assert files_on(disk) == []
    assert rows(database) == 0
    ballast.unlink()
    small = zip_of({"a.png": png()}) if form != "predict" else data
    assert send(cramped, form, small).status_code == (200 if form == "predict" else 202)
    assert len(files_on(disk)) == 1


@pytest.mark.parametrize("path", ["/jobs", "/predict/"])
def test_a_form_that_finds_no_room_in_the_temporary_folder_is_a_507(
    client: TestClient, disk: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("api.uploads.require_room", lambda *_, **__: None)
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    answer = client.post(path, files={"file": ("a.png", bytes(2 * 1024**2))})
    assert (answer.status_code, answer.json()["reason"]) == (507, "disk_full")
    assert files_on(disk) == []


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("form", ["zip", "form", "predict"])
def test_what_would_leave_too_little_free_is_refused_before_it_is_written(
    settings: Settings, disk: Path, database: Database, form: str, announced: bool
) -> None:
    kept = settings.model_copy(update={"blobs_url": disk.as_uri(), "min_free_bytes": DISK_BYTES - 64 * 1024})
    with local_client(create_app(kept), raise_server_exceptions=False) as client:
        wait_for_model(client)
        answer = send(client, form, LARGE[form], announced=announced)
        assert (answer.status_code, answer.json()["reason"]) == (507, "disk_full")
        limit = answer.json()["limit"]
        assert (limit["key"], limit["value"], limit["unit"]) == ("min_free_bytes", kept.min_free_bytes, "bytes")
        assert limit["observed"] <= DISK_BYTES
        assert files_on(disk) == []
        wait_until_ready(client)
        (disk / "ballast").write_bytes(bytes(100 * 1024))
        wait_until_ready(client, status=503)
        assert client.get("/readyz").json()["checks"]["disk"] == "has too little room for uploads"


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("path", ["/jobs", "/predict/"])
def test_a_form_needs_room_twice_where_it_waits_on_the_disk_that_it_is_stored_on(
    settings: Settings, disk: Path, database: Database, monkeypatch: pytest.MonkeyPatch, path: str, announced: bool
) -> None:
    """Else what is left free is gone before the copy is made."""
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    monkeypatch.setattr("api.bodies._ROOM_STEP_BYTES", 4096)
    monkeypatch.setattr("api.uploads._PIECE_BYTES", 4096)
    monkeypatch.setattr("api.predict._MEMORY_BYTES", 4096)
    kept = settings.model_copy(update={"blobs_url": disk.as_uri(), "min_free_bytes": DISK_BYTES - 160 * 1024})
    with local_client(create_app(kept), raise_server_exceptions=False) as client:
        wait_for_model(client)
        answer = post_form(client, path, ("a.png", LARGE["predict"]), announced=announced)
        assert (answer.status_code, answer.json()["reason"]) == (507, "disk_full")
        assert post_form(client, path, ("a.png", png()), announced=announced).status_code in (200, 202)
