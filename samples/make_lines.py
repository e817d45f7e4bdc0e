"""Draw typewritten lines, and printed ones in the same way, by which `penpress train` learns to notice typewriting.

    python samples/make_lines.py build/drawn

fills build/drawn/train/typewritten and build/drawn/train/printed. What is called printed is there so that being drawn is not
what tells typewriting: both are aged alike. The fonts come from packages, as samples/README.md says.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import typer
from PIL import Image, ImageDraw, ImageFont

from ageing import COPIES, INKS, PAPERS, Sheet, scan
from fonts import MODERN, PRINTED, TYPEWRITTEN, FontsMissing, check_installed, load
from planes import Plane, blur, noise, resize
from recipes import read_recipes
from writing import OVERSAMPLING

Kind = TypeVar("Kind")

SEED = 1868
HEIGHTS = (36, 48, 64, 72, 96, 128)
RIBBONS = (INKS["black"], INKS["black"], INKS["worn"], INKS["faded"], INKS["violet"], (36, 36, 110))
PRESS = (INKS["printer's"], INKS["worn"], INKS["black"])
SHEETS = [paper for paper in PAPERS.values() if not paper.ruled]
WORDS = [word for recipe in read_recipes() for page in recipe.pages for line in page for word in line.split()]


@dataclass(frozen=True, slots=True)
class Machine:
    """How a line is set: letters at one `pitch` (in widths of an n) or each at its own width, moved up or down by `jump` (in
    bodies) and weaker by up to `weakness`; lines stand `leading` bodies apart. None of them varies from line to line.
    """

    pitch: float | None
    jump: float
    weakness: float
    leading: float


def main(out: Annotated[Path, typer.Argument()], typewritten: int = 1000, printed: int = 500) -> None:
    """Draw so many lines of each kind, the fonts in turn."""
    kinds = {"typewritten": (TYPEWRITTEN, typewritten), "printed": (PRINTED | MODERN, printed)}
    try:
        check_installed(font for fonts, _ in kinds.values() for font in fonts.values())
    except FontsMissing as error:
        sys.exit(str(error))
    for label, (fonts, number) in kinds.items():
        folder = out / "train" / label
        folder.mkdir(parents=True, exist_ok=True)
        for line in range(number):
            name = list(fonts)[line % len(fonts)]
            rng = np.random.default_rng([SEED, len(label), line])
            font = load(fonts[name], rng.uniform(22, 46) * OVERSAMPLING)
            image = make_line(font, label == "typewritten", rng)
            image.convert("RGB").save(folder / f"{line:04}-{name}.jpg", quality=int(rng.integers(60, 92)))
    typer.echo(f"Drew {typewritten} typewritten and {printed} printed lines in {out}.")


def make_line(font: ImageFont.FreeTypeFont, typed: bool, rng: np.random.Generator) -> Image.Image:
    """A line, cut out of a page; of some pages so that the lines above and below show."""
    coverage = strike(draw_lines(font, make_machine(typed, rng), rng), rng)
    height = int(rng.choice(HEIGHTS))
    front = resize(coverage, (height, max(16, round(coverage.shape[1] * height / coverage.shape[0]))))
    paper, ink = choose(SHEETS, rng), choose(RIBBONS if typed else PRESS, rng)
    return scan(Sheet(front, np.roll(front, height // 2, axis=1)), paper, ink, choose(list(COPIES.values()), rng), rng)


def make_machine(typed: bool, rng: np.random.Generator) -> Machine:
    """Typewriters space evenly and strike unevenly; presses do neither."""
    leading = float(rng.uniform(0.85, 1.5))
    if typed:
        return Machine(float(rng.uniform(0.95, 1.15)), float(rng.uniform(0, 0.025)), float(rng.uniform(0.05, 0.45)), leading)
    return Machine(None, float(rng.uniform(0, 0.006)), float(rng.uniform(0, 0.12)), leading)


def draw_lines(font: ImageFont.FreeTypeFont, machine: Machine, rng: np.random.Generator) -> Plane:
    """The coverage of a line; with its neighbours in half of the cases."""
    ascent, descent = font.getmetrics()
    body, margin = ascent + descent, float(rng.uniform(2, 14)) * OVERSAMPLING
    text = make_text(int(rng.integers(6, 75)), rng)
    places = set_letters(text, font, machine.pitch)
    crowded = rng.random() < 0.5
    height = body * float(rng.uniform(1.1, 1.9) if crowded else rng.uniform(0.95, 1.35))
    image = Image.new("L", (round(places[-1] + 2 * margin), round(height)))
    top = (height - body) / 2
    strikes = [(text, 0)]
    if crowded:
        strikes += [(make_text(len(text), rng)[: len(text)], side) for side in (-1, 1) if rng.random() < 0.8]
    for words, line in strikes:
        type_line(image, words, font, machine, (margin, top + line * machine.leading * body * 0.8), rng)
    return np.asarray(image, dtype=np.float32) / np.float32(255)


def type_line(
    image: Image.Image,
    text: str,
    font: ImageFont.FreeTypeFont,
    machine: Machine,
    start: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    """Letter after letter, each as high and as strong as it happens to be struck."""
    pen, (left, top) = ImageDraw.Draw(image), start
    for letter, place in zip(text, set_letters(text, font, machine.pitch), strict=False):
        jump, strength = rng.normal(0, machine.jump) * font.size, 1 - machine.weakness * rng.random()
        pen.text((left + place, top + jump), letter, fill=round(255 * strength), font=font)


def set_letters(text: str, font: ImageFont.FreeTypeFont, pitch: float | None) -> list[float]:
    """Where each letter begins, and where the last one ends."""
    if pitch is not None:
        return [number * pitch * font.getlength("n") for number in range(len(text) + 1)]
    return [font.getlength(text[:number]) for number in range(len(text) + 1)]


def strike(drawn: Plane, rng: np.random.Generator) -> Plane:
    """Fatten or thin the strokes, and let the ribbon or the press leave gaps."""
    shape = drawn.shape[0], drawn.shape[1]
    soft = blur(drawn, float(rng.uniform(0.6, 2.6)))
    level = rng.uniform(0.12, 0.5) + rng.uniform(0, 0.15) * noise(rng, shape, 2.0)
    return np.asarray(np.clip((soft - level) * rng.uniform(2, 6) + 0.5, 0, 1) * np.clip(2 * soft, 0, 1), dtype=np.float32)


def make_text(letters: int, rng: np.random.Generator) -> str:
    """Words of the samples' texts in any order, figures and capitals among them."""
    words: list[str] = []
    while len(" ".join(words)) < letters:
        word = str(rng.choice(WORDS))
        chance = rng.random()
        words.append(str(rng.integers(1, 2000)) if chance < 0.08 else word.upper() if chance < 0.12 else word)
    return " ".join(words)


def choose(kinds: Sequence[Kind], rng: np.random.Generator) -> Kind:
    """One of them."""
    return kinds[int(rng.integers(len(kinds)))]


if __name__ == "__main__":
    typer.run(main)
