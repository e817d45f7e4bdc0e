"""A fresh installation gets its first model, once."""

from pathlib import Path
from typing import Any

import pytest

from registry import bootstrap
from registry.bootstrap import ensure_model, seed_cache
from registry.cache import BundleCache
from registry.catalog import Catalog
from registry.examination import Findings, examine
from registry.promotion import promote
from tests.registry.conftest import MakeBundle


def test_the_starter_becomes_prod_once(tracking_uri: str, cache_dir: Path, make_bundle: MakeBundle) -> None:
    starter = make_bundle()
    assert [ensure_model(tracking_uri, cache_dir, starter=starter) for _ in range(2)] == ["1", "1"]
    catalog = Catalog(tracking_uri)
    assert [version.number for version in catalog.versions()] == ["1"]
    assert catalog.aliased("prod").number == "1"


def test_a_version_in_production_stays_there(tracking_uri: str, cache_dir: Path, make_bundle: MakeBundle) -> None:
    catalog = Catalog(tracking_uri)
    for name in ("a", "b"):
        promote(catalog, catalog.register_bundle(make_bundle(name), parameters={}, tags={}).number)
    assert ensure_model(tracking_uri, cache_dir, starter=make_bundle("starter")) == "2"


def test_a_version_that_is_put_into_production_meanwhile_stays_there(
    tracking_uri: str, cache_dir: Path, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(tracking_uri)

    def overtaken(*given: Any, **named: Any) -> Findings:
        promote(catalog, catalog.register_bundle(make_bundle("b"), parameters={}, tags={}).number)
        return examine(*given, **named)

    monkeypatch.setattr(bootstrap, "examine", overtaken)
    assert ensure_model(tracking_uri, cache_dir, starter=make_bundle("starter")) == "2"
    assert catalog.aliases() == {"prod": "2"}


def test_a_start_that_was_cut_short_is_finished(tracking_uri: str, cache_dir: Path, make_bundle: MakeBundle) -> None:
    starter = make_bundle()
    Catalog(tracking_uri).register_bundle(starter, parameters={}, tags={})
    assert ensure_model(tracking_uri, cache_dir, starter=starter) == "1"
    assert len(Catalog(tracking_uri).versions()) == 1


def test_the_cache_is_seeded_only_before_the_store_exists(tracking_uri: str, cache_dir: Path, make_bundle: MakeBundle) -> None:
    cache = BundleCache(cache_dir, tracking_uri, "prod")
    Catalog(tracking_uri).versions()
    seed_cache(tracking_uri, cache, make_bundle())
    assert cache.read_pointer() is None


def test_the_starter_can_be_served_before_mlflow_is_ready(tracking_uri: str, cache_dir: Path, make_bundle: MakeBundle) -> None:
    cache = BundleCache(cache_dir, tracking_uri, "prod")
    seed_cache(tracking_uri, cache, make_bundle())
    pointer = cache.read_pointer()
    assert pointer is not None
    assert cache.bundle(pointer.version, bundle_sha256=pointer.bundle_sha256) is not None
