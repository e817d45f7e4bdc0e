"""Make a bundle a version of the registered model: that of a run, or one from a bundle file.

The same bundle is registered once; whoever tries again is given the version that it is already.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from inference.bundle import Bundle
from inference.errors import BundleInvalid
from registry.bundle_file import read_bundle_file
from registry.cache import manifest_sha256
from registry.catalog import Catalog, Version
from registry.gates import serving_objection
from registry.selection import fit_run


@dataclass(frozen=True, slots=True)
class Registered:
    """The version that a bundle is, and whether it has just become it."""

    version: Version
    is_new: bool


def register_run(catalog: Catalog, run_id: str) -> Registered:
    """Make the bundle that a finished run left a new version.

    Raises a `BundleError` if it is damaged, a `SelectionError` if there is none, or `RegistryUnavailable`.
    """
    run = fit_run(catalog, run_id)
    known = next((version for version in catalog.versions() if version.run_id == run.id), None)
    if known:
        return Registered(known, is_new=False)
    with tempfile.TemporaryDirectory(prefix="penpress-") as folder:
        directory = Path(folder, "bundle")
        catalog.fetch(run.bundle_source, directory)
        return Registered(catalog.register(run.id, directory, tags={"origin": "run"}), is_new=True)


def import_bundle(catalog: Catalog, path: Path) -> Registered:
    """Register a bundle from elsewhere, after it was unpacked, verified and run once.

    Raises `BundleFileInvalid`, a `BundleError` (also if its graph does not run) or `RegistryUnavailable`.
    """
    with tempfile.TemporaryDirectory(prefix="penpress-") as folder:
        bundle = read_bundle_file(path, Path(folder, "bundle"))
        known = _registered(catalog, bundle)
        if known:
            return Registered(known, is_new=False)
        objection = serving_objection(bundle)
        if objection:
            raise BundleInvalid(f"{path} was not imported: {objection}")
        tags = {"origin": "import", "imported_from": path.name}
        return Registered(catalog.register_bundle(bundle.directory, parameters={}, tags=tags), is_new=True)


def _registered(catalog: Catalog, bundle: Bundle) -> Version | None:
    checksum = manifest_sha256(bundle)
    return next((version for version in catalog.versions() if version.bundle_sha256 == checksum), None)
