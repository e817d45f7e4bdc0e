import struct

import numpy as np
import pytest
from PIL import ExifTags, Image

from inference.orientation import turn_needed
from tests.inference.documents import RAMP, decode, grey_error, ramp, tiff
from tests.pictures import encoded

ORIENTATION = ExifTags.Base.Orientation
# How a page that should look like the ramp lies in a file of each orientation.
AS_STORED = {
    1: RAMP,
    2: RAMP[:, ::-1],
    3: RAMP[::-1, ::-1],
    4: RAMP[::-1],
    5: RAMP.T,
    6: np.rot90(RAMP),
    7: RAMP[::-1, ::-1].T,
    8: np.rot90(RAMP, 3),
}


def stored(orientation: int) -> tuple[Image.Image, Image.Exif]:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return Image.fromarray(np.ascontiguousarray(AS_STORED[orientation])), exif


@pytest.mark.parametrize("orientation", AS_STORED)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_a_page_is_turned_upright(image_format: str, orientation: int) -> None:
    image, exif = stored(orientation)
    assert grey_error(decode(encoded(image, image_format, exif=exif, quality=95))) < 2


@pytest.mark.parametrize("orientation", AS_STORED)
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_tiff_page_is_turned_once(compression: str, orientation: int) -> None:
    image, _ = stored(orientation)
    assert grey_error(decode(encoded(image, "TIFF", compression=compression, tiffinfo={ORIENTATION: orientation}))) == 0


def test_a_deep_page_is_turned_like_any_other() -> None:
    image, exif = stored(6)
    deep = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    assert grey_error(decode(encoded(deep, "PNG", exif=exif))) == 0
    assert grey_error(decode(encoded(deep, "TIFF", tiffinfo={ORIENTATION: 6}))) == 0


@pytest.mark.parametrize("orientation", AS_STORED)
def test_a_page_decoded_at_a_draft_size_is_turned_too(orientation: int) -> None:
    image, exif = stored(orientation)
    large = image.resize((image.width * 16, image.height * 16), Image.Resampling.NEAREST)
    page = decode(encoded(large, "JPEG", exif=exif, quality=95), at_least=(64, 32))
    assert page.width < max(large.size)
    assert grey_error(page.resize((RAMP.shape[1], RAMP.shape[0]), Image.Resampling.BOX)) < 3


CORRUPT_EXIF = {
    "cut in its first entry": b"II*\0\x08\0\0\0\xff\xff\x12\x01cut",
    "directory beyond the end": b"II*\0\xff\xff\xff\xff",
    "no TIFF header": b"XXXX",
    "empty": b"",
    "value beyond the end": b"II*\0\x08\0\0\0" + struct.pack("<HHHLLL", 1, ORIENTATION, 12, 0xFFFFFF, 8, 0),
    "orientation as text": b"II*\0\x08\0\0\0" + struct.pack("<HHHL4sL", 1, ORIENTATION, 2, 4, b"six\0", 0),
    "orientation by zero": b"II*\0\x08\0\0\0" + struct.pack("<HHHLLLLL", 1, ORIENTATION, 5, 1, 26, 0, 0, 0),
    "unknown orientation": b"II*\0\x08\0\0\0" + struct.pack("<HHHLLL", 1, ORIENTATION, 3, 1, 99, 0),
}


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("damage", CORRUPT_EXIF)
def test_corrupt_exif_does_not_cost_the_page(damage: str, image_format: str) -> None:
    data = encoded(ramp(), image_format, exif=b"Exif\0\0" + CORRUPT_EXIF[damage], quality=95)
    assert grey_error(decode(data)) < 2


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_corrupt_exif_does_not_cost_a_page_that_is_converted(mode: str) -> None:
    image = ramp().convert("RGB").convert(mode)
    assert grey_error(decode(encoded(image, "JPEG", exif=b"Exif\0\0XXXX", quality=95))) < 2


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_lost_exif_directory_does_not_cost_a_tiff_page(compression: str) -> None:
    assert grey_error(decode(encoded(ramp(), "TIFF", compression=compression, tiffinfo={34665: 99_999_999}))) == 0


def test_corrupt_xmp_does_not_cost_the_page() -> None:
    data = encoded(ramp(), "JPEG", xmp=b'<x tiff:Orientation="\xff\xfe"', quality=95)
    assert grey_error(decode(data)) < 2


def test_metadata_that_raises_means_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.new("RGB", (2, 2))

    def raises() -> Image.Exif:
        raise MemoryError

    monkeypatch.setattr(image, "getexif", raises)
    assert turn_needed(image) is None


def test_a_tiff_without_metadata_lies_as_it_is() -> None:
    assert grey_error(decode(tiff(RAMP, bits=8))) == 0
