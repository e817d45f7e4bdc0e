"""`POST /predict/`: the contract of the service that Penpress replaces, field by field, and what was added to it."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from api import predict as predict_module
from api import predictions as predictions_module
from api.app import create_app
from inference.classifier import Classifier, ClassifierError
from inference.errors import NotAnImage
from store import predictions
from store.database import Database
from store.settings import Settings
from tests.pictures import DARK, GREY, LIGHT, RIBBON, claimed_png, encoded, picture, png, zip_of
from tests.service_fixtures import local_client


def predict(client: TestClient, data: bytes, name: str = "letter.png") -> Any:
    return client.post("/predict/", files={"file": (name, data)})


@pytest.mark.parametrize(("level", "expected"), [(DARK, "handwritten"), (LIGHT, "printed")])
def test_the_answer_holds_the_contract_field_by_field(client: TestClient, level: int, expected: str) -> None:
    answer = predict(client, png(level))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["image_name"] == "letter.png"
    assert body["predicted_class"] == expected
    assert 0.5 <= body["confidence"] <= 1.0
    assert body["model_version"] == "1"
    assert body["model_info"] == "Alias: prod"


def test_the_added_fields_agree_with_the_contract(client: TestClient) -> None:
    body = predict(client, png(DARK)).json()
    assert body["confidence"] == max(body["probabilities"].values())
    assert sum(body["probabilities"].values()) == pytest.approx(1.0)
    assert (body["needs_review"], body["reason"], body["pages"]) == (False, None, 1)


def test_every_prediction_is_a_row(client: TestClient) -> None:
    answer = predict(client, png(DARK)).json()
    row = client.get(answer["links"]["self"]).json()
    for field in ("id", "predicted_class", "confidence", "probabilities", "needs_review", "reason", "model_version", "links"):
        assert row[field] == answer[field]
    assert (row["file"], row["page"], row["status"], row["job_id"]) == ("letter.png", 1, "succeeded", None)


def test_a_doubtful_answer_asks_for_review_and_leads_to_its_gradcam(client: TestClient) -> None:
    body = predict(client, png(GREY)).json()
    assert (body["needs_review"], body["reason"]) == (True, "low_confidence")
    assert client.get(body["links"]["gradcam"]).headers["content-type"] == "image/png"


def test_a_strange_page_gets_its_best_class_and_asks_for_review(client: TestClient) -> None:
    body = predict(client, png(DARK, size=RIBBON)).json()
    assert (body["predicted_class"], body["needs_review"], body["reason"]) == ("handwritten", True, "unusual_shape")
    assert body["confidence"] > 0.99
    row = client.get(body["links"]["self"]).json()
    assert (row["status"], row["needs_review"], row["reason"]) == ("succeeded", True, "unusual_shape")
    assert "gradcam" in row["links"]


def test_of_a_document_the_first_page_is_answered(client: TestClient) -> None:
    tiff = encoded(picture(LIGHT), "TIFF", save_all=True, append_images=[picture(DARK)])
    body = predict(client, tiff, "register.tif").json()
    assert (body["predicted_class"], body["pages"]) == ("printed", 2)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty_file"),
        (b"no image at all", "not_an_image"),
        (claimed_png(30_000, 30_000), "too_many_pixels"),
        (encoded(picture(size=(400, 400)), "JPEG")[:700], "truncated_image"),
    ],
)
def test_bad_image_data_is_a_422_with_its_reason(client: TestClient, data: bytes, reason: str) -> None:
    answer = predict(client, data)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reason"] == reason


def test_no_image_is_a_422(client: TestClient) -> None:
    answer = client.post("/predict/")
    assert answer.status_code == 422
    assert answer.json()["reason"] == "invalid_request"
    assert "file" in answer.json()["detail"]


def test_without_a_model_the_answer_is_503_and_says_when_to_ask_again(settings: Settings, database: Database) -> None:
    empty = settings.model_copy(update={"tracking_uri": f"sqlite:///{settings.home_dir}/none.db"})
    with local_client(create_app(empty)) as client:
        answer = predict(client, png())
        assert answer.status_code == 503
        assert answer.json()["reason"] == "no_model"
        assert int(answer.headers["retry-after"]) > 0
        assert client.get("/health").json()["model_status"] == "not loaded"


def test_an_image_above_the_limit_is_a_413_that_names_it(settings: Settings, database: Database) -> None:
    with local_client(create_app(settings.model_copy(update={"max_predict_bytes": 10}))) as client:
        while client.get("/health").json()["model_status"] != "loaded":
            pass
        answer = predict(client, png())
    assert answer.status_code == 413
    assert answer.json()["limit"] == {"key": "max_predict_bytes", "value": 10, "observed": len(png()), "unit": "bytes"}


def test_a_client_s_path_never_becomes_the_name(client: TestClient) -> None:
    assert predict(client, png(), "../../etc/passwd.png").json()["image_name"] == "passwd.png"


def blob_files(settings: Settings) -> list[Path]:
    return [path for path in (settings.home_dir / "blobs").rglob("*") if path.is_file()]


def eventually_none(settings: Settings) -> bool:
    """The blob is removed beside the answer, not before it."""
    deadline = time.monotonic() + 5
    while blob_files(settings) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not blob_files(settings)


@pytest.mark.parametrize(
    "error", [OperationalError("", None, Exception()), InterfaceError("", None, Exception()), NoConnectionFree()]
)
def test_without_its_row_an_image_is_not_kept(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(predictions, "insert_single", Mock(side_effect=error))
    answer = predict(client, png())
    assert (answer.status_code, answer.json()["reason"]) == (503, "database_unavailable")
    assert eventually_none(settings)


def test_where_the_commit_may_have_happened_the_image_is_kept(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = OperationalError("", None, Exception(), connection_invalidated=True)
    monkeypatch.setattr(predictions, "insert_single", Mock(side_effect=lost))
    assert predict(client, png()).status_code == 503
    time.sleep(0.1)
    assert len(blob_files(settings)) == 1


def test_an_image_that_the_model_fails_on_is_not_kept(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Classifier, "classify", Mock(side_effect=ClassifierError))
    assert predict(client, png()).status_code == 503
    assert eventually_none(settings)


def test_who_waits_for_a_slot_keeps_nobody_else_from_an_answer(
    client: TestClient, predicted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More requests than there are threads wait; health, which needs a thread, is answered all the same."""
    release, running = threading.Event(), []

    def blocked(*_args: Any) -> None:
        running.append(1)
        release.wait(30)
        raise NotAnImage

    monkeypatch.setattr(predict_module, "_classify", blocked)
    monkeypatch.setattr(predictions_module, "_draw_page", blocked)
    with ThreadPoolExecutor(101) as waiting:
        answers = [waiting.submit(predict, client, png()) for _ in range(50)]
        answers += [waiting.submit(client.get, predicted["links"]["image"]) for _ in range(50)]
        try:
            while len(running) < 2 * (os.cpu_count() or 1):
                time.sleep(0.01)
            time.sleep(0.5)
            assert waiting.submit(client.get, "/health").result(5).status_code == 200
            assert len(running) == 2 * (os.cpu_count() or 1)
        finally:
            release.set()
    assert {answer.result().status_code for answer in answers} == {422}


def test_two_images_at_once_are_refused_rather_than_one_forgotten(client: TestClient) -> None:
    answer = client.post("/predict/", files=[("file", ("a.png", png())), ("file", ("b.png", png()))])
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_request")
    assert "/jobs" in answer.json()["detail"]


def test_a_zip_is_sent_where_zips_are_taken(client: TestClient) -> None:
    answer = predict(client, zip_of({"a.png": png()}), "box.zip")
    assert (answer.status_code, answer.json()["reason"]) == (422, "not_an_image")
    assert "batch" in answer.json()["detail"]
