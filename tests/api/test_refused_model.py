"""A bad version in `prod` shows at every place where an operator looks, while the old one goes on answering."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from registry.catalog import Catalog
from store.database import Database
from store.settings import Settings
from tests.api.test_metrics import value
from tests.pictures import png
from tests.service_fixtures import local_client
from tests.tiny_bundle import write_tiny_bundle

SAID = "WrongLabels: Version {version} answers blank or text; this service keeps handwritten or printed."


@pytest.fixture
def tracking_uri(tmp_path: Path) -> str:
    """A registry of the test's own, with one version in production."""
    uri = f"sqlite:///{tmp_path / 'registry' / 'mlflow.db'}"
    promote(uri, write_tiny_bundle(tmp_path / "good"))
    return uri


def promote(tracking_uri: str, folder: Path) -> None:
    catalog = Catalog(tracking_uri)
    catalog.set_alias("prod", catalog.register_bundle(folder, parameters={}, tags={}).number)


def write_bundle_with_other_labels(folder: Path) -> Path:
    write_tiny_bundle(folder)
    manifest = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps(manifest | {"labels": ["blank", "text"]}))
    return folder


def refused(client: TestClient) -> dict[str, Any]:
    """The answer of `/health` once it says what is wrong with the model."""
    deadline = time.monotonic() + 20
    while (health := client.get("/health").json())["model_error"] is None:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return dict(health)


def test_a_model_with_other_labels_is_refused_and_shown(client: TestClient, tracking_uri: str, tmp_path: Path) -> None:
    folder = write_bundle_with_other_labels(tmp_path / "bad")
    promote(tracking_uri, folder)
    health = refused(client)
    assert health["model_error"] == "The model in production could not be loaded; GET /models/prod says why."
    assert client.get("/models/prod").json()["model_error"] == SAID.format(version=2)
    assert (health["status"], health["model_version"]) == ("healthy", "1")
    assert client.get("/readyz").status_code == 200
    assert client.post("/predict/", files={"file": ("a.png", png())}).json()["model_version"] == "1"
    assert value(client, "penpress_model_failing") == 1
    assert value(client, "penpress_model_failures_total") >= 1
    assert value(client, "penpress_model_swaps_total") == 1
    assert value(client, "penpress_model_info", version="1", name="tiny", device="cpu") == 1


def test_a_first_model_that_is_refused_is_shown_with_the_reason(settings: Settings, database: Database, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'other' / 'mlflow.db'}"
    promote(uri, write_bundle_with_other_labels(tmp_path / "bad"))
    with local_client(create_app(settings.model_copy(update={"tracking_uri": uri}))) as client:
        refused(client)
        shown = client.get("/models/prod").json()
    assert (shown["registered"]["version"], shown["served"]) == ("1", None)
    assert shown["model_error"] == SAID.format(version=1)
