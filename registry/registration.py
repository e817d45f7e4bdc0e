"""Make a bundle a version of the registered model: that of a run, or one from a bundle file.

The same bundle is registered once; whoever tries again is given the version that it is already.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from inference.bundle import Bundle, load_bundle
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
    """Make the bundle that a finished run left a new version; one made anew since the run was registered is another version.

    Raises a `BundleError` if it is damaged, a `SelectionError` if there is none, or `RegistryUnavailable`.
    """
    run = fit_run(catalog, run_id)
    with tempfile.TemporaryDirectory(prefix="penpress-") as folder:
        directory = Path(folder, "bundle")
        catalog.fetch(run.bundle_source, directory)
        known = _registered(catalog, load_bundle(directory), run_id=run.id)
        if known:
            return Registered(known, is_new=False)
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


def _registered(catalog: Catalog, bundle: Bundle, *, run_id: str | None = None) -> Version | None:
    """The newest version that is this bundle, of that run if one is named."""
    checksum = manifest_sha256(bundle)
    same = (version for version in catalog.versions() if version.bundle_sha256 == checksum)
    return next((version for version in same if run_id in (None, version.run_id)), None)
