import numpy as np
import pytest
from PIL import Image

from inference.pixels import to_rgb
from tests.inference.documents import RAMP, decode, grey_error, ramp, tiff
from tests.pictures import encoded

RAMP_16 = RAMP.astype(np.uint16) * 257
RAMP_32 = RAMP.astype(np.uint32) * 16_843_009
WHITE_IS_ZERO = 0
SIGNED, FLOATING = 2, 3


def pack_12_bits(samples: list[int]) -> bytes:
    pairs = zip(samples[::2], samples[1::2], strict=True)
    return b"".join((first << 12 | second).to_bytes(3, "big") for first, second in pairs)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate"])
@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_a_16_bit_grey_tiff_keeps_its_greys(byte_order: str, compression: str | None) -> None:
    mode = "I;16" if byte_order == "<" else "I;16B"
    image = Image.frombytes(mode, ramp().size, RAMP_16.astype(f"{byte_order}u2").tobytes())
    data = encoded(image, "TIFF", **({"compression": compression} if compression else {}))
    assert grey_error(decode(data)) == 0


@pytest.mark.parametrize("image_format", ["PNG", "JPEG2000"])
def test_a_16_bit_grey_image_keeps_its_greys(image_format: str) -> None:
    assert grey_error(decode(encoded(Image.fromarray(RAMP_16), image_format))) < 1


def test_12_bit_samples_are_scaled_by_their_own_depth() -> None:
    samples = [int(value) * 4095 // 255 for value in RAMP.ravel()]
    assert grey_error(decode(tiff(pack_12_bits(samples), bits=12))) < 0.5


def test_signed_16_bit_samples_reach_white_at_their_own_maximum() -> None:
    for kind in ("<i2", ">i2"):
        assert grey_error(decode(tiff((RAMP_16 // 2).astype(kind), bits=16, sample_format=SIGNED, order=kind[0]))) < 0.5


def test_unsigned_32_bit_samples_above_the_sign_bit_stay_bright() -> None:
    assert grey_error(decode(tiff(RAMP_32.astype("<u4"), bits=32))) < 0.5


@pytest.mark.parametrize("samples", [RAMP.astype("<i4"), RAMP_16.astype("<i4"), (RAMP_32 // 2).astype("<i4")])
def test_32_bit_integers_are_scaled_by_the_depth_that_they_use(samples: np.ndarray) -> None:
    assert grey_error(decode(tiff(samples, bits=32, sample_format=SIGNED))) < 0.5


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0, 100_000.0])
def test_floating_point_is_scaled_by_the_depth_that_it_uses(white: float) -> None:
    assert grey_error(decode(encoded(Image.fromarray((RAMP / 255 * white).astype(np.float32)), "TIFF"))) < 0.5


def test_samples_that_are_no_numbers_do_not_darken_the_others() -> None:
    samples = (RAMP / 255).astype("<f4")
    samples[0, :4] = [np.nan, np.inf, -np.inf, 0]
    assert grey_error(decode(tiff(samples, bits=32, sample_format=FLOATING))) < 0.5


def test_white_is_zero_is_inverted_once_at_every_depth() -> None:
    files = {
        8: tiff(255 - RAMP, bits=8, photometric=WHITE_IS_ZERO),
        16: tiff((65535 - RAMP_16).astype("<u2"), bits=16, photometric=WHITE_IS_ZERO),
        32: tiff((1 - RAMP / 255).astype("<f4"), bits=32, photometric=WHITE_IS_ZERO, sample_format=FLOATING),
    }
    assert {bits: round(grey_error(decode(data))) for bits, data in files.items()} == {8: 0, 16: 0, 32: 0}


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("compression", [None, "group4", "group3", "packbits", "tiff_lzw"])
def test_bitonal_tiffs_show_the_same_page_in_both_photometrics(compression: str | None, photometric: int) -> None:
    bitonal = ramp().convert("1")
    options = {"compression": compression} if compression else {}
    page = decode(encoded(bitonal, "TIFF", tiffinfo={262: photometric}, **options))
    assert grey_error(page, np.asarray(bitonal.convert("L"))) == 0


@pytest.mark.parametrize(("image_format", "tolerance"), [("JPEG", 2), ("TIFF", 0)])
def test_cmyk_is_neither_inverted_nor_lost(image_format: str, tolerance: float) -> None:
    options = {"quality": 95} if image_format == "JPEG" else {}
    data = encoded(ramp().convert("RGB").convert("CMYK"), image_format, **options)
    assert grey_error(decode(data)) <= tolerance


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "GIF"])
def test_a_palette_is_looked_up(image_format: str) -> None:
    assert grey_error(decode(encoded(ramp().convert("RGB").quantize(256), image_format))) < 1


@pytest.mark.parametrize("transparency", [0, b"\x00" + b"\xff" * 255])
def test_a_palettes_transparent_colour_becomes_white(transparency: int | bytes) -> None:
    page = decode(encoded(ramp().convert("P"), "PNG", transparency=transparency))
    assert grey_error(page, np.where(RAMP == 0, 255, RAMP).astype(np.uint8)) < 1


@pytest.mark.parametrize(
    ("image", "transparency"), [(ramp(), 0), (Image.fromarray(RAMP_16), 0), (ramp().convert("RGB"), (0, 0, 0))]
)
def test_a_transparent_colour_becomes_white_without_a_palette(image: Image.Image, transparency: int | tuple[int, ...]) -> None:
    page = decode(encoded(image, "PNG", transparency=transparency))
    assert grey_error(page, np.where(RAMP == 0, 255, RAMP).astype(np.uint8)) == 0


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_what_is_transparent_becomes_white(mode: str) -> None:
    image = ramp().convert(mode)
    image.putalpha(Image.new("L", ramp().size, 0))
    assert grey_error(decode(encoded(image, "PNG")), np.full_like(RAMP, 255)) == 0


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F"]
)
def test_every_mode_that_pillow_has_ends_as_rgb(mode: str) -> None:
    blank = Image.new(mode, (4, 4))
    assert to_rgb(blank).mode == "RGB"
