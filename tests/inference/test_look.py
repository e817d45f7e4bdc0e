import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from inference.bundle import InputSpec
from inference.look import Look, measure
from inference.preprocess import Prepared

SPEC = InputSpec(height=256, width=1024)


def lines(count: int, *, size: tuple[int, int] = (1000, 100), paper: str = "#eeeeee", ink: str = "#222222") -> Image.Image:
    """`count` lines of strokes, one below the other."""
    image = Image.new("RGB", size, paper)
    pen = ImageDraw.Draw(image)
    height = size[1] / count
    for number in range(count):
        for x in range(20, size[0] - 20, 12):
            pen.line((x, height * (number + 0.3), x, height * (number + 0.7)), fill=ink, width=3)
    return image


def look(image: Image.Image) -> Look:
    return measure(Prepared.of(image, SPEC))


def test_the_aspect_ratio_is_that_of_the_page_and_not_of_the_models_input() -> None:
    assert look(lines(1, size=(600, 800))).aspect_ratio == 0.75


@pytest.mark.parametrize(("paper", "ink"), [("#eeeeee", "#222222"), ("#222222", "#eeeeee")], ids=["positive", "negative"])
def test_the_contrast_is_that_of_ink_and_paper(paper: str, ink: str) -> None:
    assert look(lines(1, paper=paper, ink=ink)).contrast == pytest.approx(0xEE - 0x22, rel=0.25)


def test_ink_that_is_pale_in_grey_shows_in_its_colour() -> None:
    pale = lines(1, paper="#e0e0e0", ink="#40f0f0")
    assert look(pale).contrast > 1.5 * look(pale.convert("L").convert("RGB")).contrast


def test_paper_alone_has_no_contrast_however_coarse_its_grain() -> None:
    grain = np.random.default_rng(0).normal(225, 6, (256, 1024, 1)).clip(0, 255).astype(np.uint8).repeat(3, axis=2)
    assert look(Image.fromarray(grain)).contrast < 12


def test_a_page_of_one_level_divides_by_nothing() -> None:
    assert look(Image.new("RGB", (400, 100), "white")) == Look(aspect_ratio=4.0, contrast=0.0, row_changes=0.0)


@pytest.mark.parametrize("ink", ["#222222", "#999999"])
def test_a_page_of_lines_changes_more_often_from_row_to_row_than_a_line(ink: str) -> None:
    assert look(lines(20, ink=ink)).row_changes > 5 * look(lines(1, ink=ink)).row_changes


def test_a_negative_looks_like_its_positive() -> None:
    positive, negative = look(lines(3)), look(ImageOps.invert(lines(3)))
    assert negative.row_changes == pytest.approx(positive.row_changes, rel=0.05)
    assert negative.contrast == pytest.approx(positive.contrast, abs=2)
