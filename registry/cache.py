"""Bundles on this machine's disk, one folder per version, and a note of which version was last known to be in production.

Several processes share the folder. Whatever appears in it appears by one rename, complete, so that readers need no lock.
Versions of different registries are different models, so each registry has a folder of its own.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from inference.bundle import MANIFEST_NAME, Bundle, file_sha256, load_bundle
from inference.errors import BundleError
from registry.locking import locked

Fetch = Callable[[Path], None]


class Pointer(BaseModel):
    """A version as somebody noted it at the time `at` (Unix, seconds): in `prod.json` the one in production, in
    `prod.served.json` the one that was last loaded from there and found good.
    """

    model_config = ConfigDict(frozen=True)

    version: str
    bundle_sha256: str | None = None
    at: float


class BundleCache:
    """The cached bundles of one registry."""

    def __init__(self, directory: Path, tracking_uri: str, alias: str) -> None:
        """Nothing is read or made yet."""
        self.directory = directory / hashlib.sha256(tracking_uri.encode()).hexdigest()[:12]
        self._pointer_path = self.directory / f"{alias}.json"
        self._served_path = self.directory / f"{alias}.served.json"

    def bundle(self, version: str, *, bundle_sha256: str | None = None) -> Bundle | None:
        """The verified bundle of `version`; None if it is not here, damaged, or not the one with that checksum."""
        try:
            bundle = load_bundle(self._folder(version))
            return bundle if bundle_sha256 in (None, manifest_sha256(bundle)) else None
        except (BundleError, OSError):
            return None

    def add(self, version: str, fetch: Fetch) -> Bundle:
        """Have `fetch` make the bundle's folder and give it its name, replacing another bundle that had it.

        Raises a `BundleError` if what was fetched is damaged, and leaves what was there.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self.directory) as folder:
            fetched = Path(folder, "fetched")
            fetch(fetched)
            checksum = manifest_sha256(load_bundle(fetched))
            with locked(self.directory / ".lock"):
                present = self.bundle(version, bundle_sha256=checksum)
                if present is not None:  # another process was quicker
                    return present
                with suppress(FileNotFoundError):
                    self._folder(version).rename(Path(folder, "replaced"))
                fetched.rename(self._folder(version))
                return load_bundle(self._folder(version))

    def add_copy(self, version: str, directory: Path) -> Bundle:
        """Cache the bundle in `directory` as `version`."""
        return self.add(version, lambda destination: _copy_files(directory, destination))

    def read_pointer(self) -> Pointer | None:
        """The last note of which version is in production; None if there is none that can be read."""
        return _read(self._pointer_path)

    def write_pointer(self, pointer: Pointer) -> None:
        """Note which version is in production."""
        self._write(pointer, self._pointer_path)

    def read_served(self) -> Pointer | None:
        """The last note of which version was loaded and found good; None if there is none that can be read."""
        return _read(self._served_path)

    def write_served(self, pointer: Pointer) -> None:
        """Note which version was loaded and found good."""
        self._write(pointer, self._served_path)

    def _write(self, pointer: Pointer, path: Path) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(prefix=".pointer-", dir=self.directory)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(pointer.model_dump_json())
        os.replace(draft, path)

    def _folder(self, version: str) -> Path:
        if not version.isdecimal():
            raise ValueError(f"A version is a number, not {version!r}.")
        return self.directory / version


def _read(path: Path) -> Pointer | None:
    try:
        return Pointer.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def manifest_sha256(bundle: Bundle) -> str:
    """The checksum of a bundle's manifest, which holds those of its graphs: it tells whether two bundles are the same."""
    return file_sha256(bundle.directory / MANIFEST_NAME)


def _copy_files(source: Path, destination: Path) -> None:
    bundle = load_bundle(source)
    destination.mkdir()
    for name in (MANIFEST_NAME, *bundle.manifest.files):
        shutil.copyfile(source / name, destination / name)
