"""Classify on this machine with no service: the model of the last `prod` seen here, else the one that ships with Penpress."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from inference.bundle import load_bundle
from inference.classifier import ClassifierError
from inference.errors import BundleError
from inference.images import ImageLimits
from penpress.errors import NoModel
from penpress.local_pool import classify_items
from penpress.local_worker import LocalItem, LocalModel, LocalWorker, unclassified
from penpress.results import Result
from penpress.sources import Sources
from registry.cache import BundleCache
from registry.catalog import PROD
from registry.starter import STARTER
from store.archives import ArchiveError, Refusal, list_members, open_archive
from store.settings import Settings

_STARTER_VERSION = "starter"


def find_model(settings: Settings) -> LocalModel:
    """The model to use here. Raises `NoModel`."""
    cache = BundleCache(settings.models_dir, settings.mlflow_uri, PROD)
    pointer = cache.read_pointer()
    bundle = cache.bundle(pointer.version, bundle_sha256=pointer.bundle_sha256) if pointer else None
    try:
        bundle_in_use = bundle or load_bundle(STARTER)
    except BundleError as error:
        raise NoModel(f"There is no model on this machine: {error}") from error
    return LocalModel(
        directory=bundle_in_use.directory,
        version=pointer.version if pointer and bundle else _STARTER_VERSION,
        review_threshold=settings.review_threshold,
    )


def local_items(sources: Sources, settings: Settings) -> list[LocalItem]:
    """Every item of `sources`, zips entry by entry; a zip that cannot be read is one refused item."""
    items = [LocalItem(file.path, file.name) for file in sources.files]
    for path, prefix in zip(sources.zips, sources.zip_prefixes, strict=True):
        items.extend(_zip_items(path, prefix, settings))
    return items


def classify_locally(
    items: list[LocalItem], model: LocalModel, settings: Settings, on_progress: Callable[[int], None]
) -> Iterator[Result]:
    """The results in the order of the items; `on_progress` is told how many items are done."""
    limits = ImageLimits(**settings.image_limits)
    make_worker = partial(LocalWorker, model, limits, device=settings.device, threads=settings.worker_threads)
    try:
        for done, results in enumerate(classify_items(items, make_worker, _lost), start=1):
            on_progress(done)
            yield from results
    except ClassifierError as error:
        raise NoModel(f"The model cannot be run: {str(error) or type(error).__doc__}") from error


def _lost(item: LocalItem) -> Result:
    return unclassified(item, "worker_lost", "The process that read this item was killed by it.")


def _zip_items(path: Path, prefix: str, settings: Settings) -> Iterator[LocalItem]:
    try:
        with path.open("rb") as file, open_archive(file, max_items=settings.max_items) as archive:
            for member in list_members(archive, max_item_bytes=settings.max_item_bytes):
                yield LocalItem(path, prefix + member.name, member.index, member.refusal)
    except ArchiveError as error:
        yield LocalItem(path, prefix.removesuffix("/") or path.name, refusal=Refusal(error.reason, str(error)))
