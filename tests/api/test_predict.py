"""`POST /predict/`: the contract of the service that Penpress replaces, field by field, and what was added to it."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from store.database import Database
from store.settings import Settings
from tests.pictures import DARK, GREY, LIGHT, claimed_png, encoded, picture, png


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
    assert (body["needs_review"], body["pages"]) == (False, 1)


def test_every_prediction_is_a_row(client: TestClient) -> None:
    answer = predict(client, png(DARK)).json()
    row = client.get(answer["links"]["self"]).json()
    for field in ("id", "predicted_class", "confidence", "probabilities", "needs_review", "model_version", "links"):
        assert row[field] == answer[field]
    assert (row["file"], row["page"], row["status"], row["job_id"]) == ("letter.png", 1, "succeeded", None)


def test_a_doubtful_answer_asks_for_review_and_leads_to_its_gradcam(client: TestClient) -> None:
    body = predict(client, png(GREY)).json()
    assert body["needs_review"]
    assert client.get(body["links"]["gradcam"]).headers["content-type"] == "image/png"


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
    with TestClient(create_app(empty)) as client:
        answer = predict(client, png())
        assert answer.status_code == 503
        assert answer.json()["reason"] == "no_model"
        assert int(answer.headers["retry-after"]) > 0
        assert client.get("/health").json()["model_status"] == "not loaded"


def test_an_image_above_the_limit_is_a_413_that_names_it(settings: Settings, database: Database) -> None:
    with TestClient(create_app(settings.model_copy(update={"max_predict_bytes": 10}))) as client:
        while client.get("/health").json()["model_status"] != "loaded":
            pass
        answer = predict(client, png())
    assert answer.status_code == 413
    assert answer.json()["limit"] == {"key": "max_predict_bytes", "value": 10, "observed": len(png()), "unit": "bytes"}


def test_a_client_s_path_never_becomes_the_name(client: TestClient) -> None:
    assert predict(client, png(), "../../etc/passwd.png").json()["image_name"] == "passwd.png"
