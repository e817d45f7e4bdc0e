"""Open a file of unknown origin and decode its pages, within limits that are checked before memory is spent.

A multi-page TIFF has one page per image, a PDF one per page; of anything animated the first frame counts. The formats are
a short list because most decoder vulnerabilities lie in the long tail that archives do not use.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from PIL import Image, UnidentifiedImageError

from inference import pdf, pixels, tiff
from inference.errors import (
    BrokenImage,
    EmptyFile,
    FileTooLarge,
    ImageError,
    NoSuchPage,
    NotAnImage,
    NotEnoughMemory,
    TooManyPages,
    TooManyPixels,
    TruncatedImage,
)
from inference.orientation import SIDEWAYS, turn_needed

FORMATS = ("JPEG", "PNG", "TIFF", "JPEG2000", "WEBP", "GIF", "BMP")

_ZIP_MAGIC = b"PK\x03\x04"
_MAGICS = (b"\xff\xd8\xff", b"\x89PNG", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\0\0\0\x0cjP  ", b"RIFF", b"GIF8")
_CUT_SHORT = ("truncated", "incomplete", "unexpected end", "only got")

# Pillow's own bomb check warns at half its limit and errs at twice; ours is exact, and made before decoding.
Image.MAX_IMAGE_PIXELS = None


def ignore_pillow_warnings() -> None:
    """Pillow warns of damaged metadata, which concerns nobody: the page counts. Set once, for the whole process, because
    `warnings.catch_warnings` is not safe between threads.
    """
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


ignore_pillow_warnings()


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What one file may cost: bytes as stored, pixels per page, pages, and the resolution at which PDF pages are drawn."""

    max_bytes: int = 256 * 1024**2
    max_pixels: int = 100_000_000
    max_pages: int = 500
    pdf_dpi: int = 300


class Document(Protocol):
    """An opened file: `page_count` pages, numbered from 1."""

    page_count: int

    def page(self, number: int, *, at_least: tuple[int, int] | None = None) -> Image.Image:
        """Decode page `number` as an upright 8-bit RGB image; `at_least` (width, height) allows a cheaper, smaller decode."""


@contextmanager
def open_document(data: bytes, limits: ImageLimits) -> Iterator[Document]:
    """Open `data` as an image or PDF. Raises an `ImageError`; pages are decoded only when asked for."""
    if not data:
        raise EmptyFile
    if len(data) > limits.max_bytes:
        raise FileTooLarge(f"The file has {len(data)} bytes; at most {limits.max_bytes} are allowed.")
    if pdf.is_pdf(data) and not data.startswith(_MAGICS):  # an image's metadata may quote a PDF
        with pdf.open_pdf(data, max_pages=limits.max_pages, max_pixels=limits.max_pixels, dpi=limits.pdf_dpi) as document:
            yield document
        return
    with _open_raster(data) as image:
        yield _Raster(image, _count_pages(image, data, limits), limits)


def _open_raster(data: bytes) -> Image.Image:
    with _decoding():
        try:
            return Image.open(io.BytesIO(data), formats=FORMATS)
        except UnidentifiedImageError as error:
            if data.startswith(_MAGICS):
                raise BrokenImage("The file begins like an image, but its header cannot be read.") from error
            is_zip = data.startswith(_ZIP_MAGIC)
            raise NotAnImage("The file is a zip archive; send it as a batch." if is_zip else None) from None


def _count_pages(image: Image.Image, data: bytes, limits: ImageLimits) -> int:
    count = tiff.count_pages(data, at_most=limits.max_pages + 1) if image.format == "TIFF" else 1
    if count > limits.max_pages:
        raise TooManyPages(f"The TIFF has more than the {limits.max_pages} pages allowed.")
    return count


class _Raster:
    def __init__(self, image: Image.Image, page_count: int, limits: ImageLimits) -> None:
        self.page_count = page_count
        self._image, self._limits = image, limits

    def page(self, number: int, *, at_least: tuple[int, int] | None = None) -> Image.Image:
        if not 1 <= number <= self.page_count:
            raise NoSuchPage(f"The document has {self.page_count} pages; there is no page {number}.")
        with _decoding():
            if self.page_count > 1:
                self._image.seek(number - 1)
            self._refuse_too_many_pixels()
            if at_least and self._image.format in ("JPEG", "MPO"):  # an MPO is a JPEG with more pictures behind the first
                lies_on_its_side = turn_needed(self._image) in SIDEWAYS
                self._image.draft("RGB", at_least[::-1] if lies_on_its_side else at_least)
            self._image.load()
            return self._upright_rgb()

    def _upright_rgb(self) -> Image.Image:
        """A picture of its own: the next page is decoded into the place of this one."""
        turn = turn_needed(self._image)
        page = pixels.to_rgb(self._image)
        if turn is not None:
            return page.transpose(turn)
        return page.copy() if page is self._image else page

    def _refuse_too_many_pixels(self) -> None:
        width, height = self._image.size
        if width * height > self._limits.max_pixels:
            raise TooManyPixels(
                f"The image has {width} x {height} = {width * height} pixels; at most {self._limits.max_pixels} are allowed."
            )


@contextmanager
def _decoding() -> Iterator[None]:
    """Translate what decoders raise into the `ImageError` that says what was wrong."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError as error:
        raise NotEnoughMemory from error
    except Exception as error:
        text = str(error).lower()
        if isinstance(error, EOFError) or any(phrase in text for phrase in _CUT_SHORT):
            raise TruncatedImage from error
        raise BrokenImage(f"The image cannot be decoded: {error}.") from error
