"""The same page as different files looks the same to the model, to within what was measured here (in grey levels)."""

import numpy as np
import pytest
from PIL import ExifTags, Image

from inference.bundle import InputSpec
from inference.preprocess import Pixels, prepare
from tests.inference.documents import decode, written_page
from tests.pictures import encoded

SPEC = InputSpec(height=256, width=1024)
PAGE = written_page()
PLAIN = prepare(PAGE, SPEC)


def difference(pixels: Pixels, reference: Pixels = PLAIN) -> float:
    return float(np.abs(pixels.astype(np.int16) - reference.astype(np.int16)).mean())


def prepared(data: bytes, *, draft: bool = False) -> Pixels:
    return prepare(decode(data, at_least=(SPEC.width, SPEC.height) if draft else None), SPEC)


def grey_16() -> Image.Image:
    return Image.fromarray(np.asarray(PAGE.convert("L")).astype(np.uint16) * 257)


def opaque() -> Image.Image:
    page = PAGE.convert("RGBA")
    page.putalpha(255)
    return page


@pytest.mark.parametrize(
    ("twin", "tolerance"),
    [
        (encoded(PAGE.copy(), "PNG"), 0.0),
        (encoded(PAGE.copy(), "TIFF", compression="tiff_lzw"), 0.0),
        (encoded(opaque(), "PNG"), 0.0),
        (encoded(PAGE.convert("CMYK"), "TIFF"), 0.1),
        (encoded(PAGE.copy(), "JPEG", quality=90), 1.0),
        (encoded(PAGE.convert("CMYK"), "JPEG", quality=90), 1.0),
        (encoded(PAGE.copy(), "JPEG2000"), 0.5),
        (encoded(PAGE.copy(), "WEBP", quality=90), 1.0),
        (encoded(PAGE.quantize(256), "PNG"), 0.1),
    ],
    ids=["png", "tiff", "opaque", "cmyk tiff", "jpeg", "cmyk jpeg", "jpeg 2000", "webp", "palette"],
)
def test_a_coloured_twin_is_prepared_alike(twin: bytes, tolerance: float) -> None:
    assert difference(prepared(twin)) <= tolerance


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "JPEG2000"])
def test_a_16_bit_twin_is_prepared_like_the_8_bit_one(image_format: str) -> None:
    reference = prepared(encoded(PAGE.convert("L"), "PNG"))
    assert difference(prepared(encoded(grey_16(), image_format)), reference) <= 0.5


@pytest.mark.parametrize("draft", [False, True])
@pytest.mark.parametrize(("orientation", "lay"), [(6, Image.Transpose.ROTATE_90), (8, Image.Transpose.ROTATE_270)])
def test_a_twin_that_lies_on_its_side_is_prepared_alike(orientation: int, lay: Image.Transpose, draft: bool) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    assert difference(prepared(encoded(PAGE.transpose(lay), "JPEG", exif=exif, quality=90), draft=draft)) <= 1.0


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_cheaper_decode_is_prepared_nearly_alike(orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    page = written_page(5000, 1250)
    large = encoded(page.transpose(Image.Transpose.ROTATE_90) if orientation == 6 else page, "JPEG", exif=exif, quality=90)
    assert decode(large, at_least=(SPEC.width, SPEC.height)).size == (1250, 313)
    assert difference(prepared(large, draft=True), prepared(large)) <= 1.0


def test_a_cheaper_decode_never_has_fewer_pixels_than_the_model_takes() -> None:
    """A portrait that is stored as a landscape needs its short stored side for the model's long one."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = encoded(written_page(5000, 1250), "JPEG", exif=exif)
    assert decode(data, at_least=(SPEC.width, SPEC.height)).size == (1250, 5000)
