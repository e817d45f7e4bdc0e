import numpy as np
import pytest
from PIL import Image, ImageDraw

from benchmarks.variations import VARIATIONS, shortened

PAPER, INK = (230, 220, 200), (60, 50, 90)
WIDTH, HEIGHT = 400, 40


@pytest.fixture
def line() -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    pen = ImageDraw.Draw(image)
    for left in range(10, WIDTH - 10, 20):
        pen.line((left, 30, left + 12, 8), fill=INK, width=2)
    return image


@pytest.mark.parametrize("name", VARIATIONS)
def test_a_variation_gives_the_same_picture_each_time(line: Image.Image, name: str) -> None:
    before = line.tobytes()
    once, again = VARIATIONS[name](line), VARIATIONS[name](line)
    assert once.mode == "RGB"
    assert once.tobytes() == again.tobytes()
    assert line.tobytes() == before
    assert (once.size, once.tobytes()) == (line.size, before) or name != "plain"


@pytest.mark.parametrize("name", [name for name in VARIATIONS if name != "plain"])
def test_a_variation_changes_the_picture(line: Image.Image, name: str) -> None:
    assert VARIATIONS[name](line).tobytes() != line.tobytes()


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("half the resolution", (WIDTH // 2, HEIGHT // 2)),
        ("margins of half a line height", (WIDTH + HEIGHT, 2 * HEIGHT)),
        ("the upper tenth cut off", (WIDTH, HEIGHT * 9 // 10)),
        ("the lower tenth cut off", (WIDTH, HEIGHT * 9 // 10)),
        ("the middle quarter of the line", (WIDTH // 4, HEIGHT)),
    ],
)
def test_the_size_is_the_one_that_is_said(line: Image.Image, name: str, size: tuple[int, int]) -> None:
    assert VARIATIONS[name](line).size == size


def test_a_short_line_stays_wider_than_high(line: Image.Image) -> None:
    assert shortened(0.01)(line).size == (60, HEIGHT)
    assert shortened(0.01)(line.crop((0, 0, 30, HEIGHT))).size == (30, HEIGHT)


def test_black_and_white_part_ink_from_paper(line: Image.Image) -> None:
    grey = np.asarray(line.convert("L"))
    found = np.asarray(VARIATIONS["bitonal"](line))[..., 0]
    assert set(np.unique(found)) == {0, 255}
    assert found[grey == grey.min()].max() == 0
    assert found[grey == grey.max()].min() == 255


def test_black_and_white_of_one_grey_is_one_colour() -> None:
    assert len(VARIATIONS["bitonal"](Image.new("RGB", (30, 20), PAPER)).getcolors()) == 1


def test_the_corners_of_a_page_askew_are_paper(line: Image.Image) -> None:
    turned = VARIATIONS["rotated by 4° to the left"](line)
    assert turned.height > HEIGHT
    assert turned.getpixel((0, 0)) == PAPER
