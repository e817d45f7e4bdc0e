"""Give a fresh installation its first model: `python -m registry.bootstrap --tracking-uri URI --cache-dir DIR`.

The starter bundle goes to the disk cache first, so that a process can serve it while MLflow is still being imported.
"""

import argparse
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from inference.bundle import load_bundle
from registry.cache import BundleCache, Pointer, manifest_sha256
from registry.catalog import PROD, Catalog, Version
from registry.errors import NoSuchAlias
from registry.locking import locked
from registry.promotion import promote
from registry.starter import STARTER
from registry.tracking import local_store

_FIRST_VERSION = "1"
_WHY = "the model that ships, in a fresh installation"


def ensure_model(tracking_uri: str, cache_dir: Path, *, starter: Path = STARTER, alias: str = PROD) -> str:
    """Which version is in production; if none is, the starter bundle becomes it. May be called by several processes at once.

    Raises `RegistryUnavailable`, or a `BundleError` if the starter is damaged.
    """
    cache = BundleCache(cache_dir, tracking_uri, alias)
    catalog = Catalog(tracking_uri)
    with _one_at_a_time(tracking_uri):
        seed_cache(tracking_uri, cache, starter)
        try:
            return catalog.aliased(alias).number
        except NoSuchAlias:
            number = _starter_version(catalog, starter).number
            # A fresh installation needs a model: the gates are asked and noted, but do not stand in its way.
            version = promote(catalog, number, alias=alias, force=True, reason=_WHY)
        cache.add_copy(version.number, starter)
        _point_to(cache, version.number, starter)
        return version.number


def seed_cache(tracking_uri: str, cache: BundleCache, starter: Path = STARTER) -> None:
    """Where the local store has yet to be made, cache the starter as version 1, which it is about to become there."""
    store = local_store(tracking_uri)
    if store is not None and not store.exists():
        cache.add_copy(_FIRST_VERSION, starter)
        _point_to(cache, _FIRST_VERSION, starter)


def _point_to(cache: BundleCache, version: str, starter: Path) -> None:
    checksum = manifest_sha256(load_bundle(starter))
    cache.write_pointer(Pointer(version=version, bundle_sha256=checksum, at=time.time()))


def _starter_version(catalog: Catalog, starter: Path) -> Version:
    """The starter's version: an earlier start may have been cut short after registering it."""
    checksum = manifest_sha256(load_bundle(starter))
    registered = [version for version in catalog.versions() if version.bundle_sha256 == checksum]
    if registered:
        return registered[0]
    return catalog.register_bundle(starter, parameters={}, tags={"origin": "starter"})


def _one_at_a_time(tracking_uri: str) -> AbstractContextManager[None]:
    """Two processes that start a tracking server's first model at once register it twice, which harms nobody."""
    store = local_store(tracking_uri)
    return locked(store.with_name(f".{store.name}.lock")) if store else nullcontext()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m registry.bootstrap", description=__doc__)
    parser.add_argument("--tracking-uri", required=True, help="MLflow's tracking and registry URI")
    parser.add_argument("--cache-dir", type=Path, required=True, help="folder of the cached bundles")
    arguments = parser.parse_args()
    version = ensure_model(arguments.tracking_uri, arguments.cache_dir)
    sys.stdout.write(f"Version {version} is in production.\n")


if __name__ == "__main__":
    main()
