"""Vary a line as scanners, cameras, microfilm, paper and cropping do, before it is prepared for the network.

Each step takes an RGB image and a source of chance, and gives an RGB image; `augment` applies each with its probability.
"""

import io
import random
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, ImageOps

FloatArray = npt.NDArray[np.float32]
Step = Callable[[Image.Image, random.Random], Image.Image]

_WHITE = 255.0
_SHORTEST_LINE_HEIGHTS = 1.5


def augment(image: Image.Image, chance: random.Random, *, share: float = 1.0) -> Image.Image:
    """A variation of `image` (RGB), by `chance` alone; each step happens in so large a `share` of the cases that it should."""
    for step, probability in _STEPS:
        if chance.random() < probability * share:
            image = step(image, chance)
    return image


def shorten(image: Image.Image, chance: random.Random) -> Image.Image:
    """A part of the line, at least one and a half times as wide as it is high."""
    width, height = image.size
    kept = min(width, max(round(width * chance.uniform(0.25, 1.0)), round(height * _SHORTEST_LINE_HEIGHTS)))
    left = chance.randint(0, width - kept)
    return image.crop((left, 0, left + kept, height))


def reframe(image: Image.Image, chance: random.Random) -> Image.Image:
    """Wider margins of the paper's colour, or a crop that cuts into the line."""
    width, height = image.size
    left, top, right, bottom = (round(height * chance.uniform(-0.12, 0.3)) for _ in range(4))
    framed = Image.new("RGB", (max(8, width + left + right), max(8, height + top + bottom)), paper_of(image))
    framed.paste(image, (left, top))
    return framed


def rotate(image: Image.Image, chance: random.Random) -> Image.Image:
    """Askew by a few degrees."""
    return image.rotate(chance.uniform(-4, 4), Image.Resampling.BILINEAR, fillcolor=paper_of(image))


def lower_resolution(image: Image.Image, chance: random.Random) -> Image.Image:
    """As a scanner of a third of the resolution, or more, sees it."""
    scale = chance.uniform(0.33, 1.0)
    size = (max(8, round(image.width * scale)), max(8, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BILINEAR)


def blur(image: Image.Image, chance: random.Random) -> Image.Image:
    """Out of focus."""
    return image.filter(ImageFilter.GaussianBlur(chance.uniform(0.2, 1.3)))


def bleed_through(image: Image.Image, chance: random.Random) -> Image.Image:
    """The other side of the sheet shows: the line itself, mirrored and faint."""
    behind = ImageOps.flip(ImageOps.mirror(image)) if chance.random() < 0.5 else ImageOps.mirror(image)
    shifted = np.roll(_floats(behind.filter(ImageFilter.GaussianBlur(1.0))), chance.randrange(image.width), axis=1)
    strength = chance.uniform(0.08, 0.3)
    return _image(_floats(image) - strength * np.clip(np.array(paper_of(image), dtype=np.float32) - shifted, 0, None))


def uneven_light(image: Image.Image, chance: random.Random) -> Image.Image:
    """Brighter at one end than at the other, along and across."""
    across = np.linspace(chance.uniform(0.8, 1.1), chance.uniform(0.8, 1.1), image.height, dtype=np.float32)
    along = np.linspace(chance.uniform(0.7, 1.1), chance.uniform(0.7, 1.1), image.width, dtype=np.float32)
    return _image(_floats(image) * across[:, None, None] * along[None, :, None])


def colour_jitter(image: Image.Image, chance: random.Random) -> Image.Image:
    """Other brightness, contrast and tint."""
    tint = np.array([chance.uniform(0.9, 1.1) for _ in range(3)], dtype=np.float32)
    contrast, brightness = chance.uniform(0.55, 1.35), chance.uniform(-35, 35)
    return _image(((_floats(image) - _WHITE / 2) * contrast + _WHITE / 2 + brightness) * tint)


def grey(image: Image.Image, chance: random.Random) -> Image.Image:
    """Without colour, as microfilm is."""
    return image.convert("L").convert("RGB")


def noise(image: Image.Image, chance: random.Random) -> Image.Image:
    """Grain of film and sensor."""
    grain = np.random.default_rng(chance.getrandbits(32))
    shape = (image.height, image.width, chance.choice((1, 3)))
    return _image(_floats(image) + chance.uniform(2, 16) * grain.standard_normal(shape, dtype=np.float32))


def bitonal(image: Image.Image, chance: random.Random) -> Image.Image:
    """Black and white only: thresholded between ink and paper."""
    levels = _floats(image.convert("L"))[..., None]
    ink, paper = np.percentile(levels, (2, 60))
    black = levels < ink + (paper - ink) * chance.uniform(0.45, 0.8)
    return _image(np.where(black, np.float32(0), np.float32(_WHITE)))


def invert(image: Image.Image, chance: random.Random) -> Image.Image:
    """A negative."""
    return ImageOps.invert(image)


def recompress(image: Image.Image, chance: random.Random) -> Image.Image:
    """The artefacts of JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=chance.randint(20, 90))
    return Image.open(file).convert("RGB")


def paper_of(image: Image.Image) -> tuple[int, int, int]:
    """The median colour, which on a line of text is the paper's."""
    red, green, blue = np.median(np.asarray(image)[::4, ::4].reshape(-1, 3), axis=0)
    return int(red), int(green), int(blue)


def _floats(image: Image.Image) -> FloatArray:
    return np.asarray(image, dtype=np.float32)


def _image(levels: FloatArray) -> Image.Image:
    height, width, _ = levels.shape
    pixels = np.clip(np.rint(levels), 0, _WHITE).astype(np.uint8)
    return Image.fromarray(np.broadcast_to(pixels, (height, width, 3)).copy())


# In the order in which they happen to a page: paper, framing, optics, light, film, digitising, file.
_STEPS: tuple[tuple[Step, float], ...] = (
    (bleed_through, 0.15),
    (shorten, 0.5),
    (reframe, 0.5),
    (rotate, 0.5),
    (lower_resolution, 0.4),
    (blur, 0.3),
    (uneven_light, 0.4),
    (colour_jitter, 0.6),
    (grey, 0.35),
    (noise, 0.3),
    (bitonal, 0.12),
    (invert, 0.08),
    (recompress, 0.4),
)
