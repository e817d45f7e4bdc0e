"""From coverage to scan: lay ink on old paper, light it unevenly, and copy it as badly as scanners of archives have done.

Each step takes and gives an array of values between 0 and 1; only `scan` gives an image.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from planes import Plane, Shape, blur, noise, resize

Colour = tuple[float, float, float]
Colours = npt.NDArray[np.float32]  # height, width, 3

INKS: dict[str, Colour] = {
    "iron gall": (78, 52, 32),
    "faded": (128, 98, 66),
    "blue": (44, 52, 124),
    "violet": (96, 70, 150),
    "black": (30, 28, 30),
    "pencil": (92, 90, 92),
    "printer's": (40, 35, 31),
    "worn": (78, 71, 64),
}


@dataclass(frozen=True, slots=True)
class Paper:
    """A sheet: its colour, and how strong its clouds, its grain and its foxing are."""

    colour: Colour
    clouds: float = 0.02
    grain: float = 0.012
    spots: float = 0.0
    ruled: bool = False
    show_through: float = 0.1


PAPERS = {
    "cream": Paper((233, 222, 198), spots=0.25),
    "grey": Paper((214, 208, 197), clouds=0.025, grain=0.018, show_through=0.14),
    "brown": Paper((206, 180, 144), clouds=0.05, grain=0.02, spots=0.5, show_through=0.16),
    "yellow": Paper((232, 206, 146), clouds=0.03, spots=0.3),
    "pink": Paper((226, 196, 168), clouds=0.03),
    "blue": Paper((188, 200, 196), clouds=0.03, grain=0.02),
    "white": Paper((248, 247, 243), clouds=0.006, grain=0.005, show_through=0.03),
    "exercise book": Paper((240, 236, 224), clouds=0.012, ruled=True, show_through=0.06),
}


@dataclass(frozen=True, slots=True)
class Copy:
    """How the sheet was copied: in colour, in grey or in black and white, at which fraction of the size, how noisily."""

    kind: str = "colour"
    scale: float = 1.0
    blur: float = 0.55
    noise: float = 0.012
    light: float = 0.06
    gain: float = 1.0


COPIES = {
    "colour": Copy(),
    "grey": Copy(kind="grey"),
    "microfilm": Copy(kind="grey", blur=0.9, noise=0.03, light=0.14, gain=1.7),
    "bitonal": Copy(kind="bitonal", blur=0.6, noise=0.03, light=0.05),
    "small": Copy(scale=0.5, blur=0.5),
    "small grey": Copy(kind="grey", scale=0.45, blur=0.6),
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """What lies under the scanner: ink on the front, the coverage of the back, and where the rules run, if it is ruled."""

    front: Plane
    back: Plane
    rules: list[float] = field(default_factory=list)


def scan(sheet: Sheet, paper: Paper, ink: Colour, copy: Copy, rng: np.random.Generator) -> Image.Image:
    """Make the image of a written sheet."""
    shape = sheet.front.shape[0], sheet.front.shape[1]
    colours = _make_paper(paper, shape, rng)
    colours *= (1 - paper.show_through * _soak_through(sheet.back, rng))[..., None]
    if paper.ruled:
        colours = _stain(colours, _rule(shape, sheet.rules, rng), (130, 150, 190))
    colours = _stain(colours, _vary_ink(sheet.front, rng), ink)
    colours *= _light(shape, copy.light, rng)[..., None]
    return _copy(colours, copy, rng)


def _make_paper(paper: Paper, shape: Shape, rng: np.random.Generator) -> Colours:
    """Lay a sheet with clouds, fibres that run along it, and brown spots."""
    tone = paper.clouds * (0.7 * noise(rng, shape, 60) + 0.5 * noise(rng, shape, 14))
    tone += paper.grain * (noise(rng, shape, (1.6, 5)) + 0.8 * noise(rng, shape, 2.2))
    sheet = np.asarray(paper.colour, np.float32) / 255 * (1 + tone)[..., None]
    foxing = np.clip(noise(rng, shape, 7) + 0.6 * noise(rng, shape, 40) - 2.6, 0, 1)
    return _stain(np.asarray(sheet, np.float32), np.asarray(foxing * paper.spots, np.float32), (132, 92, 52))


def _stain(sheet: Colours, amount: Plane, colour: Colour) -> Colours:
    """Mix `colour` into the sheet; no stain makes a dark spot of the paper lighter."""
    tint = np.asarray(colour, np.float32) / 255
    mixed = sheet * (1 - amount[..., None]) + np.minimum(tint, sheet) * amount[..., None]
    return np.asarray(mixed, np.float32)


def _soak_through(back: Plane, rng: np.random.Generator) -> Plane:
    """Show the back of the sheet mirrored and washed out, more in some places than in others."""
    strength = np.clip(0.6 + 0.5 * noise(rng, (back.shape[0], back.shape[1]), 70), 0, 1.2)
    return np.asarray(blur(back[:, ::-1], 1.5) * strength, np.float32)


def _vary_ink(front: Plane, rng: np.random.Generator) -> Plane:
    """Let ink fade along the stroke, pool where strokes are fat, and bleed a little into the paper."""
    shape = front.shape[0], front.shape[1]
    pooled = np.clip(blur(front, 2.2) * 1.5, 0, 1)
    flow = 0.8 + 0.1 * noise(rng, shape, (18, 26)) + 0.05 * noise(rng, shape, 4) + 0.18 * pooled
    bled = 0.93 * front + 0.07 * blur(front, 2.5)
    return np.asarray(np.clip(bled * np.clip(flow, 0.35, 1), 0, 1), np.float32)


def _rule(shape: Shape, rows: list[float], rng: np.random.Generator) -> Plane:
    """Draw faint lines at `rows`, a pixel wide, with the breaks of a worn ruling machine."""
    y = np.arange(shape[0], dtype=np.float32)[:, None] + 0.6 * noise(rng, shape, (shape[0], 300))
    lines = np.zeros(shape, np.float32)
    for row in rows:
        lines = np.maximum(lines, np.clip(1.1 - np.abs(y - row), 0, 1))
    return np.asarray(lines * np.clip(0.6 + 0.2 * noise(rng, shape, (3, 9)), 0, 1), np.float32)


def _light(shape: Shape, strength: float, rng: np.random.Generator) -> Plane:
    """Light that falls off to one side, as beside a lamp or in the fold of a book."""
    x, y = np.linspace(-1, 1, shape[1], dtype=np.float32), np.linspace(-1, 1, shape[0], dtype=np.float32)
    slope, tilt = rng.uniform(-1, 1, 2)
    fall = slope * x[None, :] + 0.4 * tilt * y[:, None] + 0.5 * x[None, :] ** 2
    return np.asarray(1 - strength * (fall - fall.min()), np.float32)


def _copy(colours: Colours, copy: Copy, rng: np.random.Generator) -> Image.Image:
    """Photograph the sheet: lens, sensor, and the reduction to grey or to black and white."""
    shape = round(colours.shape[0] * copy.scale), round(colours.shape[1] * copy.scale)
    channels = [resize(blur(colours[..., channel], copy.blur), shape) for channel in range(3)]
    seen = np.stack(channels, axis=-1)
    seen += copy.noise * noise(rng, shape, 1.3)[..., None]
    if copy.kind == "colour":
        return Image.fromarray(_to_bytes(seen))
    grey = np.asarray(seen @ np.array([0.3, 0.59, 0.11], np.float32), np.float32)
    grey = np.asarray((grey - grey.mean()) * copy.gain + grey.mean(), np.float32)
    if copy.kind == "bitonal":
        return _to_black_and_white(grey)
    return Image.fromarray(_to_bytes(grey))


def _to_black_and_white(grey: Plane) -> Image.Image:
    """Cut halfway between the ink and the paper."""
    ink, paper = np.percentile(grey, [1, 80])
    return Image.fromarray(_to_bytes(grey > ink + 0.55 * (paper - ink)), "L").convert("1", dither=Image.Dither.NONE)


def _to_bytes(values: npt.NDArray[np.float32] | npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    return np.clip(values * np.float32(255), 0, 255).astype(np.uint8)
