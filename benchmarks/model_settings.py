"""`python -m benchmarks.model_settings`: what batches and threads do for one process that runs the model that ships."""

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.images import read_images
from inference.bundle import load_bundle
from inference.classifier import Classifier
from inference.images import ImageLimits
from inference.items import PreparedPage, classify_pages, prepare_pages
from registry.starter import STARTER

_BATCHES = (1, 4, 16)
_THREADS = (1, 2)
_ROUNDS = 3


def main() -> None:
    """Measure and print; the settings take turns, so that a machine that changes its speed changes all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with lines/test; else the samples")
    images = read_images(parser.parse_args().data / "lines/test", 64)
    classifiers = {threads: Classifier(load_bundle(STARTER), device="cpu", threads=threads) for threads in _THREADS}
    pages = [page for image in images for page in prepare_pages(image, ImageLimits(), classifiers[1].spec)]
    measured: dict[tuple[int, int], list[float]] = {}
    for _ in range(_ROUNDS):
        for threads, classifier in classifiers.items():
            for batch in _BATCHES:
                measured.setdefault((threads, batch), []).append(_milliseconds(classifier, pages, batch))
    for (threads, batch), figures in measured.items():
        print(f"{threads} threads, batches of {batch:2}: median {statistics.median(figures):5.1f} ms an image")


def _milliseconds(classifier: Classifier, pages: Sequence[PreparedPage], batch: int) -> float:
    started = time.perf_counter()
    for first in range(0, len(pages), batch):
        classify_pages(classifier, list(pages[first : first + batch]))
    return 1000 * (time.perf_counter() - started) / len(pages)


if __name__ == "__main__":
    main()
