import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from training import augment as augmenting
from training.augment import augment, paper_of

STEPS = [step for step, _ in augmenting._STEPS]


@pytest.fixture
def line() -> Image.Image:
    image = Image.new("RGB", (400, 60), (230, 220, 200))
    ImageDraw.Draw(image).text((10, 20), "a line of letters that goes on and on", fill=(40, 30, 30))
    return image


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
@pytest.mark.parametrize("size", [(400, 60), (9, 60), (3, 1)])
def test_every_step_gives_an_rgb_image_of_any_line(step, size: tuple[int, int], line: Image.Image) -> None:
    for seed in range(5):
        varied = step(line.resize(size), random.Random(seed))
        assert varied.mode == "RGB"
        assert min(varied.size) >= 1


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_every_step_changes_something(step, line: Image.Image) -> None:
    assert any(np.asarray(step(line, random.Random(seed))).tobytes() != line.tobytes() for seed in range(5))


def test_the_same_chance_gives_the_same_variation(line: Image.Image) -> None:
    varied = [augment(line, random.Random(seed)).tobytes() for seed in (1, 1, 2)]
    assert varied[0] == varied[1] != varied[2]


def test_no_share_leaves_the_image_as_it_is(line: Image.Image) -> None:
    assert all(augment(line, random.Random(seed), share=0).tobytes() == line.tobytes() for seed in range(20))


def test_a_bitonal_line_has_two_levels_and_keeps_its_paper(line: Image.Image) -> None:
    varied = augmenting.bitonal(line, random.Random(0))
    assert set(np.unique(np.asarray(varied))) == {0, 255}
    assert paper_of(varied) == (255, 255, 255)


def test_a_rotated_line_is_filled_with_its_paper(line: Image.Image) -> None:
    corner = augmenting.rotate(line, random.Random(0)).getpixel((0, 0))
    assert corner == (230, 220, 200)
