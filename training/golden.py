"""Pick the golden sample of a bundle: a validation image that it answers rightly and surely, as a small file of its own."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.bundle import Golden, load_bundle
from inference.classifier import Classifier
from inference.golden import answer_page
from training.data import Sample, decoded
from training.errors import NoGoldenSample
from training.evaluate import targets_of

FloatArray = npt.NDArray[np.floating[Any]]

GOLDEN_NAME = "golden.png"
_CANDIDATES = 16


def make_golden(directory: Path, samples: Sequence[Sample], probabilities: FloatArray) -> Golden:
    """Write `golden.png` into the bundle in `directory`, and give what the graph that it serves answers to that very file.

    `probabilities` (n x classes) are those of the served graph for `samples`. Of the surest right answers the one whose picture
    is smallest is taken. The manifest is not changed: it must get the result, and list the file. Raises `NoGoldenSample`.
    """
    bundle = load_bundle(directory)
    classifier = Classifier(bundle, device="cpu")
    pictures = [(_as_png(sample, classifier), sample.target) for sample in _surest(samples, probabilities)]
    for data, target in sorted(pictures, key=lambda picture: len(picture[0])):
        verdict = answer_page(classifier, data)
        if verdict.predicted_class == bundle.manifest.labels[target]:
            (directory / GOLDEN_NAME).write_bytes(data)
            return Golden(file=GOLDEN_NAME, probabilities=tuple(verdict.probabilities.values()))
    raise NoGoldenSample


def _surest(samples: Sequence[Sample], probabilities: FloatArray) -> list[Sample]:
    """The right answers of highest confidence, surest first."""
    right = probabilities.argmax(axis=1) == targets_of(samples)
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    return [samples[index] for index in order if right[index]][:_CANDIDATES]


def _as_png(sample: Sample, classifier: Classifier) -> bytes:
    file = io.BytesIO()
    decoded(sample.read(), classifier.spec).save(file, "PNG", optimize=True)
    return file.getvalue()
