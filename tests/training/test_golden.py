"""The golden sample is one that the bundle answers rightly, and its file gives just what the manifest states."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.bundle import InputSpec, file_sha256, load_bundle
from inference.classifier import Classifier
from inference.golden import check_golden
from tests.pictures import DARK, LIGHT, encoded, picture
from tests.tiny_bundle import write_tiny_bundle
from training.data import Sample
from training.errors import NoGoldenSample, WrongSetting
from training.golden import GOLDEN_NAME, golden_of_samples, refuse_unreadable

HANDWRITTEN, PRINTED = 0, 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "bundle")


def sample(data: bytes, target: int) -> Sample:
    return Sample(
        table=[{"image": {"bytes": data}}],
        row=0,
        target=target,
        name="a",
        group="a",
        source="a",
        century="",
        sha256=hashlib.sha256(data).hexdigest(),
    )


def test_a_right_answer_becomes_the_sample_and_passes_its_own_check(folder: Path) -> None:
    wrong = sample(encoded(picture(DARK, size=(30, 10)), "JPEG"), PRINTED)
    large, small = (sample(encoded(noise(size), "JPEG"), HANDWRITTEN) for size in ((300, 100), (60, 20)))
    golden = golden_of_samples(folder, [wrong, large, small], np.array([[0.99, 0.01]] * 3))
    assert golden.file == GOLDEN_NAME
    assert golden.probabilities[HANDWRITTEN] > 0.9
    written = read_golden(folder)
    assert (written.format, written.size) == ("PNG", (60, 20))

    add_to_manifest(folder, golden.model_dump())
    check_golden(Classifier(load_bundle(folder), device="cpu"))


def read_golden(folder: Path) -> Image.Image:
    return Image.open(io.BytesIO((folder / GOLDEN_NAME).read_bytes()))


def noise(size: tuple[int, int]) -> Image.Image:
    """A dark page that does not compress to nothing."""
    return Image.fromarray(np.random.default_rng(1).integers(0, 2 * DARK, (size[1], size[0], 3), dtype=np.uint8))


def add_to_manifest(folder: Path, golden: object) -> None:
    path = folder / "bundle.json"
    manifest = json.loads(path.read_text())
    manifest["files"][GOLDEN_NAME] = file_sha256(folder / GOLDEN_NAME)
    path.write_text(json.dumps(manifest | {"golden": golden}))


def test_the_surest_of_many_are_the_candidates(folder: Path) -> None:
    unsure = sample(encoded(picture(DARK, size=(8, 8))), HANDWRITTEN)
    sure = [sample(encoded(picture(LIGHT, size=(40, 12))), PRINTED)] * 16
    golden = golden_of_samples(folder, [unsure, *sure], np.array([[0.6, 0.4]] + [[0.01, 0.99]] * 16))
    assert golden.probabilities[PRINTED] > 0.9


def test_without_a_right_answer_there_is_no_golden_sample(folder: Path) -> None:
    with pytest.raises(NoGoldenSample):
        golden_of_samples(folder, [sample(encoded(picture(DARK)), PRINTED)], np.array([[0.9, 0.1]]))


def test_what_becomes_wrong_in_its_own_file_is_not_taken(folder: Path) -> None:
    """The probabilities that were handed over are not believed."""
    with pytest.raises(NoGoldenSample):
        golden_of_samples(folder, [sample(encoded(picture(DARK)), PRINTED)], np.array([[0.1, 0.9]]))
    assert not (folder / GOLDEN_NAME).exists()


def test_the_file_is_the_picture_without_loss(folder: Path) -> None:
    page = noise((60, 20))
    golden_of_samples(folder, [sample(encoded(page), HANDWRITTEN)], np.array([[0.99, 0.01]]))
    np.testing.assert_array_equal(np.asarray(read_golden(folder)), np.asarray(page))


@pytest.mark.parametrize("data", [None, b"no image"])
def test_a_file_of_one_s_own_that_is_no_image_is_refused_before_anything_is_trained(tmp_path: Path, data: bytes | None) -> None:
    image = tmp_path / "golden.png"
    if data is not None:
        image.write_bytes(data)
    with pytest.raises(WrongSetting, match=r"^--golden .*golden\.png is not an image that can be read: "):
        refuse_unreadable(image, InputSpec(height=32, width=64))
