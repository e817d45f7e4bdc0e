"""Versions of the model on their way into memory: fetched, verified, loaded, tried and warmed up, the last two kept."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from inference.bundle import Bundle
from inference.classifier import Classifier, Device
from inference.golden import check_golden
from registry.cache import BundleCache, manifest_sha256
from registry.catalog import Catalog
from registry.errors import WrongLabels
from registry.fetching import download

_KEPT_IN_MEMORY = 2


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A version of the registered model, warmed up; `bundle_sha256` is that of its bundle's manifest."""

    version: str
    classifier: Classifier
    bundle_sha256: str


class ModelLoader:
    """Loads versions for one process. Safe to share between threads, of which one loads at a time."""

    def __init__(
        self, catalog: Catalog, cache: BundleCache, *, device: Device, threads: int, labels: Sequence[str] | None
    ) -> None:
        """Nothing is read yet. `threads` are onnxruntime's for each model; a model must have `labels`, in whatever order."""
        self._catalog, self._cache = catalog, cache
        self._device, self._threads, self._labels = device, threads, labels
        self._loaded: OrderedDict[str, LoadedModel] = OrderedDict()
        self._loading = threading.Lock()

    def load(self, version: str, *, bundle_sha256: str | None = None) -> LoadedModel:
        """A version from memory, the disk or the registry; with a checksum, the bundle that has it.

        Raises `NoSuchVersion`, `RegistryUnavailable`, `WrongLabels`, a `BundleError` or a `ClassifierError`.
        """
        with self._loading:
            model = self._loaded.get(version)
            if model is None or bundle_sha256 not in (None, model.bundle_sha256):
                model = self._loaded[version] = self._load(version, bundle_sha256)
            self._loaded.move_to_end(version)
            while len(self._loaded) > _KEPT_IN_MEMORY:
                self._loaded.popitem(last=False)
            return model

    def fetch(self, version: str, *, bundle_sha256: str | None = None) -> Bundle:
        """The verified bundle of a version, on the disk. Raises `NoSuchVersion`, `RegistryUnavailable` or a `BundleError`:
        `ChecksumMismatch`, too, where the registry now keeps another bundle than the one with that checksum.
        """
        model = self._loaded.get(version)
        if model is not None and bundle_sha256 == model.bundle_sha256:
            return model.classifier.bundle
        found = self._cache.bundle(version, bundle_sha256=bundle_sha256)
        return found or self._cache.add(
            version, lambda destination: download(self._catalog, version, destination, bundle_sha256)
        )

    def _load(self, version: str, bundle_sha256: str | None) -> LoadedModel:
        bundle = self.fetch(version, bundle_sha256=bundle_sha256)
        self._check_labels(version, bundle)
        classifier = Classifier(bundle, device=self._device, threads=self._threads)
        check_golden(classifier)
        classifier.warm_up()
        return LoadedModel(version, classifier, manifest_sha256(bundle))

    def _check_labels(self, version: str, bundle: Bundle) -> None:
        found, wanted = bundle.manifest.labels, self._labels
        if wanted is not None and set(found) != set(wanted):
            raise WrongLabels(f"Version {version} answers {' or '.join(found)}; this service keeps {' or '.join(wanted)}.")
