"""Ask a bundle what serving would answer: decode, prepare and classify through `inference`, one process per core."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference.bundle import load_bundle
from inference.classifier import Classifier
from training.data import Sample, prepared
from training.progress import Advance

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


_classifier: Classifier


def served_probabilities(directory: Path, samples: Sequence[Sample], *, processes: int, advance: Advance) -> FloatArray:
    """The probabilities (n x classes) that the bundle in `directory` gives; `advance` is told of each image done."""
    images = (sample.read() for sample in samples)
    rows = []
    # A spawned process has neither torch's threads nor onnxruntime's, which do not survive a fork.
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_load, initargs=(directory,))
    with pool:
        for row in pool.map(_classify, images, chunksize=8):
            rows.append(row)
            advance(1)
    return np.array(rows, dtype=np.float32)


def targets_of(samples: Sequence[Sample]) -> IntArray:
    """The right answers (n)."""
    return np.array([sample.target for sample in samples], dtype=np.int64)


def _load(directory: Path) -> None:
    global _classifier  # one model for the life of the process
    _classifier = Classifier(load_bundle(directory), device="cpu")


def _classify(data: bytes) -> list[float]:
    (verdict,) = _classifier.classify([prepared(data, _classifier.spec)])
    return list(verdict.probabilities.values())
