"""What the machine can do at best: one process per core decodes, prepares and runs images from memory, and that is all."""

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path

from inference.bundle import load_bundle
from inference.classifier import Classifier
from inference.images import ImageLimits
from inference.items import classify_pages, prepare_pages

_LIMITS = ImageLimits()


def images_per_second(bundle: Path, images: Sequence[bytes], *, processes: int) -> float:
    """Rate over all processes, from the moment when each has its model and its images until the last has finished."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes + 1)
    shares = [list(images[first::processes]) for first in range(processes)]
    workers = [context.Process(target=_classify_all, args=(bundle, share, barrier)) for share in shares]
    for worker in workers:
        worker.start()
    barrier.wait()
    started = time.perf_counter()
    barrier.wait()
    seconds = time.perf_counter() - started
    for worker in workers:
        worker.join()
    return len(images) / seconds


def classify(classifier: Classifier, image: bytes) -> None:
    """Decode, prepare and run one image, as every part of Penpress does."""
    classify_pages(classifier, list(prepare_pages(image, _LIMITS, classifier.spec)))


def _classify_all(bundle: Path, images: Sequence[bytes], barrier: Barrier) -> None:
    classifier = Classifier(load_bundle(bundle), device="cpu", threads=1)
    classifier.warm_up()
    barrier.wait()
    for image in images:
        classify(classifier, image)
    barrier.wait()
