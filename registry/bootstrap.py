"""Give a fresh installation its first model: `python -m registry.bootstrap --tracking-uri URI --cache-dir DIR`.

The starter bundle goes to the disk cache first, so that a process can serve it while MLflow is still being imported.
"""

import argparse
import sys
import time
from pathlib import Path

from inference.bundle import load_bundle
from registry.cache import BundleCache, Pointer, manifest_sha256
from registry.catalog import PROD, Catalog, Version
from registry.errors import NoSuchAlias, ProductionChanged
from registry.examination import examine
from registry.locking import one_at_a_time
from registry.promotion import promote
from registry.starter import STARTER
from registry.tracking import local_store

_FIRST_VERSION = "1"
_WHY = "the model that ships, in a fresh installation"


def ensure_model(tracking_uri: str, cache_dir: Path, *, starter: Path = STARTER, alias: str = PROD) -> str:
    """Which version is in production; if none is, the starter bundle becomes it. May be called by several processes at once.

    On a tracking server they may register the starter twice, which harms nobody.

    Raises `RegistryUnavailable`, or a `BundleError` if the starter is damaged.
    """
    cache = BundleCache(cache_dir, tracking_uri, alias)
    catalog = Catalog(tracking_uri)
    with one_at_a_time(tracking_uri):
        seed_cache(tracking_uri, cache, starter)
        try:
            return catalog.aliased(alias).number
        except NoSuchAlias:
            version = _starter_version(catalog, starter)
    try:
        # A fresh installation needs a model: the gates are asked and noted, but do not stand in its way.
        promote(catalog, version.number, alias=alias, findings=examine(catalog, version, None), force=True, reason=_WHY)
    except ProductionChanged:
        return catalog.aliased(alias).number
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
