"""From text to ink: lay words out in lines and make them as uneven as a pen or a press does.

The result is a plane of coverage, 0 for bare paper and 1 for full ink, drawn at `OVERSAMPLING` times the size wanted, so
that the unevenness is finer than a pixel of the sample. Colour and age are not its business (see `ageing.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from planes import Plane, Shape, blur, noise, warp

OVERSAMPLING = 2
# A line's own canvas, in letter bodies: swashes reach far above and below, and left of the first letter.
ABOVE, BELOW, ASIDE = 2.0, 1.4, 1.5
HAIRLINE = 0.6


@dataclass(frozen=True, slots=True)
class Hand:
    """How unevenly a pen or a press works. All lengths are fractions of the letter body."""

    pitch: float  # from one baseline to the next
    space: float  # between words
    size: float  # spread of the size from word to word
    slant: float  # spread of the slant from word to word
    step: float  # spread of the baseline from word to word
    wobble: float  # how far single letters are moved and stretched
    wave: float  # how far the baseline wanders along the line
    pressure: float  # how much the strokes swell and thin
    rag: float  # how ragged the edge of a stroke is


HANDS = {
    "pen": Hand(pitch=1.12, space=0.36, size=0.06, slant=0.06, step=0.03, wobble=0.03, wave=0.06, pressure=0.1, rag=0.03),
    "copybook": Hand(pitch=1.5, space=0.4, size=0.03, slant=0.03, step=0.012, wobble=0.02, wave=0.03, pressure=0.08, rag=0.03),
    "press": Hand(pitch=1.16, space=0.27, size=0.0, slant=0.0, step=0.004, wobble=0.005, wave=0.012, pressure=0.1, rag=0.14),
}


def write(
    lines: Sequence[str],
    font: ImageFont.FreeTypeFont,
    hand: Hand,
    body: float,
    rng: np.random.Generator,
    *,
    angle: float = 0.0,
    weight: float = 0.0,
) -> Plane:
    """Write `lines` below each other, turned by `angle` degrees, the strokes fatter (or thinner) by `weight`."""
    drawn = [_draw_line(line, font, hand, body, rng) for line in lines]
    pitch = hand.pitch * body
    height = round((ABOVE + BELOW) * body + pitch * (len(lines) - 1))
    sheet = np.zeros((height, max(line.shape[1] for line in drawn)), np.float32)
    for number, line in enumerate(drawn):
        top, indent = round(number * pitch), round(rng.uniform(0, 0.1) * body)
        window = sheet[top : top + line.shape[0], indent : indent + line.shape[1]]
        np.maximum(window, line[: window.shape[0], : window.shape[1]], out=window)
    return _vary_strokes(_shake(sheet, hand, body, angle, rng), hand, body, weight, rng)


def baseline(number: int, hand: Hand, body: float) -> float:
    """How far below the top of the written sheet the line `number`, counted from 0, stands."""
    return (ABOVE + number * hand.pitch) * body


def _draw_line(text: str, font: ImageFont.FreeTypeFont, hand: Hand, body: float, rng: np.random.Generator) -> Plane:
    """Draw word after word, each with a size, slant and height of its own."""
    words = text.split()
    lengths = [font.getlength(word) for word in words]
    width = 1.1 * (sum(lengths) + len(words) * hand.space * body) + 2 * ASIDE * body
    line = np.zeros((round((ABOVE + BELOW) * body), round(width)), np.float32)
    left = 0.0
    for word, length in zip(words, lengths, strict=True):
        scale = 1 + hand.size * rng.uniform(-1, 1)
        drawn = _draw_word(word, length, font, hand, body, scale, rng)
        window = line[:, round(left) : round(left) + drawn.shape[1]]
        np.maximum(window, drawn[:, : window.shape[1]], out=window)
        left += length * scale + hand.space * body * rng.uniform(0.8, 1.25)
    return np.asarray(line[:, : round(left + 2 * ASIDE * body)], np.float32)


def _draw_word(
    word: str, length: float, font: ImageFont.FreeTypeFont, hand: Hand, body: float, scale: float, rng: np.random.Generator
) -> Plane:
    """Draw one word on a canvas as high as the line's, its first letter `ASIDE` bodies from the left."""
    size = round(length * 1.1 + 2 * ASIDE * body), round((ABOVE + BELOW) * body)
    start, foot = ASIDE * body, ABOVE * body
    image = Image.new("L", size)
    ImageDraw.Draw(image).text((start, foot), word, fill=255, font=font, anchor="ls")
    slant, step = hand.slant * rng.uniform(-1, 1), hand.step * body * rng.uniform(-1, 1)
    # Pillow asks for the way back: which point of the word as drawn belongs at each point of the word as it shall be.
    across = (1 / scale, slant, start - start / scale - slant * foot)
    down = (0, 1 / scale, foot - (foot + step) / scale)
    moved = image.transform(size, Image.Transform.AFFINE, (*across, *down), Image.Resampling.BICUBIC)
    return np.asarray(moved, dtype=np.float32) / np.float32(255)


def _shake(sheet: Plane, hand: Hand, body: float, angle: float, rng: np.random.Generator) -> Plane:
    """Move every letter a little, smoothly, so that joined letters stay joined and no two of a kind are the same."""
    shape = _shape(sheet)
    letters = (1.2 * body, 0.45 * body)
    dy = noise(rng, shape, letters) * hand.wobble * body * 0.7
    dx = noise(rng, shape, letters) * hand.wobble * body
    dy += noise(rng, shape, (1.3 * body, 6 * body)) * hand.wave * body
    dy += np.tan(np.radians(angle)) * (np.arange(shape[1], dtype=np.float32) - shape[1] / 2)
    return warp(sheet, dy, dx)


def _vary_strokes(sheet: Plane, hand: Hand, body: float, weight: float, rng: np.random.Generator) -> Plane:
    """Swell and thin the strokes: soften their edges, then cut them anew at a level that changes from place to place."""
    shape = _shape(sheet)
    soft = blur(sheet, 0.024 * body)
    level = 0.42 - weight + hand.pressure * noise(rng, shape, (0.5 * body, 0.35 * body))
    level += hand.rag * noise(rng, shape, 0.05 * body)
    cut = np.clip((soft - np.clip(level, 0.1, 0.8)) * 3.2 + 0.5, 0, 1)
    # A hairline is thinner than the softening: it would break off, where a pen only writes it paler.
    return np.asarray(np.maximum(cut, HAIRLINE * sheet), dtype=np.float32)


def _shape(plane: Plane) -> Shape:
    return plane.shape[0], plane.shape[1]
