"""Bring a page to the pixels that a model takes. Training, validation and serving all pass through here."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:  # a process that only decodes knows no bundles, and starts in half the time
    from inference.bundle import InputSpec

Pixels = npt.NDArray[np.uint8]
"""One prepared image, height x width x 3, RGB, 0 to 255."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The pixels of a page, and the width and height in pixels that it had before: stretched, all pages have one shape."""

    pixels: Pixels
    width: int
    height: int

    @classmethod
    def of(cls, image: Image.Image, spec: "InputSpec") -> "Prepared":
        """`image` (RGB), prepared."""
        return cls(prepare(image, spec), *image.size)


def prepare(image: Image.Image, spec: "InputSpec") -> Pixels:
    """Bring `image` (RGB) to the input size; the graph normalises."""
    return stretched(image, spec.width, spec.height)


def stretched(image: Image.Image, width: int, height: int) -> Pixels:
    """`image` (RGB) of that size, by an antialiasing bilinear filter."""
    resized = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(resized, dtype=np.uint8)
