"""What a page looks like, in three numbers that say whether it can be a line of writing at all.

They hold for dark ink on light paper and for the inverse, in colour and without, and take under a millisecond.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from inference.preprocess import Prepared

_GRAIN = 4
_STRIP_COLUMNS, _ROW_PIXELS = 16, 2
_TAIL = 0.01


@dataclass(frozen=True, slots=True)
class Look:
    """`aspect_ratio` is width through height. `contrast` is that of ink and paper, 0 to 255, in the channel that has most;
    `row_changes` is how much lightness changes from one row to the next, as a share of the contrast: a page or a picture that
    was squeezed to the height of a line changes more often than a line.
    """

    aspect_ratio: float
    contrast: float
    row_changes: float


def measure(page: Prepared) -> Look:
    """How `page` looks."""
    image = Image.fromarray(page.pixels)
    contrast = _contrast(image)
    return Look(page.width / page.height, contrast, _row_changes(image) / max(contrast, 1.0))


def _contrast(image: Image.Image) -> float:
    """From the darkest to the lightest hundredth; pale ink shows best in one of the colours, and grain must not count."""
    smooth = image.reduce(_GRAIN)
    shares = np.array(smooth.histogram()).reshape(3, 256).cumsum(axis=1) / (smooth.width * smooth.height)
    return float(max(_level(channel, 1 - _TAIL) - _level(channel, _TAIL) for channel in shares))


def _level(shares: npt.NDArray[np.float64], share: float) -> int:
    """The lowest level at which so large a share of the pixels is as dark, or darker."""
    return int(np.searchsorted(shares, share))


def _row_changes(image: Image.Image) -> float:
    strips = np.asarray(image.reduce((_STRIP_COLUMNS, _ROW_PIXELS)).convert("L"), dtype=np.int16)
    return float(np.abs(np.diff(strips, axis=0)).mean())
