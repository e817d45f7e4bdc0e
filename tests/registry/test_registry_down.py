"""The registry goes away and comes back, for real: its SQLite file is moved, replaced or locked, its server does not answer."""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.cache import BundleCache, Pointer, manifest_sha256
from registry.catalog import Catalog
from registry.current import CurrentModel
from tests.registry.conftest import MakeBundle
from tests.registry.test_refused import wait_until


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "home" / "mlflow.db"


@pytest.fixture
def serving(tracking_uri: str, cache_dir: Path, make_bundle: MakeBundle) -> Iterator[CurrentModel]:
    """A follower that serves version 1; version 2 is registered."""
    catalog = Catalog(tracking_uri)
    for name in ("a", "b"):
        catalog.register_bundle(make_bundle(name), parameters={}, tags={})
    catalog.set_alias("prod", "1")
    current = CurrentModel(tracking_uri=tracking_uri, cache_dir=cache_dir, device="cpu", poll_seconds=0.05)
    current.start()
    wait_until(lambda: current.status().version == "1" and current.last_error is None)
    yield current
    current.stop()


def is_down(current: CurrentModel) -> bool:
    return "RegistryUnavailable" in (current.last_error or "")


def promote_elsewhere(store: Path) -> None:
    """As another program would, while ours has its connections open."""
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE registered_model_aliases SET version = 2 WHERE alias = 'prod'")
    connection.close()


def test_a_store_that_is_moved_away_and_back(serving: CurrentModel, store: Path) -> None:
    store.rename(store.with_suffix(".away"))
    wait_until(lambda: is_down(serving))
    assert serving.get().version == "1"
    store.with_suffix(".away").replace(store)
    wait_until(lambda: serving.last_error is None)
    promote_elsewhere(store)
    wait_until(lambda: serving.status().version == "2")


def test_a_store_that_is_restored_from_a_copy(serving: CurrentModel, store: Path) -> None:
    shutil.copyfile(store, store.with_suffix(".copy"))
    promote_elsewhere(store.with_suffix(".copy"))
    store.with_suffix(".copy").replace(store)
    wait_until(lambda: serving.status().version == "2")


def test_a_store_that_is_locked(serving: CurrentModel, store: Path) -> None:
    """MLflow waits for it, for 20 s before it gives up; the model in production does not."""
    connection = sqlite3.connect(store, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("UPDATE registered_model_aliases SET version = 2 WHERE alias = 'prod'")
    time.sleep(0.3)
    assert serving.get().version == "1"
    connection.commit()
    connection.close()
    wait_until(lambda: serving.status().version == "2")


def test_what_a_database_says_is_one_sentence(serving: CurrentModel, store: Path) -> None:
    with sqlite3.connect(store) as connection:
        connection.execute("ALTER TABLE registered_model_aliases RENAME TO hidden")
    wait_until(lambda: is_down(serving))
    assert (serving.last_error or "").endswith("no such table: registered_model_aliases.")
    with sqlite3.connect(store) as connection:
        connection.execute("ALTER TABLE hidden RENAME TO registered_model_aliases")
    connection.close()
    wait_until(lambda: serving.last_error is None)


def test_a_server_that_does_not_answer(cache_dir: Path, make_bundle: MakeBundle) -> None:
    uri = "http://127.0.0.1:1"
    cache = BundleCache(cache_dir, uri, "prod")
    bundle = cache.add_copy("1", make_bundle())
    cache.write_pointer(Pointer(version="1", bundle_sha256=manifest_sha256(bundle), at=0))
    current = CurrentModel(tracking_uri=uri, cache_dir=cache_dir, device="cpu", poll_seconds=0.05)
    current.start()
    assert current.get().version == "1"
    wait_until(lambda: is_down(current))
    assert (current.get().version, current.catch_up().version) == ("1", "1")
    current.stop()
