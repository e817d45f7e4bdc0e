import io
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from store.database import Database
from store.models import Prediction
from store.states import ItemStatus
from tests.pictures import DARK, GREY, LIGHT, encoded, picture, png, zip_of

Finished = Callable[..., dict[str, Any]]


def fetched(client: TestClient, url: str) -> Image.Image:
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def results(client: TestClient, job: dict[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get(job["links"]["results"]).json()["items"]
    return items


def test_the_image_of_a_prediction_is_its_page(client: TestClient, finished: Finished) -> None:
    tiff = encoded(picture(DARK), "TIFF", save_all=True, append_images=[picture(LIGHT)])
    first, second = results(client, finished({"box.zip": zip_of({"register.tif": tiff})}))
    for item, level in ((first, DARK), (second, LIGHT)):
        image = fetched(client, item["links"]["image"])
        assert image.format == "JPEG"
        assert abs(float(np.asarray(image).mean()) - level) < 3


def test_the_gradcam_is_drawn_over_the_page(client: TestClient, finished: Finished) -> None:
    (item,) = results(client, finished({"a.png": png(GREY, size=(300, 100))}))
    overlay = fetched(client, item["links"]["gradcam"])
    assert (overlay.format, overlay.size) == ("PNG", (300, 100))


def test_a_sure_prediction_has_no_gradcam_and_the_answer_says_how_to_get_one(
    client: TestClient, predicted: dict[str, Any]
) -> None:
    assert "gradcam" not in predicted["links"]
    answer = client.get(f"{predicted['links']['self']}/gradcam.png")
    assert (answer.status_code, answer.json()["reason"]) == (404, "no_gradcam")
    assert "Send the image to /jobs with gradcam=always" in answer.json()["detail"]


def test_a_sure_prediction_of_a_job_tells_to_submit_it_otherwise(client: TestClient, finished: Finished) -> None:
    (item,) = results(client, finished({"a.png": png()}, gradcam="never"))
    assert "submit the job with gradcam=always" in client.get(f"{item['links']['self']}/gradcam.png").json()["detail"]


def test_large_pages_are_shown_small(client: TestClient, finished: Finished) -> None:
    (item,) = results(client, finished({"a.png": png(size=(5000, 100))}))
    assert fetched(client, item["links"]["image"]).size == (2000, 40)


def test_an_unknown_prediction_is_a_404(client: TestClient) -> None:
    for path in ("", "/image", "/gradcam.png"):
        assert client.get(f"/predictions/{uuid4()}{path}").json()["reason"] == "not_found"


@pytest.mark.parametrize("path", ["image", "gradcam.png"])
def test_what_killed_a_worker_is_not_decoded_again(
    client: TestClient, database: Database, predicted: dict[str, Any], path: str
) -> None:
    with database.transaction() as session:
        lost = {"status": ItemStatus.FAILED, "reason": "worker_lost", "detail": "It was given up."}
        session.query(Prediction).update(lost)
    answer = client.get(f"{predicted['links']['self']}/{path}")
    assert (answer.status_code, answer.json()["reason"]) == (422, "worker_lost")
    assert answer.json()["detail"] == "It was given up."


def test_a_failed_item_shows_its_reason_when_its_image_is_asked_for(client: TestClient, finished: Finished) -> None:
    (item,) = results(client, finished({"a.png": b"nothing"}))
    assert (item["status"], item["reason"]) == ("failed", "not_an_image")
    assert "image" not in item["links"]
    assert client.get(f"{item['links']['self']}/image").json()["reason"] == "not_an_image"
