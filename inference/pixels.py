"""Bring any pixel mode to 8-bit RGB without losing the page: bit depth by scale, transparency on white.

Pillow's own conversion clips: 16-bit grey becomes white and floating point black, and archive masters are often 16-bit.
"""

import numpy as np
from PIL import Image

_TIFF_BITS_PER_SAMPLE = 258
_TIFF_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0


def to_rgb(image: Image.Image) -> Image.Image:
    """Return `image`, already loaded, as mode RGB; its EXIF orientation is kept for the caller to apply."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F" or image.mode.startswith("I"):
        converted = _scale_to_8_bit(image).convert("RGB")
    elif image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        converted = _on_white(image)
    else:
        converted = image.convert("RGB")
    converted.info["exif"] = image.getexif().tobytes()
    return converted


def _scale_to_8_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float32)
    white = _white_level(image, values)
    scaled = np.clip(values * (255.0 / white), 0.0, 255.0)
    if _tag(image, _TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        scaled = 255.0 - scaled
    return Image.fromarray(np.rint(np.nan_to_num(scaled)).astype(np.uint8))


def _white_level(image: Image.Image, values: np.ndarray) -> float:
    """The value that means white: from the stored bit depth, else the smallest usual depth that holds every value."""
    bits = _tag(image, _TIFF_BITS_PER_SAMPLE)
    if image.mode.startswith("I;16"):
        return float(2 ** (bits or 16) - 1)
    brightest = float(np.nanmax(values, initial=0.0))
    levels = (1.0, 255.0, 65535.0) if image.mode == "F" else (65535.0,)
    return next((level for level in levels if brightest <= level), max(brightest, 1.0))


def _tag(image: Image.Image, tag: int) -> int | None:
    value = getattr(image, "tag_v2", {}).get(tag)
    return value[0] if isinstance(value, tuple) else value


def _on_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")
