"""Versions, aliases and downloads on a local store."""

from pathlib import Path

import pytest

from inference.bundle import load_bundle
from inference.errors import ChecksumMismatch
from registry.cache import manifest_sha256
from registry.catalog import Catalog, flat_metrics
from registry.errors import NoSuchAlias, NoSuchVersion, RegistryUnavailable
from registry.promotion import ARCHIVED_AT_TAG, promote
from tests.registry.conftest import MakeBundle


def register(catalog: Catalog, directory: Path) -> str:
    return catalog.register_bundle(directory, parameters={"seed": "1"}, tags={"origin": "test"}).number


def test_a_registered_bundle_comes_back_as_it_was(tracking_uri: str, make_bundle: MakeBundle, tmp_path: Path) -> None:
    catalog, directory = Catalog(tracking_uri), make_bundle()
    number = register(catalog, directory)
    catalog.download(number, tmp_path / "fetched")
    assert manifest_sha256(load_bundle(tmp_path / "fetched")) == manifest_sha256(load_bundle(directory))
    version = catalog.version(number)
    assert version.bundle_sha256 == manifest_sha256(load_bundle(directory))
    assert version.tags["origin"] == "test"
    run = catalog.client.get_run(version.run_id)
    assert run.data.params == {"seed": "1"}
    assert run.data.metrics == {"test.accuracy": 0.5, "test.expected_calibration_error": 0.0}


def test_metrics_by_source_are_left_to_the_bundle(make_bundle: MakeBundle) -> None:
    by_source = {"example.org/a": {"images": 3, "accuracy": 0.5}}
    metrics = {"test": {"accuracy": 0.5, "by_class": {"printed": {"f1": 0.4}}, "accuracy_by_source": by_source}}
    manifest = load_bundle(make_bundle()).manifest.model_copy(update={"metrics": metrics})
    assert flat_metrics(manifest) == {"test.accuracy": 0.5, "test.by_class.printed.f1": 0.4}


def test_artifacts_lie_beside_the_store(tracking_uri: str, make_bundle: MakeBundle, tmp_path: Path) -> None:
    register(Catalog(tracking_uri), make_bundle())
    assert len(list((tmp_path / "home" / "mlartifacts").rglob("bundle.json"))) == 1


def test_an_alias_moves(tracking_uri: str, make_bundle: MakeBundle) -> None:
    catalog = Catalog(tracking_uri)
    first, second = (register(catalog, make_bundle(name)) for name in ("a", "b"))
    for number in (first, second):
        catalog.set_alias("prod", number)
        assert catalog.aliased("prod").number == number
    assert [version.number for version in catalog.versions()] == [second, first]


def test_promoting_archives_the_version_before(tracking_uri: str, make_bundle: MakeBundle) -> None:
    catalog = Catalog(tracking_uri)
    first, second = (register(catalog, make_bundle(name)) for name in ("a", "b"))
    promote(catalog, first)
    promote(catalog, second)
    assert catalog.aliased().number == second
    assert ARCHIVED_AT_TAG in catalog.version(first).tags
    assert ARCHIVED_AT_TAG not in catalog.version(second).tags


def test_what_does_not_exist_is_told_apart(tracking_uri: str, make_bundle: MakeBundle, tmp_path: Path) -> None:
    catalog = Catalog(tracking_uri)
    with pytest.raises(NoSuchAlias):
        catalog.aliased("prod")
    register(catalog, make_bundle())
    with pytest.raises(NoSuchAlias):
        catalog.aliased("prod")
    for act in (lambda: catalog.version("99"), lambda: promote(catalog, "99"), lambda: catalog.download("99", tmp_path / "x")):
        with pytest.raises(NoSuchVersion):
            act()


def test_a_damaged_artifact_is_not_handed_out(tracking_uri: str, make_bundle: MakeBundle, tmp_path: Path) -> None:
    catalog = Catalog(tracking_uri)
    number = register(catalog, make_bundle())
    next((tmp_path / "home" / "mlartifacts").rglob("model.onnx")).write_bytes(b"not this one")
    with pytest.raises(ChecksumMismatch):
        catalog.download(number, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


def test_a_server_that_is_down_is_unavailable() -> None:
    with pytest.raises(RegistryUnavailable):
        Catalog("http://127.0.0.1:9").aliased("prod")
