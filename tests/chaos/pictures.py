"""The items of a run: pictures whose right answer is known, because the same chain has classified them without any fault."""

import io
import random
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from inference import items
from inference.bundle import load_bundle
from inference.classifier import Classifier
from inference.errors import ImageError
from inference.images import ImageLimits
from store.settings import Settings
from tests.pictures import encoded, picture, png

_LEVELS = range(0, 256, 6)
_SMALL, _LARGE = (120, 40), (1400, 1000)
_LARGE_SHARE = 0.3
_BAD_SHARE = 0.02

Answer = dict[str, Any]
"""What must not depend on whether something failed meanwhile."""


@dataclass(frozen=True, slots=True)
class Album:
    """`files` to choose from, and the answer that each has to get, under the same number."""

    files: tuple[bytes, ...]
    answers: tuple[Answer, ...]
    small: tuple[int, ...]
    large: tuple[int, ...]
    bad: tuple[int, ...]

    @classmethod
    def of(cls, bundle: Path, settings: Settings) -> "Album":
        """Classify each once, in this process."""
        small, large = ([png(level, size=size) for level in _LEVELS] for size in (_SMALL, _LARGE))
        bad = [b"Dear Sir, this is a letter.", b"", encoded(picture(size=(400, 400)), "JPEG")[:700]]
        files = (*small, *large, *bad)
        classifier = Classifier(load_bundle(bundle))
        limits = ImageLimits(**settings.image_limits)
        bounds = (0, len(small), len(small) + len(large), len(files))
        kinds = [tuple(range(first, last)) for first, last in pairwise(bounds)]
        return cls(files, tuple(_answer(classifier, limits, data) for data in files), *kinds)

    def pick(self, random_numbers: random.Random, size: int) -> list[int]:
        """The numbers of `size` files, in any mixture, but never only bad ones."""

        def one() -> int:
            chance = random_numbers.random()
            if chance < _BAD_SHARE:
                return random_numbers.choice(self.bad)
            return random_numbers.choice(self.large if chance < _BAD_SHARE + _LARGE_SHARE else self.small)

        return [random_numbers.choice(self.small), *(one() for _ in range(size - 1))]

    def zip_of(self, numbers: list[int]) -> bytes:
        """An archive of these files, in this order."""
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for place, number in enumerate(numbers):
                archive.writestr(name_of(place), self.files[number])
        return file.getvalue()


def name_of(place: int) -> str:
    """What the file at this place of a job is called."""
    return f"{place:04d}.png"


def as_answer(row: dict[str, Any]) -> Answer:
    """The part of a result row that must equal the fault-free run's."""
    confidence = row["confidence"]
    return {
        "status": row["status"],
        "reason": row["reason"],
        "predicted_class": row["predicted_class"],
        "confidence": None if confidence is None else round(confidence, 6),
        "needs_review": row["needs_review"],
    }


def _answer(classifier: Classifier, limits: ImageLimits, data: bytes) -> Answer:
    (page,) = items.prepare_pages(data, limits, classifier.spec)
    (answer,) = items.classify_pages(classifier, [page])
    result = answer.result
    failed = isinstance(result, ImageError)
    return as_answer(
        {
            "status": "failed" if isinstance(result, ImageError) else "succeeded",
            "reason": result.reason if isinstance(result, ImageError) else answer.review,
            "predicted_class": None if isinstance(result, ImageError) else result.predicted_class,
            "confidence": None if isinstance(result, ImageError) else result.confidence,
            "needs_review": not failed and answer.review is not None,
        }
    )
