"""Which samples there are: the rows of `recipes.csv`, each with the paper, ink, hand and copy that make it look old.

The sentences are our own inventions; no person, place or sum in them is taken from a source. In the table " / " ends a line
and " // " a page; `paper`, `ink` and `copy` name entries in `ageing.py`, `hand` one in `writing.py`, `font` one in `fonts.py`.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from ageing import COPIES, INKS, PAPERS, Colour, Copy, Paper
from fonts import FONTS, Font
from writing import HANDS, Hand

TABLE = Path(__file__).with_name("recipes.csv")

Page = list[str]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One file. `body` is the height of the letters in pixels, `angle` is in degrees, `weight` fattens the strokes."""

    file: str
    font: Font
    paper: Paper
    ink: Colour
    hand: Hand
    body: float
    angle: float
    weight: float
    copy: Copy
    pages: list[Page]

    @property
    def label(self) -> str:
        """The true class, which the name of the file begins with."""
        return self.file.partition("-")[0]

    @property
    def is_line(self) -> bool:
        """Whether the sample is a single line, cut out of a page, rather than whole pages."""
        return len(self.pages) == 1 and len(self.pages[0]) == 1


def read_recipes() -> list[Recipe]:
    """Read the table."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        return [_parse(row) for row in csv.DictReader(file)]


def _parse(row: dict[str, str]) -> Recipe:
    return Recipe(
        file=row["file"],
        font=FONTS[row["font"]],
        paper=PAPERS[row["paper"]],
        ink=INKS[row["ink"]],
        hand=HANDS[row["hand"]],
        body=float(row["body"]),
        angle=float(row["angle"]),
        weight=float(row["weight"]),
        copy=COPIES[row["copy"]],
        pages=[page.split(" / ") for page in row["text"].split(" // ")],
    )
