"""Bring any pixel mode to 8-bit RGB without losing the page: bit depth by scale, transparency on white.

Pillow's own conversion clips: 16-bit grey becomes white and floating point black, and archive masters are often 16-bit.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

FloatArray = npt.NDArray[np.float32]
Samples = npt.NDArray[Any]

_TIFF_BITS_PER_SAMPLE = 258
_TIFF_PHOTOMETRIC = 262
_TIFF_SAMPLE_FORMAT = 339
_WHITE_IS_ZERO = 0
_UNSIGNED = 1
_STRIP_ROWS = 256


def to_rgb(image: Image.Image) -> Image.Image:
    """Return `image`, already loaded, as mode RGB; it is `image` itself where nothing has to change."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _scale_to_8_bit(image).convert("RGB")
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        return _on_white(image)
    return image.convert("RGB") if image.mode != "RGB" else image


def _scale_to_8_bit(image: Image.Image) -> Image.Image:
    """In strips, since floating-point copies of a whole page of a hundred megapixels would take gigabytes."""
    stored = _stored(image)
    factor = np.float32(255.0 / _white_level(image, stored))
    transparent = image.info.get("transparency")
    # Pillow inverts pages of 8 bits and fewer itself, deeper ones it hands over as they are.
    inverted = _tag(image, _TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
    levels = np.empty(stored.shape, dtype=np.uint8)
    for rows in _strips(stored):
        scaled = np.clip(_numbers(stored[rows]) * factor, 0.0, 255.0)
        levels[rows] = np.rint(255.0 - scaled if inverted else scaled)
        if isinstance(transparent, int):
            levels[rows][stored[rows] == transparent] = 255
    return Image.fromarray(levels)


def _strips(values: Samples) -> Iterator[slice]:
    return (slice(start, start + _STRIP_ROWS) for start in range(0, len(values), _STRIP_ROWS))


def _stored(image: Image.Image) -> Samples:
    """The values as stored: Pillow reads unsigned 32-bit ones as signed."""
    stored = np.asarray(image)
    if image.mode == "I" and _tag(image, _TIFF_BITS_PER_SAMPLE) == 32 and _tag(image, _TIFF_SAMPLE_FORMAT) in (None, _UNSIGNED):
        return stored.view(np.uint32)
    return stored


def _numbers(values: Samples) -> FloatArray:
    """As floating point; what is no number is black."""
    return np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _white_level(image: Image.Image, stored: Samples) -> float:
    """The value that means white: from the stored bit depth, else the smallest usual depth that holds every value."""
    bits = _tag(image, _TIFF_BITS_PER_SAMPLE)
    if image.mode.startswith("I;16"):
        return float(2 ** (bits or 16) - 1)
    if image.mode == "I" and bits == 16:
        return 32767.0  # sixteen bits reach mode I only when they are signed
    brightest = max((float(_numbers(stored[rows]).max(initial=0.0)) for rows in _strips(stored)), default=0.0)
    levels = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    return next((level for level in levels if brightest <= level), brightest)


def _tag(image: Image.Image, tag: int) -> int | None:
    value = getattr(image, "tag_v2", {}).get(tag)
    return value[0] if isinstance(value, tuple) else value


def _on_white(image: Image.Image) -> Image.Image:
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")  # from La Pillow knows no other way
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")
