"""The model in production, as one process holds it.

A process that called `start` follows the alias: a new version is downloaded, verified, loaded and warmed up beside the old one,
then swapped in between two calls of `get`. Whatever fails on the way leaves the old model in place. Of all processes on a
machine one asks MLflow; the others read what it noted in the cache, so that they need not import MLflow at all.

Make a `CurrentModel` before or after a fork, but start it and load from it after.
"""

import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from inference.classifier import Classifier, Device
from registry.cache import BundleCache, Pointer, manifest_sha256
from registry.catalog import PROD, Catalog
from registry.errors import NoModel, RegistryError
from registry.locking import Leadership

__all__ = ["CurrentModel", "LoadedModel", "NoModel", "ServingStatus"]

_KEPT_IN_MEMORY = 2
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A version of the registered model, warmed up."""

    version: str
    classifier: Classifier


@dataclass(frozen=True, slots=True)
class ServingStatus:
    """How following the alias goes in this process: what serves since when (aware UTC), and what went wrong last, if it still
    does. `swaps` and `failures` count from the start of the process.
    """

    version: str | None
    loaded_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    swaps: int
    failures: int


@dataclass(frozen=True, slots=True)
class _Held:
    bundle_sha256: str
    model: LoadedModel


class CurrentModel:
    """The model that `alias` points to at `tracking_uri`. Safe to share between threads."""

    def __init__(
        self,
        *,
        tracking_uri: str,
        cache_dir: Path,
        device: Device = "auto",
        threads: int = 1,
        poll_seconds: float = 2.0,
        alias: str = PROD,
    ) -> None:
        """Nothing is read, imported or started yet; `threads` are those of onnxruntime, for each model."""
        self.last_error: str | None = None
        self._last_error_at: datetime | None = None
        self._loaded_at: datetime | None = None
        self._swaps = self._failures = 0
        self._catalog = Catalog(tracking_uri)
        self._cache = BundleCache(cache_dir, tracking_uri, alias)
        self._device, self._threads, self._poll_seconds, self._alias = device, threads, poll_seconds, alias
        self._leadership = Leadership(self._cache.directory / ".leader")
        self._current: LoadedModel | None = None
        self._loaded: OrderedDict[str, _Held] = OrderedDict()
        self._loading = threading.Lock()
        self._stopped = threading.Event()
        self._follower: threading.Thread | None = None

    def start(self) -> None:
        """Load the last version known to be in production from the disk, if there is one, and follow the alias from now on.

        Never waits for the registry and never fails: what went wrong is in `last_error`.
        """
        self._stopped.clear()
        self.warm_up()
        self._follower = threading.Thread(target=self._run, name="model-follower", daemon=True)
        self._follower.start()

    def warm_up(self) -> None:
        """Load the last version known to be in production, if it is on the disk; the registry is not asked."""
        known = self._cache.read_pointer()
        if known is not None and self._cache.bundle(known.version) is not None:
            self._follow(known)

    def stop(self) -> None:
        """Follow the alias no longer; the model stays loaded."""
        self._stopped.set()
        if self._follower is not None:
            self._follower.join(timeout=self._poll_seconds + 10)
        self._leadership.resign()

    def get(self) -> LoadedModel:
        """The model in production. Raises `NoModel` until the first one is loaded."""
        current = self._current
        if current is None:
            raise NoModel(f"{NoModel.__doc__} {self.last_error or ''}".strip())
        return current

    def status(self) -> ServingStatus:
        """How following the alias goes in this process."""
        current = self._current
        return ServingStatus(
            version=current.version if current else None,
            loaded_at=self._loaded_at,
            last_error=self.last_error,
            last_error_at=self._last_error_at,
            swaps=self._swaps,
            failures=self._failures,
        )

    def load(self, version: str) -> LoadedModel:
        """A particular version: from memory (the last two), the disk or the registry.

        Raises `NoSuchVersion`, `RegistryUnavailable`, a `BundleError` or a `ClassifierError`.
        """
        return self._load(version, bundle_sha256=None)

    def resolve(self) -> str:
        """Which version is in production now; while the registry is down, which one last was. Raises `NoModel`.

        What a living follower on this machine noted is taken as it is, and so is a note younger than two polls.
        """
        noted = self._cache.read_pointer()
        if noted is not None and (self._is_fresh(noted) or self._leadership.is_taken()):
            return noted.version
        try:
            return self._ask().version
        except RegistryError as error:
            if noted is None:
                raise NoModel(f"{NoModel.__doc__} {error}") from error
            return noted.version

    def _run(self) -> None:
        while True:
            self._follow()
            if self._stopped.wait(self._poll_seconds):
                return

    def _follow(self, pointer: Pointer | None = None) -> None:
        """Swap in the version in production, if it is not there already."""
        try:
            pointer = pointer or self._learn()
            self._swap_in(self._load(pointer.version, bundle_sha256=pointer.bundle_sha256))
            self.last_error = self._last_error_at = None
        except Exception as error:  # the follower must outlive whatever a registry or a new graph does
            self._note_failure(f"{type(error).__name__}: {error}")

    def _swap_in(self, model: LoadedModel) -> None:
        if model is not self._current:
            self._current, self._loaded_at = model, datetime.now(UTC)
            self._swaps += 1

    def _note_failure(self, failure: str) -> None:
        if failure != self.last_error:
            _log.warning("The model in production could not be loaded: %s", failure)
            self._last_error_at = datetime.now(UTC)
        self.last_error = failure
        self._failures += 1

    def _learn(self) -> Pointer:
        """Which version is in production: from MLflow for the follower that leads, from its note for the others."""
        noted = None if self._leadership.claim() else self._cache.read_pointer()
        return noted or self._ask()

    def _ask(self) -> Pointer:
        found = self._catalog.aliased(self._alias)
        pointer = Pointer(version=found.number, bundle_sha256=found.bundle_sha256, at=time.time())
        self._cache.write_pointer(pointer)
        return pointer

    def _is_fresh(self, pointer: Pointer) -> bool:
        return 0 <= time.time() - pointer.at < 2 * self._poll_seconds

    def _load(self, version: str, *, bundle_sha256: str | None) -> LoadedModel:
        with self._loading:
            held = self._loaded.get(version)
            if held is None or bundle_sha256 not in (None, held.bundle_sha256):
                held = self._loaded[version] = self._load_from_disk(version, bundle_sha256)
            self._loaded.move_to_end(version)
            while len(self._loaded) > _KEPT_IN_MEMORY:
                self._loaded.popitem(last=False)
            return held.model

    def _load_from_disk(self, version: str, bundle_sha256: str | None) -> _Held:
        bundle = self._cache.bundle(version, bundle_sha256=bundle_sha256)
        if bundle is None:
            bundle = self._cache.add(version, lambda destination: self._catalog.download(version, destination))
        classifier = Classifier(bundle, device=self._device, threads=self._threads)
        classifier.warm_up()
        return _Held(manifest_sha256(bundle), LoadedModel(version, classifier))
