"""Ask a bundle what serving would answer: decode, prepare and classify through `inference`, one process per core."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.bundle import load_bundle
from inference.classifier import Classifier
from training.calibration import apply_temperature
from training.data import Sample, prepared
from training.metrics import accuracy_by, summarise
from training.progress import Advance

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a bundle answers to the `samples` (n) of a split: `probabilities`, n x classes."""

    samples: Sequence[Sample]
    probabilities: FloatArray

    @property
    def targets(self) -> IntArray:
        """The right answers (n)."""
        return targets_of(self.samples)

    @property
    def predicted(self) -> IntArray:
        """The answers (n)."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def confidence(self) -> FloatArray:
        """How sure each answer is (n)."""
        return np.asarray(self.probabilities.max(axis=1))

    def mistakes(self) -> IntArray:
        """The places of the wrong answers, the most confident first."""
        wrong = np.flatnonzero(self.predicted != self.targets)
        return wrong[np.argsort(-self.confidence[wrong], kind="stable")]

    def at_temperature(self, temperature: float) -> "Evaluation":
        """The same answers with their confidences rescaled; these were made at temperature 1."""
        return Evaluation(self.samples, apply_temperature(self.probabilities, temperature))

    def measure(self, labels: Sequence[str], threshold: float) -> dict[str, Any]:
        """The metrics of the split as a bundle states them, by class, source and century too."""
        return summarise(self.probabilities, self.targets, labels, threshold) | {
            "accuracy_by_source": self.accuracy_by_source(),
            "accuracy_by_century": self.accuracy_by_century(),
        }

    def accuracy_by_source(self) -> dict[str, dict[str, float]]:
        """The accuracy on the images of each source, and their number."""
        return accuracy_by(self.probabilities, self.targets, [sample.source for sample in self.samples])

    def accuracy_by_century(self) -> dict[str, dict[str, float]]:
        """The same by century."""
        return accuracy_by(self.probabilities, self.targets, [sample.century for sample in self.samples])


def evaluate(directory: Path, samples: Sequence[Sample], *, processes: int, advance: Advance) -> Evaluation:
    """Have the bundle in `directory` classify `samples`; `advance` is told of each image done."""
    return Evaluation(samples, served_probabilities(directory, samples, processes=processes, advance=advance))


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
