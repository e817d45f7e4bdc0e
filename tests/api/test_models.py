"""What the service says of models, with and without the registry."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api import models
from api.app import create_app
from inference.bundle import load_bundle
from registry.cache import BundleCache, Pointer, manifest_sha256
from registry.catalog import PROD, Catalog
from registry.overview import Overview
from registry.promotion import promote
from store.database import Database
from store.settings import Settings
from tests.conftest import make_settings
from tests.service_fixtures import local_client, wait_for_model
from tests.tiny_bundle import write_tiny_bundle

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def cut_off(settings: Settings, database: Database, tiny_bundle: Path) -> Iterator[TestClient]:
    """A service whose registry is gone, but which has the model in its cache."""
    lost = settings.model_copy(update={"tracking_uri": NOWHERE})
    cache = BundleCache(lost.models_dir, NOWHERE, PROD)
    cache.add_copy("7", tiny_bundle)
    cache.write_pointer(Pointer(version="7", bundle_sha256=manifest_sha256(load_bundle(tiny_bundle)), at=0))
    with local_client(create_app(lost), raise_server_exceptions=False) as client:
        yield client


def test_every_version_is_listed(client: TestClient) -> None:
    answer = client.get("/models")
    assert answer.status_code == 200
    (model,) = answer.json()["models"]
    assert (model["version"], model["aliases"], model["name"], model["archived"]) == ("1", ["prod"], "tiny", None)
    assert model["metrics"] == {"test.accuracy": 1.0, "test.expected_calibration_error": 0.0}
    assert model["promoted"]["at"].endswith("Z")


def test_the_model_in_production_is_shown_as_registered_and_as_served(client: TestClient) -> None:
    shown = client.get("/models/prod").json()
    assert (shown["registry"], shown["model_error"]) == ("ok", None)
    assert shown["archived"] == []
    assert shown["registered"] == client.get("/models").json()["models"][0]
    served = shown["served"]
    assert (served["version"], served["labels"], served["graph"]) == ("1", ["handwritten", "printed"], "model.onnx")
    assert (served["review_threshold"], served["metrics"]["test.accuracy"]) == (0.9, 1.0)
    assert (served["swaps"], served["failures"], served["last_error"]) == (1, 0, None)
    assert served["loaded_at"] is not None


def test_a_promotion_shows(tmp_path: Path, database: Database, database_url: str, redis_url: str, tiny_bundle: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    catalog = Catalog(uri)
    newer = write_tiny_bundle(tmp_path / "newer", name="newer")
    first, second = (catalog.register_bundle(path, parameters={}, tags={}).number for path in (tiny_bundle, newer))
    promote(catalog, first)
    settings = make_settings(tmp_path, database_url=database_url, redis_url=redis_url, tracking_uri=uri)
    with local_client(create_app(settings)) as client:
        wait_for_model(client)
        promote(catalog, second, reason="it is newer")
        deadline = time.monotonic() + 5
        while (shown := client.get("/models/prod").json())["served"]["version"] != second:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        shown = client.get("/models/prod").json()
    assert (shown["registered"]["version"], shown["registered"]["promoted"]["why"]) == (second, "it is newer")
    assert [one["version"] for one in shown["archived"]] == [first]
    assert shown["archived"][0]["archived"]["why"] == "replaced by version 2"


def test_without_the_registry_what_is_served_is_still_shown(cut_off: TestClient) -> None:
    answer = cut_off.get("/models/prod")
    assert answer.status_code == 200
    assert answer.json()["registered"] is None
    assert answer.json()["registry"].startswith("The model registry")
    assert answer.json()["served"]["version"] == "7"
    assert answer.json()["served"]["name"] == "tiny"


def test_without_the_registry_there_is_no_list(cut_off: TestClient) -> None:
    answer = cut_off.get("/models")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["reason"] == "registry_unavailable"


def test_a_registry_that_hangs_is_not_waited_for(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(Overview, "entries", lambda _overview: time.sleep(1))
    began = time.monotonic()
    assert client.get("/models").json()["reason"] == "registry_unavailable"
    assert client.get("/models/prod").json()["served"]["version"] == "1"
    assert time.monotonic() - began < 1


def test_without_registry_and_model_there_is_none(settings: Settings, database: Database) -> None:
    with local_client(create_app(settings.model_copy(update={"tracking_uri": NOWHERE}))) as client:
        answer = client.get("/models/prod")
    assert (answer.status_code, answer.json()["reason"]) == (503, "no_model")
