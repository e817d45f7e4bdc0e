import resource
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from inference import errors, images
from inference.images import ImageLimits, open_document
from tests.inference.documents import RAMP, decode, grey_error, pdf, ramp, tiff, tiff_chain
from tests.pictures import claimed_png, encoded, png

NOISE = Image.effect_noise((300, 300), 60)


def black() -> Image.Image:
    return Image.new("L", (RAMP.shape[1], RAMP.shape[0]))


@pytest.mark.parametrize(
    ("image_format", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("PNG", {}),
        ("PNG", {"interlace": 1}),
        ("TIFF", {}),
        ("TIFF", {"compression": "jpeg"}),
        ("TIFF", {"big_tiff": True}),
        ("JPEG2000", {}),
        ("JPEG2000", {"no_jp2": True}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
        ("BMP", {}),
    ],
)
def test_each_format_shows_the_page(image_format: str, options: dict[str, object]) -> None:
    assert grey_error(decode(encoded(ramp(), image_format, **options))) < 2


@pytest.mark.parametrize(
    ("image_format", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("MPO", {"quality": 95})]
)
def test_of_anything_animated_the_first_frame_counts(image_format: str, options: dict[str, object]) -> None:
    data = encoded(ramp(), image_format, save_all=True, append_images=[black()], **options)
    with open_document(data, ImageLimits()) as document:
        assert document.page_count == 1
        assert grey_error(document.page(1)) < 2


def test_an_mpo_is_decoded_at_a_draft_size_like_a_jpeg() -> None:
    large = ramp().resize((1024, 512))
    data = encoded(large, "MPO", save_all=True, append_images=[large])
    assert decode(data, at_least=(64, 32)).size == (128, 64)  # an eighth, the least that libjpeg offers


def test_each_tiff_page_is_decoded_apart_and_in_any_order() -> None:
    data = encoded(
        ramp(), "TIFF", save_all=True, append_images=[black().convert("RGB"), Image.fromarray(RAMP.astype(np.uint16) * 257)]
    )
    with open_document(data, ImageLimits()) as document:
        third, second, first = (document.page(number) for number in (3, 2, 1))
    assert [grey_error(first), grey_error(second, np.zeros_like(RAMP)), grey_error(third)] == [0, 0, 0]


def test_pages_of_one_document_do_not_share_pixels() -> None:
    colour = ramp().convert("RGB")
    with open_document(
        encoded(colour, "TIFF", save_all=True, append_images=[black().convert("RGB")]), ImageLimits()
    ) as document:
        first = document.page(1)
        document.page(2)
    assert grey_error(first) == 0


def two_pages_of_which_the_second_is_of_an_unknown_kind() -> bytes:
    """The second directory, put behind the first page, asks for seven bits a sample."""
    first = tiff(RAMP, bits=8)
    return tiff(RAMP, bits=8, next_page=len(first)) + tiff(RAMP, bits=7)[8:]


def test_a_tiff_page_of_an_unknown_kind_spoils_only_itself() -> None:
    with open_document(two_pages_of_which_the_second_is_of_an_unknown_kind(), ImageLimits()) as document:
        assert document.page_count == 2
        assert grey_error(document.page(1)) == 0
        with pytest.raises(errors.BrokenImage):
            document.page(2)


@pytest.mark.parametrize("number", [0, 2, -1])
def test_a_page_that_is_not_there_is_refused(number: int) -> None:
    with pytest.raises(errors.NoSuchPage):
        decode(png(), number)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "GIF", "BMP"])
