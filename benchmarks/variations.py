"""What happens to a line on its way to us: scanning, filming and cropping, each variation with a strength of its own.

Each takes an RGB image and gives one; nothing is drawn by chance.
"""

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from benchmarks.images import decoded, encoded
from training.augment import paper_of

Variation = Callable[[Image.Image], Image.Image]

PLAIN = "plain"
_SHORTEST_LINE_HEIGHTS = 1.5


def rotated(degrees: float) -> Variation:
    """Askew, with corners of paper; nothing is cut off, so that the page grows."""
    return lambda image: image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=paper_of(image))


def blurred(share: float) -> Variation:
    """Out of focus by a Gaussian whose standard deviation is that `share` of the height."""
    return lambda image: image.filter(ImageFilter.GaussianBlur(share * image.height))


def scaled(divisor: int) -> Variation:
    """As a scanner of so much lower a resolution sees it."""
    return lambda image: image.resize(
        (max(1, image.width // divisor), max(1, image.height // divisor)), Image.Resampling.BILINEAR
    )


def bitonal(image: Image.Image) -> Image.Image:
    """Black and white only, parted where the variance between the two is greatest (Otsu 1979)."""
    grey = image.convert("L")
    counts = np.array(grey.histogram(), dtype=np.float64)
    below, sums = counts.cumsum(), (counts * np.arange(256)).cumsum()
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    threshold = int(np.nan_to_num(variance).argmax())
    return grey.point(lambda level: 255 * (level > threshold)).convert("RGB")


def grey(image: Image.Image) -> Image.Image:
    """Without colour."""
    return image.convert("L").convert("RGB")


def negative(image: Image.Image) -> Image.Image:
    """As microfilm shows it: grey, and inverted."""
    return ImageOps.invert(grey(image))


def with_margins(image: Image.Image) -> Image.Image:
    """Half a line height of paper on all sides."""
    return ImageOps.expand(image, border=image.height // 2, fill=paper_of(image))


def cut(top: float, bottom: float) -> Variation:
    """Without these shares of the height."""
    return lambda image: image.crop((0, round(top * image.height), image.width, round((1 - bottom) * image.height)))


def shortened(share: float) -> Variation:
    """The middle `share` of the width, at least one and a half times as wide as high where the line is."""

    def shorten(image: Image.Image) -> Image.Image:
        kept = min(image.width, max(round(share * image.width), round(_SHORTEST_LINE_HEIGHTS * image.height)))
        left = (image.width - kept) // 2
        return image.crop((left, 0, left + kept, image.height))

    return shorten


def unevenly_lit(image: Image.Image) -> Image.Image:
    """Darker towards the right and the lower edge: the far corner gets half of the light."""
    along = np.linspace(1.0, 0.6, image.width)
    across = np.linspace(1.0, 0.85, image.height)
    light = across[:, None, None] * along[None, :, None]
    return Image.fromarray(np.rint(np.asarray(image) * light).astype(np.uint8))


def compressed(image: Image.Image) -> Image.Image:
    """With the artefacts of JPEG at quality 20."""
    return decoded(encoded(image, "JPEG", quality=20))


VARIATIONS: Mapping[str, Variation] = {
    PLAIN: lambda image: image,
    "rotated by 2° to the left": rotated(2),
    "rotated by 2° to the right": rotated(-2),
    "rotated by 4° to the left": rotated(4),
    "rotated by 4° to the right": rotated(-4),
    "blurred by 1/50 of the height": blurred(1 / 50),
    "blurred by 1/25 of the height": blurred(1 / 25),
    "half the resolution": scaled(2),
    "a third of the resolution": scaled(3),
    "bitonal": bitonal,
    "grey": grey,
    "grey negative": negative,
    "margins of half a line height": with_margins,
    "the upper tenth cut off": cut(0.1, 0.0),
    "the lower tenth cut off": cut(0.0, 0.1),
    "the middle third of the line": shortened(1 / 3),
    "the middle quarter of the line": shortened(1 / 4),
    "JPEG of quality 20": compressed,
    "uneven light": unevenly_lit,
}
"""By name; what each does is said there, and has a fixed strength."""
