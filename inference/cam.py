"""Class activation maps: packed small for a database row, drawn large over the page.

MobileNetV2 ends in global average pooling and one linear layer, and for such a network Grad-CAM (Selvaraju et al. 2017)
equals the class activation map (Zhou et al. 2016); so the graph gives the map with the logits, and no gradient is needed.
"""

import struct

import numpy as np
import numpy.typing as npt
from PIL import Image

FloatArray = npt.NDArray[np.float32]

_HEADER = struct.Struct("<HHf")  # height, width, peak
_STOPS = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], dtype=np.float32)
_STRONGEST_OPACITY = 0.65


class PackedCamError(Exception):
    """The stored class activation map is damaged."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or type(self).__doc__)


def pack(grid: FloatArray) -> bytes:
    """Quantise a map (h x w, not negative) to one byte per place; a 256 x 1024 input makes 264 bytes."""
    height, width = grid.shape
    peak = float(grid.max(initial=0.0))
    levels = np.rint(grid * (255.0 / peak)) if peak > 0 else np.zeros_like(grid)
    return _HEADER.pack(height, width, peak) + levels.astype(np.uint8).tobytes()


def unpack(packed: bytes) -> FloatArray:
    """The map as it was before `pack`, to within half of 1/255 of its peak. Raises `PackedCamError`."""
    if len(packed) < _HEADER.size:
        raise PackedCamError
    height, width, peak = _HEADER.unpack_from(packed)
    levels = np.frombuffer(packed, dtype=np.uint8, offset=_HEADER.size)
    if levels.size != height * width:
        raise PackedCamError
    return (levels.reshape(height, width) * np.float32(peak / 255.0)).astype(np.float32)


def overlay(image: Image.Image, grid: FloatArray) -> Image.Image:
    """Draw `grid` over `image` (RGB): the stronger a place spoke for the predicted class, the brighter and more opaque."""
    peak = float(grid.max(initial=0.0))
    strength = grid / peak if peak > 0 else grid
    smooth = Image.fromarray(strength.astype(np.float32)).resize(image.size, Image.Resampling.BICUBIC)
    levels = np.clip(np.asarray(smooth), 0.0, 1.0)
    opacity = Image.fromarray(np.rint(levels * 255.0 * _STRONGEST_OPACITY).astype(np.uint8))
    return Image.composite(Image.fromarray(_colours(levels)), image, opacity)


def _colours(levels: FloatArray) -> npt.NDArray[np.uint8]:
    places = np.linspace(0.0, 1.0, len(_STOPS))
    channels = [np.interp(levels, places, _STOPS[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
