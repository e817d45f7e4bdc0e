"""Make the synthetic samples in `samples/images`, and `samples/labels.csv` that says what each of them is.

Nothing here is a scan: each image is set in an open font and then aged, so that Penpress can be tried and tested without
anybody's archive. Every run with the same versions of Pillow and numpy makes the same files. The fonts come from packages:

    apt-get install fonts-blankenburg fonts-dancingscript fonts-dkg-handwriting fonts-ebgaramond \
        fonts-ecolier-court fonts-gamaliel fonts-gfs-didot fonts-goudybookletter fonts-joscelyn fonts-junicode \
        fonts-kristi fonts-lato fonts-linuxlibertine fonts-oldstandard fonts-sjfonts
    npm install --prefix samples/.fonts @fontsource/{bad-script,cedarville-cursive,dawning-of-a-new-day} \
        @fontsource/{herr-von-muellerhoff,homemade-apple,im-fell-dw-pica,im-fell-english,la-belle-aurore,meddon} \
        @fontsource/{mr-de-haviland,mrs-saint-delafield,over-the-rainbow,reenie-beanie} \
        @fontsource/{unifrakturmaguntia,zeyada}
    python samples/make_samples.py
"""

import csv
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import typer
from PIL import Image

from ageing import Sheet, scan
from fonts import FontsMissing, check_installed, load
from planes import Plane, Shape, resize
from recipes import Recipe, read_recipes
from writing import ASIDE, OVERSAMPLING, baseline, write

HERE = Path(__file__).parent
NOTICE = "Synthetic sample made by Penpress; not a scan"
SEED = 1450
MAX_WIDTH = 1500
IMAGE_DESCRIPTION = 270  # the tag of that name, the same in EXIF and in TIFF
LINE_QUALITY, PAGE_QUALITY = 72, 52
# A PDF carries the hour of its making unless it is told another; the same file shall come out each time.
MADE = time.gmtime(1_767_225_600)


def main() -> None:
    """Check the fonts, then make every sample anew."""
    todo = read_recipes()
    try:
        check_installed(recipe.font for recipe in todo)
    except FontsMissing as error:
        sys.exit(str(error))
    images = HERE / "images"
    images.mkdir(exist_ok=True)
    for old in images.iterdir():
        old.unlink()
    for recipe in todo:
        save(make_sample(recipe), images / recipe.file, LINE_QUALITY if recipe.is_line else PAGE_QUALITY)
    write_labels(todo)
    size = sum(path.stat().st_size for path in images.iterdir())
    typer.echo(f"Made {len(todo)} samples, {size / 1e6:.2f} MB.")


def make_sample(recipe: Recipe) -> list[Image.Image]:
    """Make the pages of one sample. Each file has chance of its own, so that a new one leaves the others as they are."""
    rng = np.random.default_rng([SEED, zlib.crc32(recipe.file.encode())])
    if recipe.is_line:
        return [make_line(recipe, recipe.pages[0][0], rng)]
    return [make_page(recipe, page, rng) for page in recipe.pages]


def make_line(recipe: Recipe, text: str, rng: np.random.Generator) -> Image.Image:
    """Write `text` between two other lines, as on a page, and cut it out so that their strokes reach in."""
    words = text.split()
    middle = len(words) // 2
    turned = " ".join(words[middle:] + words[:middle])
    body = recipe.body * OVERSAMPLING
    front = write_lines(recipe, [turned, text, turned], rng)
    foot = baseline(1, recipe.hand, body)
    top, bottom = foot - rng.uniform(0.88, 1.0) * body, foot + rng.uniform(0.42, 0.52) * body
    left = (ASIDE - rng.uniform(0.15, 0.4)) * body
    width = min(front.shape[1] - left - ASIDE * body * 0.75, MAX_WIDTH * OVERSAMPLING)
    front = front[round(top) : round(bottom), round(left) : round(left + width)]
    return age(recipe, front, [(foot - top) / OVERSAMPLING + 0.1 * recipe.body], rng)


def make_page(recipe: Recipe, lines: list[str], rng: np.random.Generator) -> Image.Image:
    """Write a whole page with its margins."""
    front = write_lines(recipe, lines, rng)
    below = np.pad(front, ((0, round(recipe.body * OVERSAMPLING * rng.uniform(1, 3))), (0, 0)))
    return age(recipe, below, [], rng)


def write_lines(recipe: Recipe, lines: list[str], rng: np.random.Generator) -> Plane:
    """Write `lines` as the recipe asks, at the size of drawing."""
    body = recipe.body * OVERSAMPLING
    font = load(recipe.font, body)
    return write(lines, font, recipe.hand, body, rng, angle=recipe.angle, weight=recipe.weight)


def age(recipe: Recipe, drawn: Plane, rules: list[float], rng: np.random.Generator) -> Image.Image:
    """Reduce what was drawn to the sample's size, and scan it; the back of the sheet has the same lines, moved."""
    shape: Shape = round(drawn.shape[0] / OVERSAMPLING), round(drawn.shape[1] / OVERSAMPLING)
    front = resize(drawn, shape)
    moved = round(0.4 * recipe.body), round(rng.uniform(1, 4) * recipe.body)
    sheet = Sheet(front, np.roll(front, moved, axis=(0, 1)), rules)
    return scan(sheet, recipe.paper, recipe.ink, recipe.copy, rng)


def save(pages: list[Image.Image], path: Path, quality: int) -> None:
    """Write the pages to one file that says of itself that it is synthetic."""
    first, rest = pages[0], pages[1:]
    if path.suffix == ".pdf":
        first.save(
            path, save_all=True, append_images=rest, quality=quality, resolution=100,
            title=NOTICE, subject=NOTICE, creationDate=MADE, modDate=MADE,
        )  # fmt: skip
    elif path.suffix == ".tiff":
        first.save(
            path, save_all=True, append_images=rest, compression="group4", dpi=(150, 150), tiffinfo={IMAGE_DESCRIPTION: NOTICE}
        )
    else:
        exif = Image.Exif()
        exif[IMAGE_DESCRIPTION] = NOTICE
        first.save(path, exif=exif, quality=quality, optimize=True)


def write_labels(made: list[Recipe]) -> None:
    """Write down what each sample is."""
    rows = [(recipe.file, recipe.label, recipe.font.name, recipe.font.licence) for recipe in made]
    with (HERE / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("file", "label", "font", "licence"), *rows])


if __name__ == "__main__":
    main()
