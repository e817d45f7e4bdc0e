"""Bundles for as long as a context lasts: that of a version, or one in a folder."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inference.bundle import Bundle, load_bundle
from inference.errors import BundleMissing, ChecksumMismatch
from registry.cache import manifest_sha256
from registry.catalog import Catalog, Version
from registry.errors import NoSuchAlias, NoSuchVersion


def download(catalog: Catalog, number: str, destination: Path, bundle_sha256: str | None) -> None:
    """Fetch a version's bundle, the one with that checksum if there is one, and verify it; `destination` must not exist yet.

    Raises `NoSuchVersion`, `RegistryUnavailable` or a `BundleError`: `ChecksumMismatch`, too, if it was overwritten.
    """
    catalog.download(number, destination)
    if bundle_sha256 not in (None, manifest_sha256(load_bundle(destination))):
        raise ChecksumMismatch(f"The bundle that the registry keeps for version {number} is not the one registered.")


@contextmanager
def fetched(catalog: Catalog, version: Version) -> Iterator[Bundle]:
    """The version's bundle, verified. Raises a `BundleError` if it is damaged, replaced or lost, or `RegistryUnavailable`."""
    with tempfile.TemporaryDirectory(prefix="penpress-") as folder:
        directory = Path(folder, "bundle")
        try:
            download(catalog, version.number, directory, version.bundle_sha256)
        except NoSuchVersion as error:  # the version was just there: what is gone are its files
            raise BundleMissing(f"The registry has lost the bundle of version {version.number}.") from error
        yield load_bundle(directory)


@contextmanager
def fetched_by_name(catalog: Catalog, name: str) -> Iterator[Bundle]:
    """The bundle of the version with that number or alias, or else the one in the folder of that name.

    Raises a `BundleError`, `NoSuchVersion`, `NoSuchAlias` or `RegistryUnavailable`.
    """
    if not name.isdecimal() and Path(name).is_dir():
        yield load_bundle(Path(name))
        return
    try:
        version = catalog.find(name)
    except NoSuchAlias as error:
        raise NoSuchAlias(f"{name!r} is neither a version's number, nor an alias, nor a folder with a bundle.") from error
    with fetched(catalog, version) as bundle:
        yield bundle