def test_half_a_file_is_a_truncated_image(image_format: str) -> None:
    data = encoded(NOISE, image_format)
    with pytest.raises(errors.TruncatedImage):
        decode(data[: len(data) // 2])


@pytest.mark.parametrize(("image_format", "options"), [("WEBP", {}), ("JPEG2000", {}), ("TIFF", {"compression": "tiff_lzw"})])
def test_half_a_file_whose_decoder_says_no_more_is_a_broken_image(image_format: str, options: dict[str, object]) -> None:
    data = encoded(NOISE, image_format, **options)
    with pytest.raises(errors.BrokenImage):
        decode(data[: len(data) // 2])


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "JPEG2000", "WEBP", "GIF", "BMP"])
def test_a_file_cut_anywhere_ends_as_an_image_error(image_format: str) -> None:
    data = encoded(NOISE.resize((40, 40)), image_format)
    for length in range(1, len(data) - 40, max(1, len(data) // 60)):
        with pytest.raises(errors.ImageError):
            decode(data[:length])


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "JPEG2000", "WEBP", "GIF", "BMP"])
def test_damaged_bytes_end_as_an_image_error_or_a_page(image_format: str) -> None:
    data = encoded(NOISE.resize((40, 40)), image_format)
    chance = np.random.default_rng(7)
    for _ in range(150):
        damaged = bytearray(data)
        for place in chance.integers(0, min(len(data), 400), size=4):
            damaged[place] = chance.integers(0, 256)
        try:
            page = decode(bytes(damaged), max_pixels=1_000_000)
        except errors.ImageError:
            continue
        assert page.mode == "RGB"


def test_an_empty_file_is_told_from_a_broken_one() -> None:
    with pytest.raises(errors.EmptyFile):
        decode(b"")


@pytest.mark.parametrize("data", [b"plain text", b"PK\x03\x04", b"\x00" * 64, b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_what_is_no_image_is_refused_as_such(data: bytes) -> None:
    with pytest.raises(errors.NotAnImage):
        decode(data)


def test_what_begins_like_an_image_is_not_called_something_else() -> None:
    with pytest.raises(errors.BrokenImage, match="begins like an image"):
        decode(b"\x89PNG but nothing follows")


def test_a_format_outside_the_list_is_no_image() -> None:
    with pytest.raises(errors.NotAnImage):
        decode(encoded(ramp(), "PPM"))


def test_an_image_whose_metadata_quotes_a_pdf_is_an_image() -> None:
    assert grey_error(decode(encoded(ramp(), "JPEG", comment=pdf(), quality=95))) < 2


def test_a_file_of_too_many_bytes_is_not_opened() -> None:
    with pytest.raises(errors.FileTooLarge, match="at most 10"):
        decode(png(), max_bytes=10)


def test_the_pixel_limit_is_exact() -> None:
    data = encoded(ramp())
    assert decode(data, max_pixels=64 * 32).size == (64, 32)
    with pytest.raises(errors.TooManyPixels, match="64 x 32 = 2048"):
        decode(data, max_pixels=64 * 32 - 1)


def claimed_gif() -> bytes:
    screen = struct.pack("<HH", 65535, 65535)
    return b"GIF89a" + screen + b"\0\0\0," + struct.pack("<HH", 0, 0) + screen + b"\0\x02\x02L\x01\0;"


@pytest.mark.parametrize("bomb", [claimed_png(30_000, 30_000), claimed_gif()], ids=["png", "gif"])
def test_a_bomb_is_refused_before_it_takes_memory(bomb: bytes) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(errors.TooManyPixels):
        decode(bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024  # KiB; decoded it would take 900 MB or more


def test_the_pages_of_a_tiff_are_limited() -> None:
    data = encoded(ramp(), "TIFF", save_all=True, append_images=[black(), black()])
    assert decode(data, 3, max_pages=3).mode == "RGB"
    with pytest.raises(errors.TooManyPages, match="more than the 2 pages"):
        decode(data, max_pages=2)


def test_a_chain_of_directories_without_end_is_not_followed_to_its_end() -> None:
    page = tiff(RAMP, bits=8, next_page=0)
    start = len(page)
    chain = tiff_chain([start + 6 * number for number in range(1, 200_000)] + [0])[8:]
    with pytest.raises(errors.TooManyPages):
        decode(tiff(RAMP, bits=8, next_page=start) + chain)


def test_a_text_chunk_that_unpacks_beyond_measure_is_an_image_error() -> None:
    text = PngInfo()
    text.add_text("comment", "x" * 3 * 1024**2, zip=True)
    with pytest.raises(errors.ImageError):
        decode(encoded(ramp(), pnginfo=text))


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (MemoryError("no room"), errors.NotEnoughMemory),
        (RecursionError(), errors.BrokenImage),
        (SystemError("decoder"), errors.BrokenImage),
        (ValueError(), errors.BrokenImage),
        (AssertionError(), errors.BrokenImage),
    ],
)
def test_whatever_a_decoder_raises_ends_as_an_image_error(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, expected: type[errors.ImageError]
) -> None:
    def fail(_: Image.Image) -> Image.Image:
        raise raised

    monkeypatch.setattr(images.pixels, "to_rgb", fail)
    with pytest.raises(expected):
        decode(png())


def test_pillows_warnings_stay_silent_even_where_warnings_are_errors() -> None:
    program = (
        "import io; from PIL import Image; from inference.images import ImageLimits, open_document\n"
        "file = io.BytesIO(); Image.new('L', (8, 8)).save(file, 'JPEG', exif=b'Exif\\0\\0II*\\0\\xff\\xff\\xff\\xff')\n"
        "with open_document(file.getvalue(), ImageLimits()) as document: print(document.page(1).mode)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("RGB\n", "")
