"""The model that ships says the same of a scan however the same pixels are stored."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from inference.bundle import load_bundle
from inference.classifier import Classifier, Verdict
from inference.images import ImageLimits
from inference.items import classify_pages, prepare_pages
from registry.starter import STARTER
from tests.pictures import encoded

SAMPLES = sorted(Path(__file__).parents[2].glob("samples/images/*.jpg"))[::4]
TOLERANCE = 0.02


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(load_bundle(STARTER), device="cpu")


def verdict(classifier: Classifier, data: bytes) -> Verdict:
    (answer,) = classify_pages(classifier, list(prepare_pages(data, ImageLimits(), classifier.spec)))
    assert isinstance(answer.result, Verdict), answer.result
    return answer.result


def sixteen_bit(grey: Image.Image, image_format: str) -> bytes:
    return encoded(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), image_format)


def lying(page: Image.Image, image_format: str) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return encoded(page.transpose(Image.Transpose.ROTATE_90), image_format, exif=exif)


def twins(page: Image.Image) -> list[tuple[str, bytes, bytes]]:
    """(name, twin, plain) for each way to store the same pixels; grey and palette twins have plain ones of their own."""
    grey, palette = page.convert("L"), page.quantize(256)
    plain, plain_grey, plain_palette = (encoded(image.convert("RGB"), "PNG") for image in (page, grey, palette))
    return [
        ("16-bit PNG", sixteen_bit(grey, "PNG"), plain_grey),
        ("16-bit TIFF", sixteen_bit(grey, "TIFF"), plain_grey),
        ("CMYK TIFF", encoded(page.convert("CMYK"), "TIFF"), plain),
        ("palette PNG", encoded(palette, "PNG"), plain_palette),
        ("rotated PNG", lying(page, "PNG"), plain),
        ("rotated TIFF", lying(page, "TIFF"), plain),
    ]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_twins_get_the_class_of_their_plain_twin_and_nearly_its_confidence(classifier: Classifier, path: Path) -> None:
    page = Image.open(path).convert("RGB")
    for name, twin, plain in twins(page):
        told, expected = verdict(classifier, twin), verdict(classifier, plain)
        assert told.predicted_class == expected.predicted_class, name
        assert told.confidence == pytest.approx(expected.confidence, abs=TOLERANCE), name
