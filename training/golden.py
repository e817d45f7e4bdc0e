"""Pick the golden sample of a bundle: a validation image that it answers rightly and surely, as a small file of its own."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.bundle import Golden, InputSpec, load_bundle
from inference.classifier import Classifier
from inference.errors import ImageError
from inference.golden import answer_page
from training.data import Sample, decoded
from training.errors import NoGoldenSample, WrongSetting
from training.evaluate import targets_of

FloatArray = npt.NDArray[np.floating[Any]]

GOLDEN_NAME = "golden.png"
_CANDIDATES = 16


def golden_of_samples(directory: Path, samples: Sequence[Sample], probabilities: FloatArray) -> Golden:
    """Write `golden.png` into the bundle in `directory`, and give what the graph that it serves answers to that very file.

    `probabilities` (n x classes) are those of the served graph for `samples`. Of the surest right answers the one whose picture
    is smallest is taken. The manifest is not changed: it must get the result, and list the file. Raises `NoGoldenSample`.
    """
    classifier = Classifier(load_bundle(directory), device="cpu")
    pictures = [(_as_png(sample.read(), classifier), sample.target) for sample in _surest(samples, probabilities)]
    for data, target in sorted(pictures, key=lambda picture: len(picture[0])):
        answer = _answer(data, classifier)
        if int(np.argmax(answer)) == target:
            return _write(directory, data, answer)
    raise NoGoldenSample


def golden_of_file(directory: Path, image: Path) -> Golden:
    """The same for an image of one's own: one from a data set may not be passed on with every model."""
    classifier = Classifier(load_bundle(directory), device="cpu")
    data = _as_png(image.read_bytes(), classifier)
    return _write(directory, data, _answer(data, classifier))


def refuse_unreadable(image: Path, spec: InputSpec) -> None:
    """Raises `WrongSetting` for a file of one's own that could not become the golden sample, long before it is to."""
    try:
        decoded(image.read_bytes(), spec)
    except (OSError, ImageError) as error:
        raise WrongSetting(f"--golden {image} is not an image that can be read: {error}") from error


def _answer(data: bytes, classifier: Classifier) -> tuple[float, ...]:
    return tuple(answer_page(classifier, data).probabilities.values())


def _write(directory: Path, data: bytes, answer: tuple[float, ...]) -> Golden:
    (directory / GOLDEN_NAME).write_bytes(data)
    return Golden(file=GOLDEN_NAME, probabilities=answer)


def _surest(samples: Sequence[Sample], probabilities: FloatArray) -> list[Sample]:
    """The right answers of highest confidence, surest first."""
    right = probabilities.argmax(axis=1) == targets_of(samples)
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    return [samples[index] for index in order if right[index]][:_CANDIDATES]


def _as_png(data: bytes, classifier: Classifier) -> bytes:
    file = io.BytesIO()
    decoded(data, classifier.spec).save(file, "PNG", optimize=True)
    return file.getvalue()
