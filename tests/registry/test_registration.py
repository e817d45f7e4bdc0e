"""A run's bundle becomes a version once, and only if it is whole."""

from pathlib import Path

import pytest

from inference.bundle import load_bundle
from inference.errors import BundleInvalid, ChecksumMismatch
from registry.bundle_file import write_bundle_file
from registry.catalog import Catalog, log_bundle
from registry.errors import UnfitRun
from registry.registration import import_bundle, register_run
from registry.tracking import experiment_id
from tests.registry.conftest import MakeBundle


@pytest.fixture
def catalog(tracking_uri: str) -> Catalog:
    return Catalog(tracking_uri)


@pytest.fixture
def run_id(catalog: Catalog, make_bundle: MakeBundle) -> str:
    return catalog.log_run(make_bundle(), name="tiny", parameters={}, metrics={})


def test_a_run_becomes_a_version_once(catalog: Catalog, run_id: str) -> None:
    made, again = register_run(catalog, run_id), register_run(catalog, run_id)
    assert (made.version.number, made.is_new) == ("1", True)
    assert (again.version.number, again.is_new) == ("1", False)
    assert made.version.run_id == run_id
    assert made.version.bundle_sha256 is not None


def test_a_bundle_made_anew_is_a_version_of_its_own(catalog: Catalog, run_id: str, make_bundle: MakeBundle) -> None:
    register_run(catalog, run_id)
    log_bundle(catalog.client, run_id, make_bundle("anew", bias=1.0))
    made, again = register_run(catalog, run_id), register_run(catalog, run_id)
    assert (made.version.number, made.is_new) == ("2", True)
    assert (again.version.number, again.is_new) == ("2", False)
    first, second = catalog.version("1"), catalog.version("2")
    assert first.bundle_sha256 != second.bundle_sha256


def test_a_damaged_bundle_is_not_registered(catalog: Catalog, run_id: str, tmp_path: Path) -> None:
    next((tmp_path / "home" / "mlartifacts").rglob("model.onnx")).write_bytes(b"damaged")
    with pytest.raises(ChecksumMismatch):
        register_run(catalog, run_id)
    assert catalog.versions() == []


def test_a_run_without_a_bundle_is_not_registered(catalog: Catalog) -> None:
    run = catalog.client.create_run(experiment_id(catalog.client, catalog.tracking_uri))
    catalog.client.set_terminated(run.info.run_id)
    with pytest.raises(UnfitRun, match="no bundle"):
        register_run(catalog, run.info.run_id)


def test_an_exported_bundle_is_imported_elsewhere_once(catalog: Catalog, make_bundle: MakeBundle, tmp_path: Path) -> None:
    file = tmp_path / "tiny.zip"
    write_bundle_file(load_bundle(make_bundle()), file)
    made, again = import_bundle(catalog, file), import_bundle(catalog, file)
    assert (made.version.number, made.is_new, again.is_new) == ("1", True, False)
    assert made.version.tags["imported_from"] == "tiny.zip"
    catalog.download("1", tmp_path / "fetched")
    assert load_bundle(tmp_path / "fetched").manifest == load_bundle(tmp_path / "bundles" / "tiny").manifest


def test_a_bundle_whose_graph_does_not_run_is_not_imported(catalog: Catalog, make_bundle: MakeBundle, tmp_path: Path) -> None:
    file = tmp_path / "nan.zip"
    write_bundle_file(load_bundle(make_bundle(bias=float("nan"))), file)
    with pytest.raises(BundleInvalid, match="was not imported: The graph gives"):
        import_bundle(catalog, file)
    assert catalog.versions() == []
