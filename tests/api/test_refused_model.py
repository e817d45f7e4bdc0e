"""A bad version in `prod` shows at every place where an operator looks, while the old one goes on answering."""

import json
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from registry.catalog import Catalog
from tests.api.test_metrics import value
from tests.pictures import png
from tests.tiny_bundle import write_tiny_bundle


@pytest.fixture
def tracking_uri(tmp_path: Path) -> str:
    """A registry of the test's own, with one version in production."""
    uri = f"sqlite:///{tmp_path / 'registry' / 'mlflow.db'}"
    promote(uri, write_tiny_bundle(tmp_path / "good"))
    return uri


def promote(tracking_uri: str, folder: Path) -> None:
    catalog = Catalog(tracking_uri)
    catalog.set_alias("prod", catalog.register_bundle(folder, parameters={}, tags={}).number)


def test_a_model_with_other_labels_is_refused_and_shown(client: TestClient, tracking_uri: str, tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "bad")
    manifest = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps(manifest | {"labels": ["blank", "text"]}))
    promote(tracking_uri, folder)
    deadline = time.monotonic() + 20
    while (health := client.get("/health").json())["model_error"] is None:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    assert health["model_error"] == ("WrongLabels: Version 2 answers blank or text; this service keeps handwritten or printed.")
    assert (health["status"], health["model_version"]) == ("healthy", "1")
    assert client.get("/readyz").status_code == 200
    assert client.post("/predict/", files={"file": ("a.png", png())}).json()["model_version"] == "1"
    assert value(client, "penpress_model_failing") == 1
    assert value(client, "penpress_model_failures_total") >= 1
    assert value(client, "penpress_model_swaps_total") == 1
    assert value(client, "penpress_model_info", version="1", name="tiny", device="cpu") == 1
