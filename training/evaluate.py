"""Ask a bundle what serving would answer: decode, prepare and classify through `inference`, one process per core."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.bundle import Manifest, load_bundle
from inference.classifier import Classifier, Oddity, Verdict
from inference.look import Look, measure
from inference.preprocess import Prepared
from inference.review import odd_answer, odd_look
from training.calibration import apply_temperature
from training.data import Sample, decoded
from training.metrics import accuracy_by, summarise
from training.progress import Advance

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

_READ_AT_ONCE = 512


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


_classifier: Classifier


@dataclass(frozen=True, slots=True)
class Served:
    """What a bundle says of n images: `probabilities` (n x classes), how the pages look, and what is odd in the answers."""

    probabilities: FloatArray
    looks: Sequence[Look]
    oddities: Sequence[Oddity]

    def share_strange(self, manifest: Manifest) -> float:
        """The share of the images that the bundle finds strange, whatever it answers; 0 if it cannot tell."""
        envelope = manifest.envelope
        if envelope is None:
            return 0.0
        said = zip(self.looks, self.oddities, strict=True)
        strange = [odd_look(look, envelope) or odd_answer(oddity, envelope) for look, oddity in said]
        return sum(reason is not None for reason in strange) / len(strange)


def served_answers(directory: Path, samples: Sequence[Sample], *, processes: int, advance: Advance) -> Served:
    """What the bundle in `directory` says of `samples`, in one process at least; `advance` is told of each image done."""
    verdicts: list[Verdict] = []
    looks: list[Look] = []
    # A spawned process has neither torch's threads nor onnxruntime's, which do not survive a fork.
    pool = ProcessPoolExecutor(max(1, processes), mp_context=get_context("spawn"), initializer=_load, initargs=(directory,))
    with pool:
        for start in range(0, len(samples), _READ_AT_ONCE):  # `map` reads whatever it is given at once
            images = (sample.read() for sample in samples[start : start + _READ_AT_ONCE])
            for verdict, look in pool.map(_classify, images, chunksize=8):
                verdicts.append(verdict)
                looks.append(look)
                advance(1)
    return served(verdicts, looks)


def served(verdicts: Sequence[Verdict], looks: Sequence[Look]) -> Served:
    """The answers to n images, as columns."""
    return Served(
        probabilities=np.array([list(verdict.probabilities.values()) for verdict in verdicts], dtype=np.float32),
        looks=looks,
        oddities=[verdict.oddity for verdict in verdicts],
    )


def targets_of(samples: Sequence[Sample]) -> IntArray:
    """The right answers (n)."""
    return np.array([sample.target for sample in samples], dtype=np.int64)


def _load(directory: Path) -> None:
    global _classifier  # one model for the life of the process
    _classifier = Classifier(load_bundle(directory), device="cpu")


def _classify(data: bytes) -> tuple[Verdict, Look]:
    page = Prepared.of(decoded(data, _classifier.spec), _classifier.spec)
    (verdict,) = _classifier.classify([page.pixels])
    return verdict, measure(page)
